"""Members of a group as their cuts see them: locks of shares, folds of some accounts, and where these start from."""

from __future__ import annotations

import random
import sys
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from eventstore import EventStore
from eventstore.trading import ContractDefined
from projections import snapshots
from projections.builtin import builtin_views
from projections.cuts import states
from projections.cuts.states import Packed, Undecoded, digest_of
from projections.fold import Fold
from projections.reading import tail
from projections.shares import AccountShares, share_of
from projections.view import is_for_all, is_volatile
from projections.view_states import state_of
from tests.projections.cut_files import beside
from tests.projections.cutting import from_zero
from tests.projections.examples import bought, filled, submitted

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventstore.record import Fence
    from eventstore.side import ProcessLock
    from projections.cuts.search import ShareStart

ACCOUNTS = [f"A{number}" for number in range(12)]
USED = sorted({share_of(account) for account in ACCOUNTS})
"""The shares that these accounts are in."""
ALL = AccountShares(frozenset(USED))
States = dict[tuple[str, str], Any]


def lasting() -> list[Any]:
    return [view for view in builtin_views() if not is_volatile(view)]


def checksummed(raw: bytes) -> Packed:
    """Pack a state as another version of the library might: in other bytes."""
    options = {int(zstd.CompressionParameter.checksum_flag): 1}
    data = zstd.ZstdCompressor(options=options).compress(raw, zstd.ZstdCompressor.FLUSH_FRAME)
    return Packed(data, len(raw), digest_of(data, len(raw)))


class Sharer:
    """A member of a group as cuts see it: the locks of its shares, and a fold of their accounts."""

    def __init__(
        self,
        store: EventStore,
        pack: Callable[[bytes], Packed] = states.pack,
        views: Callable[[], list[Any]] = lasting,
    ) -> None:
        self._pack, self._views = pack, views
        self.store, self.snapshots = store, beside(store)
        self.locks: dict[int, ProcessLock] = {}
        self.fold = Fold()

    def take(self, *shares: int) -> None:
        """Take shares, and begin again from the newest cuts."""
        for share in shares:
            lock = self.store.side.lock(f"group.share.{share:02}.lock")  # type: ignore[union-attr]
            assert lock.take()
            self.locks[share] = lock
        self.begin()

    def give(self, share: int) -> None:
        self.locks.pop(share).release()
        self.begin()

    def begin(self) -> None:
        accounts, until = AccountShares(frozenset(self.locks)), self.store.head()
        self.fold = Fold(self._views(), accounts=accounts)
        self.fold.log_position = until
        starts = self.snapshots.load_shares(self._views(), self.store, until=until, accounts=accounts)
        for start in starts:
            part = folded(start, self.store, until, self._views())
            for name, view_state in part.slots.items():
                held = self.fold.slots[name]
                held.states.update(view_state.states)
                held.changed.update(view_state.changed)
                held.saved.update(view_state.saved)

    def fences(self) -> dict[int, Fence]:
        return {share: lock.fence for share, lock in self.locks.items() if lock.fence is not None}

    def follow(self, until: int) -> None:
        for page in tail(self.store, self.fold.log_position, until, self.fold.accounts):
            self.fold.apply(page)
        self.fold.log_position = max(until, self.fold.log_position)

    def cut(self) -> int:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(snapshots, "pack", self._pack)
            return self.snapshots.save(self.fold, self.store, shares=self.fences())


def folded(start: ShareStart, store: EventStore, until: int, views: list[Any]) -> Fold:
    """Fold the tail after one of the starts of shares."""
    fold = Fold(accounts=start.accounts)
    for view in views:
        if view.name in start.states:
            fold.add(view, start.states[view.name].states, start.states[view.name].digests)
    fold.log_position = start.log_position
    for page in tail(store, start.log_position, until, start.accounts):
        fold.apply(page)
    return fold


def states_of(fold: Fold) -> States:
    return {
        (name, partition): state_of(view_state, partition)
        for name, view_state in fold.slots.items()
        for partition in list(view_state.states)
    }


def check(store: EventStore, until: int, accounts: AccountShares) -> list[ShareStart]:
    """Check that accounts of shares start from what the log's first records fold to; return where they start."""
    starts = beside(store).load_shares(lasting(), store, until=until, accounts=accounts)
    truths: dict[int, States] = {}
    seen: set[tuple[str, str]] = set()
    for start in starts:
        truth = truths.setdefault(start.log_position, from_zero(store, start.log_position))
        for view, loaded in start.states.items():
            expected = {
                name: state
                for (of_view, name), state in truth.items()
                if of_view == view and (is_for_all(name) or name in start.accounts)
            }
            found = {
                name: state.decoded({}, view, name) if isinstance(state, Undecoded) else state
                for name, state in loaded.states.items()
            }
            assert found == (expected if start.log_position else {}), (view, start.log_position)
        seen |= {(view, account) for view in start.states for account in ACCOUNTS if account in start.accounts}
    assert seen == {(view.name, account) for view in lasting() for account in ACCOUNTS if account in accounts}
    return starts


def positions(starts: list[ShareStart], share: int) -> set[int]:
    return {start.log_position for start in starts if share in start.accounts.numbers}


def step(store: EventStore, chance: random.Random) -> None:
    number, account = store.head() + 1, chance.choice(ACCOUNTS)
    match chance.randrange(8):
        case 0:
            contract = ContractDefined(symbol="ESZ5", multiplier=Decimal(chance.choice((1, 5, 20, 50))))
            store.append("contract/-/ESZ5", contract)
        case 1 | 2:
            store.append(f"order/{account}/O{number}", [submitted(3), filled(f"F{number}", 2)])
        case _:
            store.append(f"trade/{account}/T{number}", bought(f"T{number}", chance.randint(1, 9)))
