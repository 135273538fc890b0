"""Members of a group whose views have different revisions, as during an upgrade: each has cuts of its own."""

from __future__ import annotations

import random
import warnings
from collections import Counter
from contextlib import ExitStack
from typing import Any, ClassVar

import pytest
from typing_extensions import override

import eventstore
from eventstore import Event, EventStore, Record
from projections import SnapshotWarning
from projections.cuts import rows
from projections.view_states import state_of
from tests.postgres.sharing import ACCOUNTS, ALL, Sharer, check, lasting, step
from tests.postgres.test_share_cuts import Group
from tests.projections.cut_files import found_in
from tests.projections.examples import Everything, Water


class EverythingTwice(Everything):
    """Counts each record twice: its states look like those of the revision before, and are not."""

    revision: ClassVar[int] = 2

    @override
    def apply(self, state: Water, event: Event, record: Record) -> None:
        state.total += 2


def older() -> list[Any]:
    return [*lasting(), Everything()]


def newer() -> list[Any]:
    return [*lasting(), EverythingTwice()]


def check_counts(member: Sharer, times: int) -> None:
    """Check the counts that a member begins with: from cuts that any member has written, and the records after them."""
    member.begin()
    records = Counter(record.account for record in member.store.read())
    held = member.fold.slots[Everything.name]
    own = {account for account in held.states if account in ACCOUNTS}
    assert own == {each for each in records if each in ACCOUNTS and each in member.fold.accounts}  # type: ignore[operator]
    assert {each: state_of(held, each).total for each in own} == {each: records[each] * times for each in own}


@pytest.mark.parametrize("seed", [2, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 3))])
def test_shares_that_change_hands_between_revisions_keep_the_right_states(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    chance = random.Random(seed)
    monkeypatch.setattr(rows, "SHARE_CUTS_MAX", (64, 2, 4)[seed - 1])
    with ExitStack() as stack, warnings.catch_warnings():
        # One of another revision is passed over, and says so once; nothing else is wrong with any.
        warnings.filterwarnings("ignore", ".*revision", SnapshotWarning)

        def opened() -> EventStore:
            return stack.enter_context(eventstore.open(postgres_url))

        group = Group(opened, chance)
        kinds = [(older, 1), (newer, 2), (older, 1)]
        for member, (views, _) in zip(group.members, kinds, strict=True):
            member._views = views
            member.begin()
        for _ in range(30):
            group.step()
            if chance.randrange(4) == 0:
                step(group.writer, chance)
                number = chance.randrange(3)
                check_counts(group.members[number], kinds[number][1])
        check(group.writer, group.writer.head(), ALL)
        for member, (_, times) in zip(group.members, kinds, strict=True):
            check_counts(member, times)
        names = found_in(group.writer, "SELECT DISTINCT revision FROM part WHERE view LIKE 'everything%' ORDER BY 1")
        assert [revision for (revision,) in names] == [1, 2]
