"""How a replayed history differs from the original: records, lockouts, and the end states side by side, as frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from typing_extensions import override

from eventstore import StoreError
from eventstore.clock import derived_from
from eventstore.html import table_html
from eventstore.trading import Allows
from projections.analysis.columns import Column, Exact, Kind
from projections.analysis.frame import Frame
from projections.analysis.replay.differences import described
from projections.analysis.row_batches import batches_of
from projections.valuation import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from eventstore import Record
    from projections.analysis.replay.differences import Divergence
    from projections.book import Book
    from projections.views.lockouts.view import Lockout

WOULD, WOULD_NOT, DIFFERENT, SAME = "would have been", "would not have been", "different", "same"
FROM_QUOTES = "kept: decided from quotes or the clock, which the log does not have"
BY_OTHERS = "kept: decided by a policy that is not evaluated here"
_STATUS = tuple(str(each) for each in Status)
_DIVERGENCES = (
    Column("position", Kind.INTEGER), Column("asked", Kind.BOOLEAN), Column("why", Kind.TEXT),
    Column("account", Kind.TEXT), Column("was", Kind.TEXT), Column("was_data", Kind.JSON),
    Column("is", Kind.TEXT), Column("is_data", Kind.JSON), Column("occurred_at", Kind.INSTANT),
)  # fmt: skip
_KEPT = (
    Column("position", Kind.INTEGER), Column("occurred_at", Kind.INSTANT), Column("account", Kind.TEXT),
    Column("type", Kind.TEXT), Column("actor", Kind.TEXT), Column("why", Kind.TEXT), Column("data", Kind.JSON),
)  # fmt: skip
_LOCKOUTS = (
    Column("change", Kind.ENUM, (WOULD, WOULD_NOT, DIFFERENT, SAME)),
    Column("account", Kind.TEXT), Column("rule_id", Kind.TEXT), Column("scope", Kind.TEXT),
    Column("allows", Kind.ENUM, tuple(str(each) for each in Allows)), Column("set_at", Kind.INSTANT),
    Column("ended_at", Kind.INSTANT), Column("until", Kind.INSTANT), Column("revocable", Kind.BOOLEAN),
    Column("reason", Kind.TEXT), Column("cause", Kind.TEXT), Column("set_position", Kind.INTEGER),
    Column("end_position", Kind.INTEGER),
)  # fmt: skip


class _Side(NamedTuple):
    """The columns that tell rows apart, those that are shown twice, and a book's rows by the former."""

    keys: tuple[Column, ...]
    values: tuple[Column, ...]
    rows: Callable[[Book, str, int], Iterator[tuple[Any, ...]]]


class ReplayComparison:
    """What was, and what is in a replay: `divergences`, `lockouts`, `kept`, `positions`, `equity`, `headroom`.

    The last three have each figure twice, as `…_was` and `…_is`, and `same`. `kept` has the decisions of policies that
    the log alone does not lead to: they stand as recorded, although something else was changed.
    """

    def __init__(
        self,
        divergences: Sequence[Divergence],
        kept: Sequence[tuple[Record, str]],
        lockouts: Sequence[tuple[str, Lockout]],
        frames: dict[str, Frame],
        notes: Sequence[str],
    ) -> None:
        self.first_divergence = divergences[0] if divergences else None
        """The first record in which the histories differ: its position, what was, what is. None if they do not."""
        self.first_consequence = next((each for each in divergences if not each.is_asked), None)
        """The first one that was not asked for."""
        self.notes = tuple(notes)
        self._all, self._kept, self._frames = tuple(divergences), tuple(kept), frames
        self._changed = [(change, f"{each.rule_id} of {each.account}") for change, each in lockouts if change != SAME]

    @classmethod
    def of(
        cls,
        was: Book,
        now: Book,
        at: int,
        divergences: Iterable[Divergence],
        *,
        kept: Sequence[tuple[Record, str]] = (),
        notes: Sequence[str] = (),
        exact: Exact = False,
    ) -> ReplayComparison:
        """Compare two books as of an instant, the end of both histories."""
        found = list(divergences)
        accounts = sorted({*was.accounts.known(), *now.accounts.known()})
        with derived_from(at):
            lockouts = list(_lockouts(was, now, accounts))
            sides = {name: _sides(was, now, accounts, at, side) for name, side in _SIDES.items()}
        frames = {
            "divergences": _frame(_DIVERGENCES, [_divergence(each) for each in found], exact, "divergences"),
            "lockouts": _frame(_LOCKOUTS, [_lockout(each, change) for change, each in lockouts], exact, "lockouts"),
            "kept": _frame(_KEPT, [_kept(record, why) for record, why in kept], exact, "kept decisions"),
        }
        for name, rows in sides.items():
            frames[name] = _frame(_columns(_SIDES[name]), rows, exact, name)
        return cls(found, kept, lockouts, frames, notes)

    def __len__(self) -> int:
        """Return the number of records in which the histories differ."""
        return len(self._all)

    @property
    def divergences(self) -> Frame:
        """The records in which the histories differ, by position of the original."""
        return self._frames["divergences"]

    @property
    def lockouts(self) -> Frame:
        """The lockouts of both histories; `change` says which would, and which would not have been."""
        return self._frames["lockouts"]

    @property
    def kept(self) -> Frame:
        """The recorded decisions that could not be made again from the log, and why."""
        return self._frames["kept"]

    @property
    def positions(self) -> Frame:
        """Each position at the end, with its realized result before fees."""
        return self._frames["positions"]

    @property
    def equity(self) -> Frame:
        """Each account's balance and equity at the end."""
        return self._frames["equity"]

    @property
    def headroom(self) -> Frame:
        """How far each account is from its limits at the end."""
        return self._frames["headroom"]

    def _sentences(self) -> list[str]:
        found = [
            "no divergence"
            if self.first_divergence is None
            else f"{_counted(len(self), 'divergence')}, the first one {self.first_divergence}",
        ]
        if self.first_consequence is not None and self.first_consequence is not self.first_divergence:
            found.append(f"first consequence {self.first_consequence}")
        for change in (WOULD, WOULD_NOT, DIFFERENT):
            names = [name for kind, name in self._changed if kind == change]
            if names:
                found.append(f"lockouts that {'differ' if change == DIFFERENT else change}: {', '.join(names)}")
        for why in (FROM_QUOTES, BY_OTHERS):
            count = sum(each == why for _, each in self._kept)
            found += [f"{_counted(count, 'decision')} {why}"] if count else []
        return [*found, *self.notes]

    @override
    def __repr__(self) -> str:
        return f"<ReplayComparison: {'; '.join(self._sentences())}>"

    def _repr_html_(self) -> str:
        summary = table_html(["compared with the original"], [[sentence] for sentence in self._sentences()])
        frames = [self.divergences, self.lockouts, self.positions, self.equity, self.headroom]
        if self._kept:
            frames.append(self.kept)
        return summary + "".join(each._repr_html_() for each in frames)


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _frame(columns: Sequence[Column], rows: Sequence[tuple[Any, ...]], exact: Exact, title: str) -> Frame:
    return Frame(columns, lambda: batches_of(rows, columns, exact), exact=exact, title=title)


def _divergence(found: Divergence) -> tuple[Any, ...]:
    was, now = found.was, found.now
    either = now or was
    return (
        found.position,
        found.is_asked,
        found.why,
        None if either is None else either.account,
        None if was is None else described(was),
        None if was is None else was.data.decode(),
        None if now is None else described(now),
        None if now is None else now.data.decode(),
        None if either is None else either.occurred_at,
    )


def _kept(record: Record, why: str) -> tuple[Any, ...]:
    data = record.data.decode()
    return record.position, record.occurred_at, record.account, record.type, record.actor, why, data


def _lockouts(was: Book, now: Book, accounts: Sequence[str]) -> Iterator[tuple[str, Lockout]]:
    for account in accounts:
        before = {(each.rule_id, each.scope, each.cause): each for each in _history(was, account)}
        after = {(each.rule_id, each.scope, each.cause): each for each in _history(now, account)}
        for key in dict.fromkeys((*before, *after)):
            one, other = before.get(key), after.get(key)
            if one is not None and other is not None:
                yield SAME if _terms(one) == _terms(other) else DIFFERENT, other
            elif other is not None:
                yield WOULD, other
            elif one is not None:
                yield WOULD_NOT, one


def _history(book: Book, account: str) -> Sequence[Lockout]:
    try:
        return book.lockouts.history(account)
    except StoreError:
        return ()


def _terms(lockout: Lockout) -> tuple[object, ...]:
    return lockout.allows, lockout.until, lockout.revocable, lockout.reason, lockout.ended_at, lockout.ended_by


def _lockout(lockout: Lockout, change: str) -> tuple[Any, ...]:
    positions = lockout.positions
    end = positions[-1] if lockout.ended_at is not None and len(positions) > 1 else None
    return (
        change, lockout.account, lockout.rule_id, lockout.scope, lockout.allows, lockout.set_at, lockout.ended_at,
        lockout.until, lockout.revocable, lockout.reason, lockout.cause.hex(), positions[0], end,
    )  # fmt: skip


def _columns(side: _Side) -> tuple[Column, ...]:
    doubled = [
        Column(f"{column.name}_{which}", column.kind, column.values)
        for column in side.values
        for which in ("was", "is")
    ]
    return (*side.keys, Column("same", Kind.BOOLEAN), *doubled)


def _sides(was: Book, now: Book, accounts: Sequence[str], at: int, side: _Side) -> list[tuple[Any, ...]]:
    count, missing = len(side.keys), (None,) * len(side.values)
    found = []
    for account in accounts:
        before, after = ({row[:count]: row[count:] for row in _rows(side, book, account, at)} for book in (was, now))
        for key in dict.fromkeys((*before, *after)):
            one, other = before.get(key, missing), after.get(key, missing)
            pairs = [value for pair in zip(one, other, strict=True) for value in pair]
            found.append((*key, one == other, *pairs))
    return found


def _rows(side: _Side, book: Book, account: str, at: int) -> list[tuple[Any, ...]]:
    try:
        return list(side.rows(book, account, at))
    except (StoreError, ArithmeticError):
        # A view that failed, or a figure that cannot be computed: it is missing, on that side alone.
        return []


def _positions(book: Book, account: str, at: int) -> Iterator[tuple[Any, ...]]:
    del at
    for held in book.positions.of(account):
        try:
            realized = held.realized
        except StoreError:
            realized = None
        yield (
            account, held.symbol, held.side, held.currency, held.quantity, held.average_price, held.average_cost,
            realized, held.fees,
        )  # fmt: skip


def _equity(book: Book, account: str, at: int) -> Iterator[tuple[Any, ...]]:
    if book.accounts.get(account) is None:
        return
    now = book.equity.now(account, at)
    yield (
        account, now.currency, now.balance, now.equity, now.high_water, now.floor, str(now.status), now.why or None
    )  # fmt: skip


def _headroom(book: Book, account: str, at: int) -> Iterator[tuple[Any, ...]]:
    for each in book.limits.headroom(account, at):
        yield (
            account, each.rule_id, each.kind, each.figure, each.limit, each.left, each.share, str(each.status),
            each.why or None,
        )  # fmt: skip


_SIDES = {
    "positions": _Side(
        (Column("account", Kind.TEXT), Column("symbol", Kind.TEXT), Column("side", Kind.TEXT),
         Column("currency", Kind.TEXT)),
        (Column("quantity", Kind.DECIMAL), Column("average_price", Kind.DECIMAL), Column("average_cost", Kind.DECIMAL),
         Column("realized", Kind.DECIMAL), Column("fees", Kind.DECIMAL)),
        _positions,
    ),
    "equity": _Side(
        (Column("account", Kind.TEXT), Column("currency", Kind.TEXT)),
        (Column("balance", Kind.DECIMAL), Column("equity", Kind.DECIMAL), Column("high_water", Kind.DECIMAL),
         Column("floor", Kind.DECIMAL), Column("status", Kind.ENUM, _STATUS), Column("why", Kind.TEXT)),
        _equity,
    ),
    "headroom": _Side(
        (Column("account", Kind.TEXT), Column("rule_id", Kind.TEXT), Column("kind", Kind.TEXT)),
        (Column("figure", Kind.DECIMAL), Column("limit", Kind.DECIMAL), Column("left", Kind.DECIMAL),
         Column("share", Kind.DECIMAL), Column("status", Kind.ENUM, _STATUS), Column("why", Kind.TEXT)),
        _headroom,
    ),
}  # fmt: skip
