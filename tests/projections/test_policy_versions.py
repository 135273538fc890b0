"""Two versions of one policy: what the earlier one decided on a record counts for the later one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from typing_extensions import override

import projections
from eventstore import DuplicateEvent, EventStore
from eventstore.trading import LockoutSet, Side
from projections import Book
from projections.risk.policies import Decision, Policies, Trigger, TriggerKind
from tests.projections.policy_scene import FixedDecisions, fill, lockouts, running


class Revised(FixedDecisions):
    """Decides at each record, under keys of its own."""

    timed: ClassVar[bool] = False

    @override
    def decide(self, book: Book, trigger: Trigger) -> Iterable[Decision]:
        return self.decisions if trigger.kind is TriggerKind.RECORD else ()


def test_what_an_earlier_version_decided_on_a_record_counts_and_stops_nothing(store: EventStore, book: Book) -> None:
    first = ("lockout/A/x", LockoutSet(rule_id="x"))
    running(book, Revised("x", Decision((first,))))
    book.append("order/A/O", fill(Side.BUY, 100, 1))
    # It wrote no cursor: the next life decides on the same record, and one event more.
    more = ("lockout/A/y", LockoutSet(rule_id="y"))
    with projections.open(store) as other:
        policies = running(other, Revised("x", Decision((first, more))))
        assert policies.is_caught_up
        assert [each.stream for each in lockouts(store)] == ["lockout/A/x"]
        book.append("order/A/O", fill(Side.BUY, 100, 2))
        policies.tick()
        # Where both run, the one that comes second is stopped, and says so, until it is started again.
        assert isinstance(policies.stopped["x", "A"].error, DuplicateEvent)
        again = Policies(projections.open(store), [Revised("x", Decision((first, more)))]).start(ticking=False)
        assert again.is_caught_up
        assert len(lockouts(store)) == 2


def test_what_another_policy_has_recorded_under_its_keys_stops_it(store: EventStore, book: Book) -> None:
    running(book, Revised("x"))
    (record,) = book.append("order/A/O", fill(Side.BUY, 100, 1))
    store.append("lockout/A/x", LockoutSet(rule_id="z"), key=f"policy/x/{record.id.hex()}/account-NOTHING/0")
    with projections.open(store) as other:
        policies = running(other, Revised("x", Decision((("lockout/A/x", LockoutSet(rule_id="x")),))))
        assert isinstance(policies.stopped["x", "A"].error, DuplicateEvent)


def test_what_was_recorded_under_a_key_for_another_record_stops_it(store: EventStore, book: Book) -> None:
    one, other = (Decision((("lockout/A/x", LockoutSet(rule_id=rule)),), key="same") for rule in "xy")
    running(book, Revised("x", one))
    book.append("order/A/O", fill(Side.BUY, 100, 1))
    with projections.open(store) as later:
        policies = running(later, Revised("x", other))
        assert isinstance(policies.stopped["x", "A"].error, DuplicateEvent)
