"""Values that are decoded one by one, when each is first asked for: as a dict has them, whatever order they come in."""

import copy
import threading
from collections import deque
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.cuts.states import encoded
from projections.on_demand import ON_DEMAND, Values, decoder_of
from projections.views.executions.state import ExecutionsState
from projections.views.orders.state import OrdersState


class Inner(msgspec.Struct):
    recent: Annotated[dict[str, tuple[int, ...]], ON_DEMAND] = {}
    count: int = 0


class State(msgspec.Struct, dict=True):
    kept: Annotated[dict[str, list[int]], ON_DEMAND] = {}
    plain: dict[str, int] = {}
    inner: Inner = msgspec.field(default_factory=Inner)


class FailedError(Exception):
    """What the tests' values raise."""


def failed(error: msgspec.MsgspecError) -> Exception:
    return FailedError(str(error))


def loaded(state: Any) -> Any:  # noqa: ANN401 - any state
    return decoder_of(type(state)).decode(encoded(state), failed)


def undecoded(values: Any) -> set[str]:  # noqa: ANN401 - a member on demand
    return {key for key, value in values.as_stored().items() if value.__class__ is msgspec.Raw}


KEYS = st.sampled_from("abcd")
LISTS = st.lists(st.integers(0, 9), max_size=3)
STEPS = st.one_of(
    st.tuples(
        st.sampled_from(["get", "in", "pop", "del", "setdefault", "values", "last", "items", "cut", "add"]), KEYS
    ),
    st.tuples(st.just("set"), KEYS, LISTS),
)


def do(values: Any, step: tuple[Any, ...]) -> object:  # noqa: ANN401, C901 - a dict, or what stands for one
    what, key, *more = step
    match what:
        case "get":
            return values.get(key)
        case "in":
            return key in values
        case "pop":
            return values.pop(key, None)
        case "del":
            return values.__delitem__(key) if key in values else None
        case "setdefault":
            return values.setdefault(key, [7])
        case "values":
            return list(values.values())
        case "last":
            return next(reversed(values.values()), None)
        case "items":
            return list(values.items())
        case "add":
            # The fold changes such a value in its place.
            return values[key].append(5) if key in values else None
        case "set":
            values[key] = more[0]
    return None


@given(st.dictionaries(KEYS, LISTS), st.lists(STEPS, max_size=25))
def test_values_are_those_of_a_dict_through_any_steps_and_cuts(
    kept: dict[str, list[int]], steps: list[tuple[Any, ...]]
) -> None:
    plain, state = State(kept=copy.deepcopy(kept)), loaded(State(kept=kept))
    for step in steps:
        if step[0] == "cut":
            assert encoded(state) == encoded(plain)
            state = loaded(state)
        else:
            assert do(state.kept, step) == do(plain.kept, step)
        assert len(state.kept) == len(plain.kept)
        assert list(state.kept) == list(plain.kept)
    assert encoded(state) == encoded(plain)
    assert state.kept == plain.kept
    assert plain.kept == state.kept
    assert {**state.kept} == plain.kept
    assert repr(state.kept) == repr(plain.kept)


def test_nothing_is_decoded_before_it_is_asked_for_and_then_it_alone() -> None:
    state = loaded(State(kept={"a": [1], "b": [2]}, inner=Inner({"t": (1,), "u": (2,)}, 2)))
    assert undecoded(state.kept) == {"a", "b"}
    assert undecoded(state.inner.recent) == {"t", "u"}
    assert "a" in state.kept
    assert len(state.kept) == 2
    assert next(reversed(state.inner.recent.values())) == (2,)
    assert state.kept["a"] is state.kept.get("a")
    assert undecoded(state.kept) == {"b"}
    assert undecoded(state.inner.recent) == {"t"}
    assert state.plain == {}
    assert state.inner.count == 2


def test_an_empty_member_is_a_dict() -> None:
    assert loaded(State()).kept.__class__ is dict


def test_a_value_that_cannot_be_decoded_raises_each_time_and_the_others_are_there() -> None:
    raw = msgspec.msgpack.encode({"kept": {"a": "no list", "b": [2]}})
    state = decoder_of(State).decode(raw, failed)
    for _ in range(2):
        with pytest.raises(FailedError, match="Expected `array`"):
            state.kept.get("a")
    assert state.kept["b"] == [2]


def test_what_is_not_decoded_never_gets_into_json() -> None:
    state = loaded(State(kept={"a": [1]}))
    for way in (msgspec.json.encode, msgspec.msgpack.encode, msgspec.to_builtins):
        with pytest.raises(TypeError, match="Values"):
            way(state)


def test_a_deep_copy_is_a_dict_that_changes_alone() -> None:
    state = loaded(State(kept={"a": [1], "b": [2]}))
    state.kept["a"].append(3)
    other = copy.deepcopy(state)
    other.kept["a"].append(4)
    assert other.kept == {"a": [1, 3, 4], "b": [2]}
    assert state.kept == {"a": [1, 3], "b": [2]}


def test_a_lookup_never_takes_back_what_was_folded_while_it_decoded() -> None:
    began, go_on = threading.Event(), threading.Event()

    def slowly(raw: msgspec.Raw) -> list[int]:
        began.set()
        assert go_on.wait(10)
        found: list[int] = msgspec.msgpack.decode(raw)
        return found

    values: Values[str, list[int]] = Values({"a": msgspec.Raw(msgspec.msgpack.encode([1]))}, slowly, failed)
    found: deque[object] = deque()
    asking = threading.Thread(target=lambda: found.append(values.get("a")))
    asking.start()
    assert began.wait(10)
    folding = threading.Thread(target=lambda: values.__setitem__("a", [2]))
    folding.start()
    go_on.set()
    asking.join(10)
    folding.join(10)
    assert list(found) == [[1]]
    assert values["a"] == [2]


@pytest.mark.parametrize("kind", [OrdersState, ExecutionsState])
def test_the_shipped_states_have_the_schema_that_their_cuts_were_written_with(kind: type[msgspec.Struct]) -> None:
    # A mark that changed the schema would make every cut of an older version useless.
    assert "ON_DEMAND" not in str(msgspec.json.schema(kind))
    assert encoded(loaded(kind())) == encoded(kind())
