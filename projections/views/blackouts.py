"""The blackouts view: when no account, or one account, may take new exposure, and in which symbols; and its queries."""

from typing import ClassVar

import msgspec
from msgspec.structs import replace
from typing_extensions import override

from eventstore import Event, Instant, Record, StoreError
from eventstore.clock import Times, asked_ns
from eventstore.streams import unescaped
from eventstore.trading import BlackoutCanceled, BlackoutScheduled
from projections.view import SHARED, BookReader, View, check_covered
from projections.views.contracts.names import named_in
from projections.views.contracts.view import ContractsState, ContractsView

BLACKOUTS_MAX = 10_000


class TooManyBlackouts(StoreError):
    """The blackouts of an account that are not over are bounded."""

    def __init__(self, account: str, position: int) -> None:
        self.account, self.position = account, position
        super().__init__(
            f"{account} has {BLACKOUTS_MAX:,} blackouts that are not over, and the record at position {position} "
            "schedules one more: schedule only those of the next weeks, or one for several symbols"
        )


class Blackout(msgspec.Struct, frozen=True, kw_only=True):
    """One blackout, `start` included, `stop` not, in UNIX ns; of every account if `account` is `-`.

    No `symbols` means all. A canceled one stops when it was canceled. `position` is the log position that scheduled it.
    """

    account: str
    name: str
    start: Instant
    stop: Instant
    symbols: tuple[str, ...]
    source: str
    reason: str
    position: int
    canceled_at: Instant | None = None

    def is_active(self, at_ns: int) -> bool:
        """Return whether it holds at an instant in UNIX ns."""
        return self.start <= at_ns < self.stop


class BlackoutsState(msgspec.Struct):
    """One account, or every account (`-`): blackouts by name; those that are over stay while there is room."""

    blackouts: dict[str, Blackout] = {}


class BlackoutsView(View[BlackoutsState]):
    """The newest blackout of each stream: scheduling again replaces it; canceling ends it, or removes it beforehand.

    A cancellation in one account's stream does not affect a blackout of every account.
    """

    name: ClassVar[str] = "blackouts"
    revision: ClassVar[int] = 1
    types: ClassVar[tuple[type[Event], ...] | None] = (BlackoutScheduled, BlackoutCanceled)

    @override
    def initial(self) -> BlackoutsState:
        return BlackoutsState()

    @override
    def apply(self, state: BlackoutsState, event: Event, record: Record) -> None:
        name = unescaped(record.entity)
        match event:
            case BlackoutScheduled():
                blackouts = _with_room(state.blackouts, name, record)
                state.blackouts = {**blackouts, name: _scheduled(name, event, record)}
            case BlackoutCanceled() if name in state.blackouts:
                state.blackouts = _canceled(state.blackouts, name, record.occurred_at)
            case _:
                return


class BlackoutSchedule:
    """Queries about blackouts, an account's own and those of every account. Those long over may have been dropped."""

    def __init__(self, book: BookReader) -> None:
        self._book = book

    def active(self, account: str, at: Times, symbol: str | None = None) -> tuple[Blackout, ...]:
        """Return the blackouts that hold at an instant, an aware datetime or UNIX ns, earliest start first.

        With a symbol, or a broker's name for one: those of all symbols, of this one and of its root; all if no contract
        has the name.
        """
        at_ns = asked_ns(at, self._book.now_ns)
        found = [blackout for blackout in self._of(account) if blackout.is_active(at_ns)]
        if symbol is not None and found:
            contracts: ContractsState | None = self._book.state(ContractsView.name, SHARED)
            found = [each for each in found if not each.symbols or named_in(contracts, symbol, each.symbols)]
        return tuple(sorted(found, key=_start))

    def scheduled(self, account: str, at: Times) -> tuple[Blackout, ...]:
        """Return the blackouts that start after an instant, earliest start first."""
        at_ns = asked_ns(at, self._book.now_ns)
        return tuple(sorted([each for each in self._of(account) if at_ns < each.start], key=_start))

    def _of(self, account: str) -> list[Blackout]:
        states: list[BlackoutsState | None] = [
            self._book.state(BlackoutsView.name, partition) for partition in sorted({SHARED, account})
        ]
        if None in states:
            check_covered(self._book, account)
        return [blackout for state in states if state is not None for blackout in state.blackouts.values()]


def _start(blackout: Blackout) -> tuple[int, int]:
    return blackout.start, blackout.position


def _scheduled(name: str, event: BlackoutScheduled, record: Record) -> Blackout:
    return Blackout(
        account=record.account,
        name=name,
        start=event.start,
        stop=event.stop,
        symbols=event.symbols,
        source=event.source,
        reason=event.reason,
        position=record.position,
    )


def _canceled(blackouts: dict[str, Blackout], name: str, at: int) -> dict[str, Blackout]:
    held = blackouts[name]
    # Canceled before it started, it never was in force; canceled after it stopped, it was in force as scheduled.
    if at <= held.start:
        return {each: blackout for each, blackout in blackouts.items() if each != name}
    return blackouts if at >= held.stop else {**blackouts, name: replace(held, stop=at, canceled_at=at)}


def _with_room(blackouts: dict[str, Blackout], name: str, record: Record) -> dict[str, Blackout]:
    """Return the blackouts with room for one more; at the limit, drop those over at both of the record's times."""
    if len(blackouts) < BLACKOUTS_MAX or name in blackouts:
        return blackouts
    # Neither a clock that runs ahead nor a wrong `occurred_at` may drop a blackout that is still to come.
    earlier = min(record.occurred_at, record.recorded_at)
    coming = {each: blackout for each, blackout in blackouts.items() if earlier < blackout.stop}
    if len(coming) >= BLACKOUTS_MAX:
        raise TooManyBlackouts(record.account, record.position)
    return coming
