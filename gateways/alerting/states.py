"""States that somebody is alerted about while they last: computed from a book, the mirror, the disk."""

from __future__ import annotations

import decimal
import shutil
from typing import TYPE_CHECKING, NamedTuple

from eventstore import CorruptJournal, EventStore, StoreError
from eventstore.clock import NANOSECONDS, derived_from, wall_ns
from gateways.alerting.conditions import SUBJECT_MAX, Condition, Subject, cut
from projections.decimals import FIXED
from projections.risk.contexts import AccountContext
from projections.risk.contradictions import contradictions
from projections.risk.limits.sentences import money
from projections.risk.limits.unpriced import trading_since
from projections.risk.policies.liveness import PolicyRun, run_of
from projections.valuation import Status
from projections.view import SHARED
from projections.views.book_value import BookValue
from projections.views.lockouts.transitions import BROKER
from projections.views.valuing import open_holdings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from gateways.alerting.feeds import WantedQuotes
    from gateways.alerting.settings import Receiver
    from gateways.alerting.verifying import TailCheck
    from projections import Book, Worker
    from projections.views.limits.headroom import Headroom

RESTART_NS = 10 * NANOSECONDS
"""How long a process that runs policies may be away: it is restarted meanwhile."""
ATTEMPTS = 3
_PRICED = frozenset({Condition.HEADROOM, Condition.FEED_STALE})
STATES = frozenset({
    Condition.HEADROOM, Condition.FEED_STALE, Condition.BROKER_CONTRADICTS, Condition.MIRROR, Condition.WORKER_STOPPED,
    Condition.PARTITION_PARKED, Condition.VERIFICATION_FAILED, Condition.DISK,
})  # fmt: skip


class Lasting(NamedTuple):
    """Something that lasts, and how long it must have lasted (ns) until somebody is alerted.

    Without a sentence it is not known whether it lasts: nothing is sent, neither that it began nor that it ended.
    """

    subject: Subject
    sentence: str = ""
    after: int = 0


class Sight(NamedTuple):
    """What this process sees: a book, and whether it has the prices, or must rely on what others recorded.

    `is_keeper`: no other process alerts this receiver. `judges_prices`: none that alerts has the prices.
    """

    book: Book
    store: EventStore
    receiver: Receiver
    wanted: WantedQuotes
    tail: TailCheck
    workers: tuple[Worker, ...] = ()
    has_prices: bool = False
    judges_prices: bool = True
    is_keeper: bool = True

    @property
    def now(self) -> int:
        return wall_ns(self.store.clock)


def is_state(subject: Subject) -> bool:
    """Return whether a subject is of a state, whose end is noticed here."""
    return subject.what in STATES or subject.name == _BROKER_SAYS


def states_of(sight: Sight) -> list[Lasting]:
    """Return what lasts now. What cannot be asked is not known, and raises nothing."""
    found: list[Lasting] = []
    for condition, find in _FINDERS.items():
        if condition not in sight.receiver.on:
            continue
        try:
            # A clock that is wrong by decades must not keep anybody from being alerted.
            with derived_from(sight.now):
                found += _sought(sight, condition, find)
        except (StoreError, ArithmeticError, OSError):
            # What keeps it from being asked is reported itself, as a parked partition, a failed log or a full disk.
            found.append(_not_known(condition))
    return found


def _sought(sight: Sight, condition: Condition, find: Callable[[Sight], Iterable[Lasting]]) -> Iterable[Lasting]:
    is_judged = sight.judges_prices if condition in _PRICED else sight.is_keeper
    return list(find(sight)) if is_judged else [_not_known(condition)]


def _not_known(condition: Condition, account: str = SHARED) -> Lasting:
    return Lasting(Subject(str(condition), account))


def is_unknown(subject: Subject, unknown: Iterable[Subject]) -> bool:
    """Return whether a state may still last: nothing is known of it, of its account or of its condition now."""
    within = (subject, Subject(subject.what, subject.account), Subject(subject.what, SHARED))
    return any(each in within for each in unknown)


def _each_account(
    sight: Sight, condition: Condition, find: Callable[[Sight, str], Iterable[Lasting]]
) -> Iterator[Lasting]:
    """Yield what is found for each account that the receiver gets alerts about; one that cannot be read is unknown."""
    for account in sight.book.accounts.active():
        if not sight.receiver.takes(condition, account):
            continue
        try:
            yield from _undisturbed(sight, account, find)
        except (StoreError, ArithmeticError):
            yield _not_known(condition, account)


def _undisturbed(sight: Sight, account: str, find: Callable[[Sight, str], Iterable[Lasting]]) -> list[Lasting]:
    """Return what is found at one log position; what a fold in another thread made of it is asked again."""
    found: list[Lasting] = []
    for _ in range(ATTEMPTS):
        position = sight.book.position
        found = list(find(sight, account))
        if not found or sight.book.unchanged_since(position):
            return found
    return [Lasting(each.subject) for each in found]


def _lockouts(sight: Sight) -> Iterator[Lasting]:
    """Find what the broker's report locks: no LockoutSet is recorded for it."""

    def find(sight: Sight, account: str) -> Iterator[Lasting]:
        for each in sight.book.lockouts.active(account, sight.now):
            if each.rule_id == BROKER:
                subject = Subject(str(Condition.LOCKOUT), account, _BROKER_SAYS)
                yield Lasting(subject, f"{account} is locked out by the broker: {each.reason}")

    return _each_account(sight, Condition.LOCKOUT, find)


_BROKER_SAYS = "the broker's report"


def _headroom(sight: Sight) -> Iterator[Lasting]:
    below = sight.receiver.headroom_below

    def find(sight: Sight, account: str) -> Iterator[Lasting]:
        for each in sight.book.limits.headroom(account):
            subject = Subject(str(Condition.HEADROOM), account, cut(each.rule_id, SUBJECT_MAX))
            if each.status is not Status.KNOWN:
                yield Lasting(subject)
            elif each.share is not None and each.share < below:
                yield Lasting(subject, f"{account} has {each.share:.1%} of {each.rule_id} left{_left(each)}")

    return _each_account(sight, Condition.HEADROOM, find)


def _left(found: Headroom) -> str:
    if found.left is None:
        return ""
    unit = found.currency or found.unit
    return f" ({money(found.left) if found.currency else format(found.left, 'f')} {unit})".replace(" )", ")")


def _feeds(sight: Sight) -> Iterator[Lasting]:
    find = _without_price if sight.has_prices else _with_quotes_asked_for
    return _each_account(sight, Condition.FEED_STALE, find)


def _without_price(sight: Sight, account: str) -> Iterator[Lasting]:
    for symbol, why in unpriced(sight.book, account, sight.now).items():
        subject = Subject(str(Condition.FEED_STALE), account, cut(symbol, SUBJECT_MAX))
        yield Lasting(
            subject, f"{account} holds {symbol} without a usable price: {why}", sight.receiver.feed_stale_after
        )


def _with_quotes_asked_for(sight: Sight, account: str) -> Iterator[Lasting]:
    """Find what the process with the prices recorded, once a minute while a price is missing."""
    symbols = sight.wanted.lasting(account, sight.receiver.feed_stale_after)
    if not symbols and open_holdings(sight.book, account) and run_of(sight.book, account) is not PolicyRun.RUNNING:
        # Nobody asks for quotes, and nobody would.
        yield _not_known(Condition.FEED_STALE, account)
    for symbol in symbols:
        subject = Subject(str(Condition.FEED_STALE), account, cut(symbol, SUBJECT_MAX))
        yield Lasting(subject, f"{account} holds {symbol} without a usable price: quotes of it have been asked for")


def unpriced(book: Book, account: str, now: int) -> dict[str, str]:
    """Return why open positions have no usable price, by symbol; nothing outside of trading hours."""
    with decimal.localcontext(FIXED):
        standings = BookValue(book, account, now).positions.standings
    if not standings or trading_since(book, account, now) is None:
        return {}
    return {symbol: standing.why for symbol, standing in standings.items()}


def _contradictions(sight: Sight) -> Iterator[Lasting]:
    def find(sight: Sight, account: str) -> Iterator[Lasting]:
        with decimal.localcontext(FIXED):
            found = list(contradictions(AccountContext(sight.book, account, sight.now)))
        if found:
            more = f"; and {len(found) - 1} more" if len(found) > 1 else ""
            yield Lasting(Subject(str(Condition.BROKER_CONTRADICTS), account), f"{account}: {found[0]}{more}")

    return _each_account(sight, Condition.BROKER_CONTRADICTS, find)


def _mirror(sight: Sight) -> Iterator[Lasting]:
    if sight.store.side is None or not sight.store.mirror.exists:
        return
    found, subject = sight.store.mirror.status, Subject(str(Condition.MIRROR), SHARED)
    why = f": {found.last_error}" if found.last_error else ""
    if found.state == "halted":
        yield Lasting(subject, f"the mirror of log {sight.store.log} is halted at {found.position:,}{why}")
    elif found.lag_seconds * NANOSECONDS > sight.receiver.mirror_lag_above:
        behind = f"{found.lag_seconds:,.0f} s and {found.lag_events:,} records behind"
        yield Lasting(subject, f"the mirror of log {sight.store.log} is {found.state}, {behind}{why}")


def _workers(sight: Sight) -> Iterator[Lasting]:
    def find(sight: Sight, account: str) -> Iterator[Lasting]:
        if sight.book.limits.of(account) and run_of(sight.book, account) is PolicyRun.ENDED:
            sentence = f"no process runs the policies of {account} any more, so its limits are unjudged: start it again"
            yield Lasting(Subject(str(Condition.WORKER_STOPPED), account, "policies"), sentence, RESTART_NS)

    yield from _each_account(sight, Condition.WORKER_STOPPED, find)
    for worker in sight.workers:
        if worker.error is not None:
            yield Lasting(Subject(str(Condition.WORKER_STOPPED), SHARED, "worker"), f"{worker!r}")


def _parked(sight: Sight) -> Iterator[Lasting]:
    for (view, partition), error in sight.book.parked.items():
        subject = Subject(str(Condition.PARTITION_PARKED), partition, view)
        if sight.receiver.takes(Condition.PARTITION_PARKED, partition):
            yield Lasting(subject, f"view {view} failed for {partition}: {error}")


def _verification(sight: Sight) -> Iterator[Lasting]:
    fault = sight.tail.fault
    subject = Subject(str(Condition.VERIFICATION_FAILED), SHARED, VERIFIED)
    # Only `verify`, which looks at everything, can say that all is as it was written.
    yield Lasting(subject, "" if fault is None else verification_sentence(sight.store.log, fault))


VERIFIED = "log"


def verification_sentence(log: str, fault: CorruptJournal) -> str:
    where = f" at position {fault.position}" if fault.position else ""
    return f"log {log} is not as it was written{where}: {fault.reason}; keep the files, restore from a backup"


def _disk(sight: Sight) -> Iterator[Lasting]:
    directory = sight.store.directory
    if directory is None:
        return
    free = shutil.disk_usage(directory).free
    if free < sight.receiver.disk_free_below:
        sentence = f"{free / 1e9:,.1f} GB are free where log {sight.store.log} is: make room"
        yield Lasting(Subject(str(Condition.DISK), SHARED), sentence)


_FINDERS: dict[Condition, Callable[[Sight], Iterable[Lasting]]] = {
    Condition.LOCKOUT: _lockouts,
    Condition.HEADROOM: _headroom,
    Condition.FEED_STALE: _feeds,
    Condition.BROKER_CONTRADICTS: _contradictions,
    Condition.MIRROR: _mirror,
    Condition.WORKER_STOPPED: _workers,
    Condition.PARTITION_PARKED: _parked,
    Condition.VERIFICATION_FAILED: _verification,
    Condition.DISK: _disk,
}
