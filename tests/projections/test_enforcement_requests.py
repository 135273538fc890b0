"""Which requests a lockout makes, and each further attempt: what they are about and what they are called."""

from collections.abc import Iterator

import pytest

from eventstore.trading import EnforcementAction, EnforcementRequested
from projections.risk.enforcement.requests import bounded, next_attempt, requests_of
from tests.projections.goals_desk import CANCEL, FLATTEN, FLATTEN_SYMBOL, REDUCE_TO, GoalsDesk


@pytest.fixture
def desk() -> Iterator[GoalsDesk]:
    found = GoalsDesk()
    yield found
    found.close()


@pytest.mark.parametrize(
    ("action", "asked"),
    [
        (EnforcementAction.NONE, []),
        (CANCEL, [CANCEL]),
        (FLATTEN, [CANCEL, FLATTEN]),
        (FLATTEN_SYMBOL, [CANCEL, FLATTEN_SYMBOL]),
        (REDUCE_TO, [REDUCE_TO]),
    ],
)
def test_a_lockout_that_flattens_cancels_first(action: EnforcementAction, asked: list[EnforcementAction]) -> None:
    made = list(requests_of("A", "loss", action, name="loss-1", reason="r", details={}))
    events = [event for _, event in made if isinstance(event, EnforcementRequested)]
    assert [event.action for event in events] == asked
    assert len({event.request_id for event in events}) == len(events)
    assert [stream for stream, _ in made] == [f"enforcement/A/{event.request_id}" for event in events]


@pytest.mark.parametrize(
    ("scope", "symbol", "about"),
    [
        ("account", None, None),
        ("account", "ESZ6", "ESZ6"),
        ("symbol:ESZ6", None, "ESZ6"),
        ("root:ES", None, "ES"),
        ("symbol:ESZ6", "ESZ6", "ESZ6"),
    ],
)
def test_both_are_about_what_the_lockout_is_about(scope: str, symbol: str | None, about: str | None) -> None:
    made = requests_of("A", "x", FLATTEN, name="x", reason="", details={}, scope=scope, symbol=symbol)
    assert [getattr(event, "symbol", "") for _, event in made] == [about, about]


@pytest.mark.parametrize("name", ["x" * 128, "x" * 500, "ä/" * 60, "/" * 64, "€" * 200, "ES\n", "E\u2028S"])
def test_a_name_that_is_none_of_a_stream_gives_ids_that_fit_and_differ(desk: GoalsDesk, name: str) -> None:
    made = list(requests_of("A", "loss", FLATTEN, name=name, reason="", details={}))
    for stream, event in made:
        desk.append(stream, event)
    assert len({stream for stream, _ in made}) == 2
    assert bounded(name) == bounded(name) != bounded(name + "y")


def test_attempts_are_named_by_goal_and_number_and_keep_the_first_reason(desk: GoalsDesk) -> None:
    _, newest = desk.lock()
    names = set()
    for attempt in range(2, 40):
        stream, event = next_attempt(newest, "nobody has answered")
        assert (stream, event) == next_attempt(newest, "nobody has answered")
        record = desk.append(stream, event)
        found = desk.book.enforcement.get("A", str(record.uuid))
        assert found is not None
        newest = found
        names.add(newest.request_id)
        assert (newest.attempt, newest.reason) == (attempt, "too much; asked again: nobody has answered")
    assert len(names) == 38
    assert desk.pending == [("CANCEL_ORDERS", 1), ("FLATTEN", 39)]
