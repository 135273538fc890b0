"""A desk of workers in one process that share the accounts of a log, for tests."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import ExitStack, suppress
from decimal import Decimal
from typing import Any

from typing_extensions import override

import eventstore
import projections
from eventstore.trading import LockoutSet, OrderSubmitted, Side
from projections.group_worker import GroupWorker
from projections.membership import GroupMember
from projections.shares import SHARES, AccountShares
from tests.postgres.following import LockEvery, has_to_lock
from tests.projections.histories import states
from tests.waiting import until

REBALANCE_SECONDS = 60.0
"""Quiet it takes three to five: here others may use both cores."""
GROUP = "desk"
ACCOUNTS = [f"ACC{number}" for number in range(40)]
EVERY = AccountShares(frozenset(range(SHARES)))


class Desk:
    """Workers in this process, each with a store of its own."""

    def __init__(self, url: str, stack: ExitStack) -> None:
        self.url, self._stack = url, stack
        self.store = stack.enter_context(eventstore.open(url))
        self._numbers = itertools.count()
        self._workers: list[GroupWorker] = []

    def worker(self, id: str, group: str = GROUP, policy: LockEvery | None = None) -> GroupWorker:
        store = self._stack.enter_context(eventstore.open(self.url))
        worker = GroupWorker(GroupMember(store, group, id=id), store, lambda: [policy or LockEvery()])
        worker.start()
        self._workers.append(worker)
        self._stack.callback(self.ended, worker)
        return worker

    @staticmethod
    def ended(worker: GroupWorker) -> None:
        with suppress(eventstore.StoreError):
            worker.stop()

    def submit(self, count: int) -> None:
        """Append orders, some of which lock their accounts."""
        for _ in range(count):
            number = next(self._numbers)
            account = ACCOUNTS[number % len(ACCOUNTS)]
            order = OrderSubmitted(symbol="ES", side=Side.BUY, quantity=Decimal(1), reference=f"x:{number}")
            self.store.append(f"order/{account}/O-{number}", order)

    def decided(self, also: Callable[[], bool] = lambda: True) -> None:
        """Wait until every order that has to lock its account has, and until what else is asked; fail with why not."""
        until(lambda: also() and not self.lacking(), self)

    @override
    def __repr__(self) -> str:
        workers = "; ".join(f"{each} {each.stopped_policies()}" for each in self._workers)
        return f"{', '.join(self.lacking()) or 'no order'} locked no account: {workers}"

    def lacking(self) -> list[str]:
        """Return the orders that lock their account, without those for which it was locked once."""
        wanted, locked = [], []
        for record in self.store.read():
            match record.event:
                case OrderSubmitted(reference=str(label)) if has_to_lock(label):
                    wanted.append(label)
                case LockoutSet(reason=reason):
                    locked.append(reason)
        assert len(locked) == len(set(locked)), "locked twice for one order"
        return sorted(set(wanted) - set(locked))


def states_of(book: projections.Book) -> dict[tuple[str, str], Any]:
    _, fold, *_ = book.parts
    return states(fold)
