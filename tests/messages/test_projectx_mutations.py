"""Messages that anything may have happened to: mapped, or kept as a note; never an error, never a wrong figure."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import projections
from eventstore import EventStore, ManualClock
from eventstore.events import encode
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import NoteAdded
from gateways.messages import MappedEvent, Recorder, Unmapped
from gateways.messages.projectx import ProjectX, message
from tests.messages.projectx_messages import (
    CONTRACT_ID,
    account,
    answer,
    contract,
    order,
    position,
    quote,
    trade,
    user,
)

pytestmark = pytest.mark.untraced

MESSAGES = [
    user("Account", account(), 1),
    user("Order", order(fillVolume=1, filledPrice=5.5, parentOrderId=3, linkedOrderId=4)),
    user("Position", position(), 2),
    user("Trade", trade(voided=True, profitAndLoss=1.5), 0),
    message("GatewayQuote", CONTRACT_ID, quote()),
    message(
        "GatewayTrade", CONTRACT_ID, [{"symbolId": "F", "price": 5.5, "timestamp": quote()["timestamp"], "volume": 1}]
    ),
    answer("Contract/search", contracts=[contract()]),
    answer("Order/search", orders=[order(1), order(2)]),
    answer("Trade/search", trades=[trade(1), trade(2)]),
    message("Order/place", {"accountId": 4711, "customTag": "O-1"}, {"success": True, "orderId": 5}),
    message("Order/modify", {"accountId": 4711, "orderId": 5, "size": 3}, {"success": False, "errorCode": 7}),
]
ODD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.binary(max_size=3),
    st.sampled_from(["", "NaN", "null", "0", -1, 0, 1e300, 10**400, "2026-11-30", "0001-01-01T00:00:00Z", [], {}]),
)  # fmt: skip


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:  # noqa: ANN401 - JSON
    """Return the paths of all values in a message, the objects and lists among them."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *[found for name, each in items for found in leaves(each, (*path, name))]]


def with_value(value: Any, path: tuple[Any, ...], change: Any) -> Any:  # noqa: ANN401 - JSON
    """Return a message with one value replaced, or taken out."""
    if not path:
        return change
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    if len(path) == 1 and change is leaves:
        del copy[path[0]]
    else:
        copy[path[0]] = with_value(value[path[0]], path[1:], change)
    return copy


@st.composite
def mutated(draw: st.DrawFn) -> Any:  # noqa: ANN401 - JSON
    found: Any = draw(st.sampled_from(MESSAGES))
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(leaves(found)))
        found = with_value(found, path, draw(st.one_of(ODD, st.just(leaves))) if path else draw(ODD))
        if not isinstance(found, dict):
            break
    return found


@settings(max_examples=200)
@given(mutated())
def test_a_mutated_message_is_mapped_to_events_that_can_be_stored_or_refused(found: Any) -> None:  # noqa: ANN401
    try:
        events = ProjectX().events(found)
    except Unmapped:
        with pytest.raises(Unmapped) as refused:
            ProjectX().events(found)
        assert refused.value.message is found
        return
    assert events == ProjectX().events(found)
    for each in events:
        assert isinstance(each, MappedEvent)
        encode(each.event)


@settings(max_examples=40)
@given(st.lists(mutated(), max_size=6))
def test_a_recorder_raises_nothing_and_loses_nothing(messages: list[Any]) -> None:
    clock = ManualClock("2026-12-01T00:00:00Z")
    with (
        EventStore(MemoryJournal(clock=clock), clock=clock) as store,
        projections.open(store, snapshots=False) as book,
        Recorder(book, ProjectX()) as recorder,
    ):
        for each in messages:
            recorder.record(each)
        counts = recorder.counts
        assert (counts.messages, counts.held, counts.lost) == (len(messages), 0, 0)
        kept = {each.entity for each in store.read(types=(NoteAdded,)) if "unmapped" in each.event.tags}  # type: ignore[attr-defined]
        assert bool(kept) is bool(counts.unmapped)
        assert not book.parked
