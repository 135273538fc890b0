"""Laws of a rotation: the next log's book begins where the old one's ended, and nothing later can tell that it was."""

import random
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import eventstore
import projections
from eventstore import StorageWarning
from projections.builtin import builtin_views
from projections.cuts.states import encoded
from projections.fold import Fold
from projections.starts import starts_of
from projections.view import is_volatile
from tests.postgres.schemas import own_schema
from tests.postgres.servers import PostgresServer
from tests.projections.histories import history, states
from tests.projections.random_facts import Fact
from tests.proving import examples
from tests.rotation.twins import Twin, without_versions

histories = st.builds(history, st.randoms(use_true_random=False), st.integers(2, 120))
chances = st.randoms(use_true_random=False)
law = settings(
    max_examples=examples(test=15, prove=1_000),
    suppress_health_check=[HealthCheck.too_slow],
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    deadline=None,
)
# What the laws go through is covered by the tests of each part.
pytestmark = pytest.mark.untraced


@contextmanager
def twins(server: PostgresServer | None = None) -> Iterator[tuple[Twin, Twin]]:
    """Yield two logs, of which the one that is to be rotated is in PostgreSQL where a server is given."""
    with tempfile.TemporaryDirectory() as place, ExitStack() as stack:
        rotated_at = Path(place) / "rotated" if server is None else stack.enter_context(own_schema(server))
        rotated, plain = Twin(rotated_at), Twin(Path(place) / "plain")
        try:
            yield rotated, plain
        finally:
            rotated.close()
            plain.close()


def append_to_both(rotated: Twin, plain: Twin, facts: list[Fact]) -> None:
    for fact in facts:
        one, other = rotated.append(fact), plain.append(fact)
        assert (one.id, one.position, one.version, one.recorded_at) == (
            other.id, other.position, other.version, other.recorded_at,
        )  # fmt: skip


@law
@given(histories, chances)
def test_the_next_book_begins_where_the_last_one_ended(facts: list[Fact], chance: random.Random) -> None:
    with twins() as (rotated, plain):
        append_to_both(rotated, plain, facts[: chance.randint(1, len(facts))])
        ended = rotated.states()
        rotated.rotate()
        assert rotated.states() == ended == plain.states()


@pytest.mark.slow
@law
@given(histories, chances)
def test_no_later_answer_can_tell_that_the_log_was_rotated(facts: list[Fact], chance: random.Random) -> None:
    check_later_answers(facts, chance, None)


@pytest.mark.slow
@settings(law, max_examples=examples(test=15, prove=100))
@given(histories, chances)
def test_nor_that_it_was_rotated_in_postgresql(
    postgres: PostgresServer, facts: list[Fact], chance: random.Random
) -> None:
    check_later_answers(facts, chance, postgres)


def check_later_answers(facts: list[Fact], chance: random.Random, server: PostgresServer | None) -> None:
    first, second = sorted((chance.randint(1, len(facts)), chance.randint(1, len(facts))))
    with twins(server) as (rotated, plain):
        for part in (facts[:first], facts[first:second]):
            append_to_both(rotated, plain, part)
            plain.fill(rotated.rotate())
        # Reported again and retried under the same keys, from before each rotation, in both.
        for number in chance.sample(range(second), min(second, 10)):
            again = rotated.append_again(number)
            assert again.position == plain.append_again(number).position
        append_to_both(rotated, plain, facts[second:])
        assert rotated.states() == plain.states()
        assert rotated.store.verify().ok


@law
@given(histories, chances)
def test_what_is_carried_is_what_the_records_fold_to(facts: list[Fact], chance: random.Random) -> None:
    cut = chance.randint(1, len(facts))
    with twins() as (rotated, _):
        for fact in facts[:cut]:
            rotated.append(fact)
        rotated.rotate()
        for fact in facts[cut:]:
            rotated.append(fact)
        from_first = Fold(builtin_views())
        from_first.apply(list(rotated.store.read()))
        book = projections.open(rotated.store, snapshots=False)
        assert book.recovery.cut == rotated.store.chain.offset  # type: ignore[union-attr]
        assert states(book._fold) == states(from_first)
        book.close()


@pytest.mark.slow
@law
@given(histories, chances)
def test_every_past_is_that_of_the_log_that_was_not_rotated(facts: list[Fact], chance: random.Random) -> None:
    cut = chance.randint(1, len(facts))
    with twins() as (rotated, plain):
        append_to_both(rotated, plain, facts[:cut])
        plain.fill(rotated.rotate())
        append_to_both(rotated, plain, facts[cut:])
        for position in chance.sample(range(rotated.store.head() + 1), min(6, rotated.store.head())):
            one, other = (projections.as_of(twin.store, position=position) for twin in (rotated, plain))
            assert rotated.stated(one) == plain.stated(other)
        at = [record.recorded_at for record in plain.store.read() if record.type != "AlertSent"]
        for instant in chance.sample(at, min(6, len(at))):
            one, other = (projections.as_of(twin.store, recorded_at=instant) for twin in (rotated, plain))
            assert rotated.stated(one) == plain.stated(other)
            one, other = (projections.as_of(twin.store, occurred_at=instant) for twin in (rotated, plain))
            assert rotated.stated(one) == plain.stated(other)


@pytest.mark.slow
@law
@given(histories, chances)
def test_the_next_log_alone_has_every_state(facts: list[Fact], chance: random.Random) -> None:
    cut = chance.randint(1, len(facts))
    with twins() as (rotated, _):
        for fact in facts[:cut]:
            rotated.append(fact)
        rotated.rotate()
        for fact in facts[cut:]:
            rotated.append(fact)
        whole = rotated.states()
        rotated.close()
        directory = Path(rotated.place)
        (directory / "main").rename(directory.parent / "away")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", StorageWarning)
            alone = eventstore.open(directory, log="main.2", read_only=True)
        with alone:
            assert without_versions(rotated.stated(projections.open(alone))) == without_versions(whole)
        (directory.parent / "away").rename(directory / "main")


@law
@given(histories)
def test_each_state_is_carried_as_json_that_gives_it_back(facts: list[Fact]) -> None:
    with twins() as (rotated, _):
        for fact in facts:
            rotated.append(fact)
        book = projections.open(rotated.store, snapshots=False)
        before = {pair: encoded(state) for pair, state in states(book._fold).items()}
        book.close()
        rotated.rotate()
        views = [view for view in builtin_views() if not is_volatile(view)]
        found = starts_of(views, rotated.store, None, until=rotated.store.head(), accounts=None)
        carried = {(view.name, name): encoded(state) for view, loaded in found for name, state in loaded.states.items()}
        assert carried == before
