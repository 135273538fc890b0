"""Cuts of shares: each member of a group writes those of its own, and nobody's states come between them."""

from __future__ import annotations

import contextlib
import random
import sys
import warnings
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

import eventstore
import projections
from eventstore import EventStore, Fenced
from eventstore.trading import ContractDefined
from projections import SnapshotWarning
from projections.cuts import own, rows, states
from projections.cuts.tables import SHARE_OF_STATE
from projections.fold import Fold
from projections.reading import tail
from projections.shares import SHARES, AccountShares, share_of
from projections.view import is_for_all
from tests.postgres.sharing import ACCOUNTS, ALL, USED, Sharer, check, checksummed, lasting, positions, states_of, step
from tests.projections.cut_files import changed, found_in
from tests.projections.cutting import from_zero
from tests.projections.examples import RainByPlace, bought, rain

if sys.version_info >= (3, 14):
    pass
else:
    pass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def opened(postgres_url: str) -> Iterator[Callable[[], EventStore]]:
    """Open one more store of the log, each as another process has it."""
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(eventstore.open(postgres_url))


class Group:
    """Three members whose shares change hands, and who are killed, at positions of their own."""

    def __init__(self, opened: Callable[[], EventStore], chance: random.Random) -> None:
        # Bytes that differ from member to member, as those of sets do, whose order is that of the process.
        self.members = [Sharer(opened(), pack) for pack in (states.pack, checksummed, states.pack)]
        self.writer, self.chance = opened(), chance
        for number, share in enumerate(USED):
            self.members[number % 3].take(share)

    def step(self) -> None:
        for _ in range(self.chance.randint(1, 4)):
            step(self.writer, self.chance)
        member = self.chance.choice(self.members)
        match self.chance.randrange(10):
            case 0 if len(member.locks) > 1:
                self.move(member)
            case 1:
                self.kill(member)
            case 2:
                check(self.writer, self.chance.randint(1, self.writer.head()), ALL)
            case _:
                until = self.chance.randint(member.fold.log_position, self.writer.head())
                member.follow(until)
                assert member.cut() == until

    def move(self, member: Sharer) -> None:
        """Have another member take a share, after a cut or without one."""
        share = self.chance.choice(sorted(member.locks))
        if self.chance.randrange(2):
            member.cut()
        member.give(share)
        self.chance.choice([each for each in self.members if each is not member]).take(share)

    @staticmethod
    def kill(member: Sharer) -> None:
        """Forget what a member had folded, and have its shares taken once more, with new epochs."""
        shares = sorted(member.locks)
        for share in shares:
            member.give(share)
        member.take(*shares)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
def test_the_newest_cut_of_a_share_is_the_fold_under_any_owner(
    opened: Callable[[], EventStore], monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    chance = random.Random(seed)
    monkeypatch.setattr(rows, "SHARE_CUTS_MAX", (2, 64, 4)[seed])
    monkeypatch.setattr(rows, "BYTES_FOR_EACH_EVENT", (1 << 20, 1, 45)[seed])
    group = Group(opened, chance)
    with warnings.catch_warnings():
        warnings.simplefilter("error", SnapshotWarning)
        for _ in range(35):
            group.step()
        starts = check(group.writer, group.writer.head(), ALL)
        truth = from_zero(group.writer)
        for member in group.members:
            member.begin()
            owned = {pair for pair in truth if is_for_all(pair[1]) or share_of(pair[1]) in member.locks}
            assert states_of(member.fold) == {pair: truth[pair] for pair in owned}
    assert all(max(positions(starts, share)) for share in USED)
    epochs: dict[str, int] = {}
    for name, epoch in found_in(group.writer, "SELECT view, epoch FROM part ORDER BY view, position"):
        assert epoch >= epochs.get(name, 0)
        epochs[name] = epoch
    assert max(epochs.values()) > 1


@pytest.fixture
def two(opened: Callable[[], EventStore]) -> tuple[Sharer, Sharer]:
    """Two members, of one account's share each; the first is behind the second, and both have cut."""
    first, second = Sharer(opened()), Sharer(opened())
    store = first.store
    store.append("contract/-/ESZ5", ContractDefined(symbol="ESZ5", multiplier=Decimal(50)))
    first.take(share_of("A0"))
    second.take(share_of("A1"))
    assert share_of("A0") != share_of("A1")
    for number in range(6):
        store.append(f"trade/A{number % 2}/T{number}", bought(f"T{number}"))
    first.follow(4)
    second.follow(7)
    return first, second


def test_a_cut_of_other_shares_further_on_keeps_none_from_being_written(two: tuple[Sharer, Sharer]) -> None:
    first, second = two
    assert second.cut() == 7
    assert first.cut() == 4
    starts = check(first.store, 7, ALL)
    assert positions(starts, share_of("A0")) == {4}
    assert positions(starts, share_of("A1")) == {7}
    assert positions(check(first.store, 6, ALL), share_of("A1")) == {0}


def test_a_later_cut_of_the_same_share_does(two: tuple[Sharer, Sharer]) -> None:
    first, second = two
    held = first.fences()
    first.follow(7)
    assert first.cut() == 7
    late = Fold(lasting(), accounts=first.fold.accounts)
    for page in tail(first.store, 0, 5, late.accounts):
        late.apply(page)
    assert first.snapshots.save(late, first.store, shares=held) == 0
    # Nor is a cut of all accounts written before that of a share.
    whole = Fold(lasting())
    whole.apply(list(first.store.read(limit=5)))
    assert second.snapshots.save(whole, second.store) == 0


def test_a_member_that_was_paused_publishes_nothing_once_its_share_was_taken(two: tuple[Sharer, Sharer]) -> None:
    first, second = two
    assert first.cut() == 4
    paused = first.fences()
    first.locks[share_of("A0")].release()
    second.take(share_of("A0"))
    before = found_in(first.store, "SELECT view, position, epoch FROM part ORDER BY 1, 2")
    first.follow(7)
    with pytest.raises(Fenced):
        first.snapshots.save(first.fold, first.store, shares=paused)
    assert found_in(first.store, "SELECT view, position, epoch FROM part ORDER BY 1, 2") == before
    assert second.cut() == 7
    assert {
        epoch for (epoch,) in found_in(first.store, "SELECT epoch FROM part WHERE position = 7 AND view LIKE '%#%'")
    } == {1, 2}


@pytest.mark.parametrize(("table", "column"), [("state", "data"), ("part", "signature"), ("part", "shared_in")])
def test_a_damaged_cut_of_a_share_is_passed_over(two: tuple[Sharer, Sharer], table: str, column: str) -> None:
    first, _ = two
    assert first.cut() == 4
    first.follow(7)
    assert first.cut() == 7
    value: object = "elsewhere" if column == "shared_in" else b"\0" * 32
    changed(first.store, f"UPDATE {table} SET {column} = :value WHERE position = 7", value=value)  # noqa: S608 - constants
    with pytest.warns(SnapshotWarning, match="at 7 is damaged"):
        starts = check(first.store, 7, AccountShares(frozenset({share_of("A0")})))
    assert 4 in positions(starts, share_of("A0"))


def test_the_past_of_one_account_begins_at_its_share_s_cut(two: tuple[Sharer, Sharer]) -> None:
    first, second = two
    assert (first.cut(), second.cut()) == (4, 7)
    assert projections.as_of(first.store, account="A0")._last_cut == 4
    assert projections.as_of(first.store, account="A1")._last_cut == 7
    with projections.open(first.store, accounts=["A1"]) as book:
        assert book.recovery.cut == 7
        assert book.positions.get("A1", "ESZ5").quantity == 3


def test_a_whole_cut_counts_where_it_is_newer(two: tuple[Sharer, Sharer]) -> None:
    first, second = two
    assert second.cut() == 7
    first.store.append("trade/A1/T9", bought("T9"))
    with projections.open(first.store) as book:
        assert book.snapshot()
    starts = check(first.store, 8, ALL)
    assert positions(starts, share_of("A1")) == {8}
    second.begin()
    first.store.append("trade/A1/T10", bought("T10"))
    second.follow(9)
    assert second.cut() == 9
    check(first.store, 9, ALL)


def test_single_accounts_of_other_shares_start_from_their_share_s_cut(two: tuple[Sharer, Sharer]) -> None:
    first, second = two
    assert (first.cut(), second.cut()) == (4, 7)
    accounts = AccountShares(frozenset({share_of("A0")}), frozenset({"A1"}))
    starts = check(first.store, 7, accounts)
    assert {start.log_position: start.accounts.also for start in starts} == {4: frozenset(), 7: frozenset({"A1"})}


def test_a_view_by_other_partitions_starts_from_the_first_record(two: tuple[Sharer, Sharer]) -> None:
    first, _ = two
    assert first.cut() == 4
    first.store.append("rain/A0/x", rain(1))
    accounts = AccountShares(frozenset({share_of("A0")}))
    starts = first.snapshots.load_shares([*lasting(), RainByPlace()], first.store, until=7, accounts=accounts)
    assert [(start.log_position, "rain-by-place" in start.states) for start in starts] == [(0, True), (4, False)]
    assert all(own.takes_part(view) for view in lasting())


def test_of_each_share_the_newest_cut_stays_and_only_so_many(
    two: tuple[Sharer, Sharer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "SHARE_CUTS_MAX", 3)
    first, second = two
    assert second.cut() == 7
    for number in range(10, 30):
        first.store.append(f"trade/A0/T{number}", bought(f"T{number}"))
        first.follow(first.store.head())
        assert first.cut() == first.store.head()
    cuts = found_in(first.store, "SELECT count(DISTINCT position), view FROM part GROUP BY view")
    assert max(count for count, _ in cuts) <= 3 + 1
    starts = check(first.store, first.store.head(), ALL)
    assert positions(starts, share_of("A0")) == {first.store.head()}
    assert positions(starts, share_of("A1")) == {7}


def test_a_cut_that_wrote_no_state_stays_where_others_are_thinned_out(
    two: tuple[Sharer, Sharer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "BYTES_FOR_EACH_EVENT", 1)
    first, second = two
    first.follow(7)
    assert first.cut() == 7
    first.store.append("trade/A1/T8", bought("T8"))
    first.follow(8)
    assert first.cut() == 8
    for number in range(9, 14):
        first.store.append(f"trade/A1/T{number}", bought(f"T{number}"))
        second.follow(number)
        assert second.cut() == number
    assert not found_in(first.store, "SELECT 1 FROM state WHERE position = 8")
    assert positions(check(first.store, 13, ALL), share_of("A0")) == {8}


def test_a_share_that_the_fold_does_not_have_is_not_cut(two: tuple[Sharer, Sharer]) -> None:
    first, second = two
    assert second.cut() == 7
    first.store.append("trade/A1/T8", bought("T8"))
    first.follow(8)
    held = first.fences() | second.fences()
    assert first.snapshots.save(first.fold, first.store, shares=held) == 8
    starts = check(first.store, 8, ALL)
    assert (positions(starts, share_of("A0")), positions(starts, share_of("A1"))) == ({8}, {7})


def test_the_name_of_a_share_is_the_same_in_sql(opened: Callable[[], EventStore]) -> None:
    store = opened()
    names = {own.name_of_share(share): share for share in range(SHARES)}
    assert len(names) == SHARES
    with projections.open(store) as book:
        for account in ACCOUNTS:
            book.append(f"trade/{account}/T", bought(f"T{account}"))
        assert book.snapshot()
    found = dict(found_in(store, f"SELECT DISTINCT s.partition, {SHARE_OF_STATE} FROM state s"))  # noqa: S608 - a constant
    assert {account: names[found[account]] for account in ACCOUNTS} == {name: share_of(name) for name in ACCOUNTS}
