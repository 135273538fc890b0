"""An order's life: read from its stream and from what other streams say of its trades, with its checks and causes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from eventstore import EventReader, EventStore, InvalidEvent, Record
from eventstore.errors import shown
from eventstore.html import table_html
from eventstore.readable import annotations_of, value_text
from eventstore.streams import account_of, stream_of
from eventstore.trading import RiskChecked
from projections.auditing.lifelines.answers import Latency, answers_among
from projections.auditing.lifelines.problems import LifelineProblem, has_ended, problems_of
from projections.auditing.lifelines.steps import LifelineStep, steps_of
from projections.replay import as_of
from projections.view import PartitionParked
from projections.views.orders.joining import ORDER_TYPES, fold_order
from projections.views.orders.order import CLOSED, Order

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from eventstore.clock import Times
    from projections.book import Book

_HEADERS = ("position", "occurred at", "recorded at", "what", "status", "filled", "left", "after, ms", "answers")
_NS_PER_MS = 1_000_000
_TIMES = annotations_of(Record)


class Lifeline(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an order, from submission to end. `order` is how it stands; None if nothing says so.

    `steps` are its records in the order of the log, with those of other streams that bust or correct its trades, or
    report them first. `latencies` say how long the answers to its requests took, `problems` what is missing, out of
    order or anomalous. `checks` are the checks before it was sent or changed. `causes` are the records that its own
    name as their cause, in the order of the log; those that could not be found have their ids in `missing_causes`.
    `uncertain` says why other streams could not be taken into account, and is empty where they were.
    """

    account: str
    order_id: str
    order: Order | None
    steps: tuple[LifelineStep, ...]
    latencies: tuple[Latency, ...]
    problems: tuple[LifelineProblem, ...]
    checks: tuple[Record, ...] = ()
    causes: tuple[Record, ...] = ()
    missing_causes: tuple[bytes, ...] = ()
    uncertain: str = ""

    @property
    def is_ended(self) -> bool:
        """Whether it has been filled, canceled or rejected, or has expired, as far as the log says."""
        return self.order is not None and has_ended(self.order)

    @property
    def sentence(self) -> str:
        """What became of it, in one line."""
        if not self.steps:
            return f"no record of order {self.order_id} in {self.account}"
        order, said = self.order, f"order {self.order_id} of {self.account}"
        if order is not None and order.side is not None and order.quantity is not None and order.symbol is not None:
            said += f": {order.side.lower()} {order.quantity:f} {order.symbol}"
        status = "what became of it is not known" if order is None else f"{order.status}, {order.cumulative:f} filled"
        problems = f"{len(self.problems)} {'problem' if len(self.problems) == 1 else 'problems'}"
        return f"{said}; {status}; {len(self.steps)} records, {problems}"

    def _repr_html_(self) -> str:
        rows = [_row(step) for step in self.steps]
        found = [(*map(str, (each.kind, each.sentence)), _positions(each.positions)) for each in self.problems]
        tables = [table_html(_HEADERS, rows, caption=self.sentence)]
        return "".join([*tables, table_html(("problem", "", "positions"), found)] if found else tables)


def lifeline(
    store: EventReader,
    account: str,
    order_id: str,
    *,
    occurred_at: Times | None = None,
    recorded_at: Times | None = None,
) -> Lifeline:
    """Return what became of an order; one without steps if the log has no record of it.

    `recorded_at`: as known at that instant; `occurred_at`: what had happened by that one. Raises InvalidEvent for a
    malformed account, order id or instant.
    """
    stream, of_checks = _streams_of(account, order_id)
    book = as_of(store, recorded_at=recorded_at, occurred_at=occurred_at, account=account)
    after, records, uncertain = _history(book, stream, account, order_id)
    checks = tuple(record for record in book.read(stream=of_checks) if isinstance(record.event, RiskChecked))
    causes, missing = _causes(store, account, [*checks, *records])
    if not records:
        return Lifeline(
            account=account, order_id=order_id, order=None, steps=(), latencies=(), problems=(), checks=checks,
            causes=causes, missing_causes=missing, uncertain=uncertain,
        )  # fmt: skip
    order = book.orders.get(account, order_id) if not uncertain else next(reversed(after.values()), None)
    answers = answers_among(records, _completing(records, after))
    steps = steps_of(records, after, answers)
    return Lifeline(
        account=account,
        order_id=order_id,
        order=order,
        steps=steps,
        latencies=answers.latencies,
        problems=problems_of(steps, order, answers, checks),
        checks=checks,
        causes=causes,
        missing_causes=missing,
        uncertain=uncertain,
    )


def _streams_of(account: object, order_id: object) -> tuple[str, str]:
    """Return the streams of an order and of its checks; raise InvalidEvent for what cannot be named so."""
    if not isinstance(account, str) or not isinstance(order_id, str):
        msg = f"an order needs the name of its account and its id, not {shown(account)} and {shown(order_id)}"
        raise InvalidEvent(msg)
    stream = stream_of("order", account, order_id)
    # Without an entity it would name every order of the account.
    account_of(stream)
    return stream, stream_of("risk", account, order_id)


def _history(book: Book, stream: str, account: str, order_id: str) -> tuple[dict[int, Order], list[Record], str]:
    """Return the order after each record, all records that concern it, and why those of other streams are missing."""
    own, uncertain = list(book.read(stream=stream)), ""
    try:
        history = list(book.orders.history(account, order_id))
    except PartitionParked as e:
        uncertain = f"what other streams say of its trades is not known: {e}"
        history = list(fold_order(record for record in own if isinstance(record.event, ORDER_TYPES)))
    records = {record.position: record for record in (*own, *(record for record, _ in history))}
    after = {record.position: order for record, order in history}
    return after, [records[position] for position in sorted(records)], uncertain


def _completing(records: Iterable[Record], after: dict[int, Order]) -> int | None:
    """Return the log position of the record that closed the order for good, if one did."""
    closed = None
    for record in records:
        order = after.get(record.position)
        if order is not None and order.base in CLOSED:
            closed = record.position if closed is None else closed
        elif order is not None:
            closed = None
    return closed


def _causes(
    store: EventReader, account: str, records: Iterable[Record]
) -> tuple[tuple[Record, ...], tuple[bytes, ...]]:
    """Return the records that some name as their causes, and the ids of those that are not found."""
    records = list(records)
    own = {record.id for record in records}
    wanted = dict.fromkeys(id_ for record in records if (id_ := record.causation_id) is not None and id_ not in own)
    found = {record.id: record for record in _find(store, account, tuple(wanted))}
    missing = tuple(id_ for id_ in wanted if id_ not in found)
    return tuple(sorted(found.values(), key=lambda record: record.position)), missing


def _find(store: EventReader, account: str, wanted: tuple[bytes, ...]) -> Iterator[Record]:
    if isinstance(store, EventStore):
        yield from (record for id_ in wanted if (record := store.find(id_)) is not None)
        return
    # Only a journal finds records by their ids: elsewhere the account's are read, of which most causes are.
    left = set(wanted)
    for record in store.read(account=account) if left else ():
        if record.id in left:
            left.discard(record.id)
            yield record
        if not left:
            return


def _row(step: LifelineStep) -> tuple[str, ...]:
    record, order = step.record, step.order
    since = "" if step.since_occurred is None else f"{step.since_occurred / _NS_PER_MS:,.3f}"
    times = value_text(record.occurred_at, _TIMES["occurred_at"]), value_text(record.recorded_at, _TIMES["recorded_at"])
    state = (
        ("", "", "") if order is None else (str(order.status), value_text(order.cumulative), value_text(order.leaves))
    )
    about = next((str(each) for each in (step.answers, step.corrects) if each is not None), "")
    return str(record.position), *times, record.type, *state, since, about


def _positions(positions: Iterable[int]) -> str:
    return ", ".join(map(str, positions))
