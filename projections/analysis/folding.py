"""What the frames of folds share: which rows are chosen, the fold over a whole history, and rows as a frame."""

from __future__ import annotations

import itertools
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from eventstore import InvalidEvent
from eventstore.errors import shown
from eventstore.events import codec
from eventstore.events.registry import by_class
from eventstore.trading import OrderSubmitted
from projections.analysis.arrays import array_of
from projections.analysis.columns import PRECISION, SCALE, Kind, arrow_schema
from projections.analysis.decoding import Stored
from projections.analysis.libraries import arrow
from projections.analysis.progress import Progress
from projections.decimals import EXACTLY
from projections.fold import Fold
from projections.fold_reader import FoldReader
from projections.garbage import gc_disabled
from projections.reading import tail
from projections.view import SHARED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from eventstore import EventReader
    from eventstore.events import Event
    from projections.analysis.columns import Column, Exact
    from projections.analysis.sources import Selection
    from projections.view import View

_LAST_DIGIT = Decimal((0, (1,), -SCALE))
QUOTIENTS = frozenset({"average_price", "average_cost", "entry_price", "exit_price", "share"})
"""The columns of frames whose figures have no end in general."""
ROWS_AT_ONCE = 20_000
"""How many rows a batch of a folded frame has: a batch holds Python's values of so many at once."""


class Choice(NamedTuple):
    """Which rows of a folded frame are given, beside the selection's: all that is given must fit."""

    strategy: str | None = None
    tag: str | None = None
    trading_day: date | None = None

    def has(self, *, strategy: str | None, tags: tuple[str, ...], trading_day: date | None) -> bool:
        return (
            (self.strategy is None or strategy == self.strategy)
            and (self.tag is None or self.tag in tags)
            and (self.trading_day is None or trading_day == self.trading_day)
        )


def choice_of(
    *, strategy: object = None, tag: object = None, trading_day: date | str | None = None
) -> Choice:  # fmt: skip
    """Return a choice; raise InvalidEvent for an argument that means nothing."""
    for name, given in (("strategy", strategy), ("tag", tag)):
        if given is not None and (not isinstance(given, str) or not given):
            msg = f"{name} is a text, not {shown(given)}"
            raise InvalidEvent(msg)
    return Choice(strategy, tag, None if trading_day is None else _day_of(trading_day))  # type: ignore[arg-type] # texts


def _day_of(given: date | str) -> date:
    if isinstance(given, date) and not isinstance(given, datetime):
        return given
    try:
        return date.fromisoformat(given)  # type: ignore[arg-type]
    except (TypeError, ValueError) as e:
        msg = f"trading_day is a date, such as 2025-11-19, not {shown(given)}"
        raise InvalidEvent(msg) from e


def folded(
    reader: EventReader,
    selection: Selection,
    views: Sequence[View[Any]],
    *,
    progress: bool | None,
    accounts: frozenset[str] | None = None,
) -> FoldReader:
    """Fold a log from its first record up to the selection's last one, for its account, for some, or for all.

    Ctrl-C ends it within a page.
    """
    if selection.account is not None:
        accounts = frozenset({selection.account})
    fold = Fold(views, accounts=accounts)
    wanted: dict[type[Event], None] = {}
    for view in views:
        wanted |= dict.fromkeys(view.types or ())
    with gc_disabled(), Progress(selection.until, progress) as shown_progress:
        for page in tail(reader, 0, selection.until, accounts, types=tuple(wanted)):
            fold.apply(page)
            shown_progress.at(page[-1].position)
    fold.log_position = selection.until
    return FoldReader(reader, fold, accounts, None)


def accounts_in(book: FoldReader, view: str) -> list[str]:
    """Return the accounts that a view has folded anything of, sorted."""
    return sorted(name for name in book.partitions(view) if name != SHARED)


class _Strategy(msgspec.Struct):
    strategy: str | None = None


def strategies_of(reader: EventReader, selection: Selection) -> dict[str, str]:
    """Return the strategies that orders were submitted with, by the orders' streams."""
    kind, decode = by_class(OrderSubmitted), msgspec.json.Decoder(_Strategy).decode
    found: dict[str, str | None] = {}
    members = ("stream", "schema", "data")
    for page in reader.rows(members, until=selection.until, account=selection.account, types=(kind.name,)):
        for _, stream, schema, data in page:
            if stream in found:
                # The first submission stands.
                continue
            if schema == kind.schema:
                found[stream] = decode(data).strategy
            else:
                event = codec.decode(Stored(kind.name, schema, data))
                found[stream] = getattr(event, "strategy", None)
    return {stream: strategy for stream, strategy in found.items() if strategy is not None}


def batches_of(rows: Iterable[Sequence[Any]], columns: Sequence[Column], exact: Exact) -> Iterator[Any]:
    """Yield rows, each with a value for every column, as Arrow batches; as decimal128, quotients are rounded."""
    schema, left = arrow_schema(columns, exact), iter(rows)
    while some := list(itertools.islice(left, ROWS_AT_ONCE)):
        with gc_disabled():
            by_column = [
                (column, rounded(values) if exact is True and column.name in QUOTIENTS else _plain(values, column.kind))
                for column, values in zip(columns, zip(*some, strict=True), strict=True)
            ]
            arrays = [array_of(values, column, exact) for column, values in by_column]
            batch = arrow().RecordBatch.from_arrays(arrays, schema=schema)
        yield batch


def _plain(values: Sequence[Any], kind: Kind) -> Sequence[Any]:
    """Return values of frequent kinds as the texts that they become: one by one that takes most of the time."""
    if kind is Kind.ENUM:
        return [None if value is None else getattr(value, "value", value) for value in values]
    if kind is Kind.JSON:
        return ["[]" if value == () else value for value in values]
    return values


def rounded(values: Sequence[Any]) -> Sequence[Any]:
    """Return Decimals with at most nine decimals."""
    # One that is too large for as many digits is refused as it is, by its name.
    fits = PRECISION - SCALE
    return [
        value if value is None or value.adjusted() >= fits else value.quantize(_LAST_DIGIT, context=EXACTLY)
        for value in values
    ]
