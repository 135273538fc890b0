"""Laws of the fold: the same states from any cut, account order, repeated delivery or decimal context."""

import decimal
import itertools
import os
import random
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

import projections
from eventstore import VOLATILE, Record, UnknownContract
from eventstore.events.registry import by_class
from eventstore.trading import ClockJumped
from projections import Book, Snapshots, SnapshotWarning
from projections.builtin import builtin_views
from projections.fold import Fold
from projections.views.contracts.view import ContractsState
from projections.views.quotes.view import QuotesView
from tests.projections.examples import bought
from tests.projections.histories import append, fingerprint_of, folded, history, states, store_of, views
from tests.projections.random_facts import ACCOUNTS, SECOND, START, Fact
from tests.proving import examples

histories = st.builds(history, st.randoms(use_true_random=False), st.integers(1, 60))
chances = st.randoms(use_true_random=False)
# A broken law fails at once, with any history: finding the shortest takes minutes, and is left for the fix.
without_shrinking = (Phase.explicit, Phase.reuse, Phase.generate)
# What the laws go through is covered by the tests of each view.
pytestmark = pytest.mark.untraced

law = settings(
    max_examples=examples(test=30, prove=2_000), suppress_health_check=[HealthCheck.too_slow], phases=without_shrinking
)


@pytest.fixture(autouse=True)
def no_snapshot_is_passed_over() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error", SnapshotWarning)
        yield


@law
@given(histories, st.lists(st.integers(1, 60), min_size=1, max_size=4))
def test_a_fold_from_any_cut_is_the_fold_of_everything(facts: list[Fact], places: list[int]) -> None:
    store = store_of(facts)
    records = list(store.read())
    whole = states(folded(records))
    with tempfile.TemporaryDirectory() as directory:
        snapshots = Snapshots(Path(directory) / "cuts")
        writer = Fold(views())
        cuts = sorted({min(place, len(records)) for place in places})
        for cut in cuts:
            # Each cut after the first holds only what changed, and stands on those before it.
            writer.apply(records[writer.log_position : cut])
            assert snapshots.save(writer, store)
        for cut in cuts:
            fold = Fold()
            for view in views():
                found = snapshots.load(view, store, until=cut)
                assert found.log_position == cut
                fold.add(view, found.states)
            fold.log_position = cut
            assert states(fold) == states(folded(records[:cut]))
            fold.apply(records)
            assert states(fold) == whole
        snapshots.close()


@law
@given(histories, chances)
def test_it_does_not_matter_how_the_accounts_are_merged(facts: list[Fact], chance: random.Random) -> None:
    records = list(store_of(facts).read())
    merged: list[Record] = []
    # What belongs to no account stays where it is: the names of contracts are those known at each record, and a group's
    # limits wait for the trading days that its members begin after them. So does a jump of the clock: it is the log's.
    for shared, group in itertools.groupby(
        records, key=lambda record: record.account[0] in "-@" or record.type == ClockJumped.__name__
    ):
        part = list(group)
        queues = [part] if shared else [[each for each in part if each.account == account] for account in ACCOUNTS]
        while queues := [queue for queue in queues if queue]:
            merged.append(chance.choice(queues).pop(0))
    fold = Fold(views())
    for record in merged:
        # The fold itself takes records by position only: here each is the next one.
        fold.log_position = record.position - 1
        fold.apply([record])
    assert states(fold) == states(folded(records))


@law
@given(histories)
def test_an_account_folded_alone_is_the_account_among_others(facts: list[Fact]) -> None:
    records = list(store_of(facts).read())
    whole = states(folded(records))
    for account in ACCOUNTS:
        alone = states(folded(records, frozenset({account})))
        # What a group's limits wait for, only a book of all its members knows; so are splits that others have recorded.
        known = {account, "-"}
        found, expected = (
            {key: state for key, state in each.items() if key[1] in known and key[0] not in {"groups", "contracts"}}
            for each in (alone, whole)
        )
        assert found == expected
        own, all_known = (each.get(("contracts", "-"), ContractsState()) for each in (alone, whole))
        assert replace(own, repricings={}) == replace(all_known, repricings={})
        assert all(own.repricings[name].at <= all_known.repricings[name].at for name in own.repricings)


@law
@given(histories, st.integers(0, 60), st.integers(0, 60))
def test_a_duplicate_delivery_changes_nothing(facts: list[Fact], start: int, stop: int) -> None:
    records = list(store_of(facts).read())
    fold = folded(records)
    before = states(fold)
    assert fold.apply(records) == 0
    assert fold.apply(records[start:stop]) == 0
    assert fold.log_position == len(records)
    assert states(fold) == before
    stuttering = Fold(views())
    for place in range(len(records)):
        stuttering.apply(records[max(0, place - 3) : place + 1])
    assert states(stuttering) == before


@law
@given(histories)
def test_appending_a_history_again_changes_no_book(facts: list[Fact]) -> None:
    store = store_of(facts)
    book = projections.open(store)
    before = states(book._fold)
    for place, (stream, event) in enumerate(facts, start=1):
        (record,) = book.append(stream, event, key=str(place), actor="test")
        assert record.position == place
    assert book.position == store.head() == len(facts)
    assert states(book._fold) == before


def without_quotes(found: dict[tuple[str, str], Any]) -> dict[tuple[str, str], Any]:
    return {key: state for key, state in found.items() if key[0] != QuotesView.name}


@law
@given(histories, chances)
def test_a_live_book_is_a_replayed_one(facts: list[Fact], chance: random.Random) -> None:
    store = store_of()
    book = projections.open(store)
    for fact in facts:
        # Some are written by others, whom the book has to catch up with first.
        append(store, fact, chance.choice((book.append, book.append, store.append)))
    book.refresh()
    replayed = projections.open(store)
    assert book.position == replayed.position == len(facts)
    # An own fill is a price of the book that folds it as it happens, and of no other.
    assert without_quotes(states(book._fold)) == without_quotes(states(replayed._fold))
    assert not book.parked


@settings(law, max_examples=examples(test=12, prove=1_000))
@given(histories, st.lists(st.integers(0, 60), min_size=1, max_size=3), chances)
def test_a_past_book_is_the_fold_of_what_came_before(
    facts: list[Fact], places: list[int], chance: random.Random
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        store = store_of(directory=Path(directory))
        book = projections.open(store)
        for fact in facts:
            append(store, fact, book.append)
            if chance.randint(0, 5) == 0:
                book.snapshot()
        records = list(store.read())
        for place in {min(place, len(records)) for place in places}:
            past = projections.as_of(store, position=place)
            fresh = projections.open(store_of(facts[:place]))
            assert past.position == place
            assert states(past._fold) == states(fresh._fold)
            if place:
                recorded_at = records[place - 1].recorded_at
                assert states(projections.as_of(store, recorded_at=recorded_at)._fold) == states(past._fold)
        book.close()


@law
@given(histories)
def test_the_thread_s_own_decimal_context_does_not_matter(facts: list[Fact]) -> None:
    records = list(store_of(facts).read())
    usual = states(folded(records))
    careless = decimal.Context(prec=5, rounding=decimal.ROUND_UP)
    with decimal.localcontext(careless):
        assert states(folded(records)) == usual
        answers = _answers(facts)
    assert answers == _answers(facts)


def test_figures_have_thirty_four_digits_and_no_fewer() -> None:
    small, large = decimal.Decimal("0.00000000000001"), 10**18
    store = store_of([("trade/A/1", bought("1", 1, large)), ("trade/A/2", bought("2", 1, 0))])
    append(store, ("trade/A/3", msgspec.structs.replace(bought("3"), price=small)))
    book = projections.open(store)
    assert str(book.positions.get("A", "ESZ5").cost) == "1000000000000000000.00000000000001"
    assert str(book.trades.totals("A", "ESZ5").bought_value) == "1000000000000000000.00000000000001"


def _answers(facts: list[Fact]) -> list[object]:
    """Return a book's answers for all accounts, including figures that are computed by the query."""
    book = projections.open(store_of(facts))
    positions = [position for account in ACCOUNTS for position in book.positions.of(account)]
    money: list[object] = [(p.realized, p.realized_average_cost) for p in positions if p.multiplier is not None]
    money += [(p.difference, p.unrealized_points(decimal.Decimal("1033.123456789"))) for p in positions]
    orders = [(order, order.average_price, order.shortfall) for order in book.orders.open()]
    trades = [book.trades.of(account) for account in ACCOUNTS]
    return [*positions, *money, *orders, *trades, *(_answers_of(book, account) for account in ACCOUNTS)]


def _answers_of(book: Book, account: str) -> list[object]:
    """Return the other queries' answers for an account, or what they raise where a contract is unknown."""
    at = START + 20 * SECOND
    asked: list[Callable[[], object]] = [
        lambda: (book.pnl.day(account, at), book.pnl.week(account, at), book.pnl.total(account)),
        lambda: (book.pnl.days(account), book.pnl.by_symbol(account, at), book.pnl.reported(account)),
        lambda: (book.accounts.get(account), book.accounts.balances(account)),
        lambda: (book.equity.get(account), book.equity.now(account, at)),
        lambda: (book.bests.highs(account), book.bests.realized(account, at), book.bests.realized_since(account, at)),
        lambda: (book.sessions.history(account), book.sessions.current(account, at)),
        lambda: (book.limits.of(account, at), book.limits.history(account), book.limits.breaches(account)),
        lambda: (book.lockouts.active(account, at), book.lockouts.history(account)),
        lambda: (book.enforcement.of(account), book.enforcement.counts(account)),
        lambda: (book.blackouts.active(account, at), book.counters.of(account, at)),
        lambda: (book.pairs.of(account), book.pairs.portfolios(account)),
    ]
    return [_answered(question) for question in asked]


def _answered(question: Callable[[], object]) -> object:
    try:
        return question()
    except UnknownContract as unknown:
        return unknown.symbol


def test_the_seed_of_python_s_hashes_does_not_matter() -> None:
    program = "from tests.projections.histories import fingerprint_of; print(fingerprint_of(7, 400))"
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in ("0", "1", "4242")
    ]
    assert {process.communicate(timeout=60)[0].strip() for process in running} == {fingerprint_of(7, 400)}


def test_the_histories_hold_what_the_laws_are_about() -> None:
    facts = history(random.Random(1), 3_000)
    book = projections.open(store_of(facts))
    # All that any view folds and a log holds.
    wanted = {cls for view in builtin_views() for cls in view.types or ()}
    assert {type(event) for _, event in facts} >= {cls for cls in wanted if by_class(cls).durability > VOLATILE}
    assert all(len(book.orders.anomalies(account)) >= 6 for account in ACCOUNTS)
    assert all(book.positions.of(account) and book.lockouts.anomalies(account) for account in ACCOUNTS)
    assert all(book.enforcement.anomalies(account) for account in ACCOUNTS)
    # A clock that is set back takes back closes, days and settings that had not come.
    assert any(book.bests.highs(account).close for account in ACCOUNTS)
    assert all(book.sessions.anomalies(account) and book.limits.anomalies(account) for account in ACCOUNTS)
    assert any(session.late for account in ACCOUNTS for session in book.sessions.history(account))


def test_the_small_bounds_of_the_laws_views_are_gone_over() -> None:
    store = store_of(history(random.Random(9), 500))
    book, views = projections.open(store), folded(store.read()).slots
    over: Counter[str] = Counter()
    for account in ACCOUNTS:
        # More orders, ended lockouts, days and settings there were than the states keep.
        ended = [lockout for lockout in book.lockouts.history(account) if lockout.ended_at is not None]
        over["lockouts"] += len(views["lockouts"].states[account].ended) < len(ended)
        over["sessions"] += len(views["sessions"].states[account].days) < len(book.sessions.history(account))
        ended = [each for each in book.shadow.history(account) if each.ended_at is not None]
        over["shadow"] += len(views["shadow"].states[account].ended) < len(ended)
        over["limits"] += any(rule.known_from for rule in views["limits"].states[account].rules.values())
        over["orders"] += bool(views["orders"].states[account].late)
    assert all(over.values()), over
