"""What loosens a limit: each kind's parameters by their direction, and every change not proved to be none."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.risk.limits.shipped import SHIPPED
from projections.views.limits.loosening import directions_of, loosened, weakened

LEAST: dict[str, dict[str, Any]] = {
    "daily-loss": {"limit": 500},
    "weekly-loss": {"limit": 500},
    "daily-profit": {"target": 500},
    "trailing-drawdown": {"distance": 500},
    "trade-limit": {"limit": 5},
    "maximum-contracts": {"limit": 5},
    "maximum-position": {"limit": 5},
    "order-size": {"limit": 5},
    "concentration": {"limit": "0.5"},
    "consistency": {"limit": "0.5"},
    "cooldown": {"losing_trips": 3},
}
"""The parameters that a kind cannot do without."""


def change(kind: str, name: str, old: Any, new: Any) -> tuple[str, ...]:  # noqa: ANN401 - any JSON
    least = LEAST.get(kind, {})
    before, after = ({**least, name: each} for each in (old, new))
    return loosened(f"{kind}:mine", before, after)


@pytest.mark.parametrize(
    ("kind", "name", "loose", "strict"),
    [
        ("daily-loss", "limit", 501, 500),
        ("daily-loss", "limit", "500.01", "500"),
        ("daily-loss", "limit", "10", 9),
        ("daily-loss", "trailing", False, True),
        ("daily-loss", "net_of_fees", False, True),
        ("daily-loss", "enabled", False, True),
        ("daily-loss", "severity", "WARNING", "LOCKOUT"),
        ("daily-loss", "revocable", True, False),
        ("daily-loss", "allows", "REDUCE_ONLY", "NOTHING"),
        ("daily-loss", "action", "NONE", "CANCEL_ORDERS"),
        ("daily-loss", "action", "REDUCE_TO", "FLATTEN"),
        ("daily-loss", "warn_at", "0.9", "0.5"),
        ("daily-profit", "target", 600, 500),
        ("trailing-drawdown", "distance", 600, 500),
        ("trailing-drawdown", "step", 50, 0),
        ("trailing-drawdown", "locks_at", "50000", "50100"),
        ("trailing-drawdown", "locks_at", "-100", "0"),
        ("trade-limit", "limit", 6, 5),
        ("cooldown", "duration", "30", "60"),
        ("cooldown", "losing_trips", 4, 3),
        ("cooldown", "loss", 400, 300),
        ("available-balance", "minimum", 100, 200),
        ("available-balance", "margins", {"ES": 100}, {"ES": 100, "NQ": 150}),
        ("symbol-block", "symbols", ["ES"], ["ES", "NQ"]),
        ("symbol-block", "symbols", [], ["ES"]),
        ("maximum-contracts", "weights", {"MES": "0.1"}, {"MES": "0.2"}),
        ("maximum-contracts", "weights", {"MES": "0.1"}, {}),
        ("maximum-contracts", "weights", {"MES": 2}, {"MES": 2, "MESZ5": 3}),
        ("maximum-position", "limits", {"ES": 2}, {"ES": 1}),
        ("maximum-position", "limits", {"ES": 9}, {}),
        ("maximum-position", "limits", {}, {"ES": 4}),
        ("order-size", "limits", {"ES": 2, "NQ": 9}, {"ES": 2, "NQ": 3}),
    ],
)
def test_each_parameter_has_a_loose_and_a_strict_side(kind: str, name: str, loose: Any, strict: Any) -> None:  # noqa: ANN401 - any JSON
    assert change(kind, name, loose, strict) == ()
    assert change(kind, name, strict, loose) == (name,)


def test_which_name_is_whose_root_is_not_assumed() -> None:
    # ESZ5 may have had the 2 of ES, or the 5 of all: 3 is looser than the one, stricter than the other.
    assert change("maximum-position", "limits", {"ES": 2}, {"ES": 2, "ESZ5": 3}) == ("limits",)
    assert change("maximum-position", "limits", {"ES": 2}, {"ES": 2, "ESZ5": 2}) == ()
    # Without its own 1 it may have the 2 of a root with any name.
    assert change("maximum-position", "limits", {"B.17": 1, "ES": 2}, {"ES": 2}) == ("limits",)


def test_a_table_falls_back_to_the_limit_beside_it() -> None:
    old, new = {"limit": 5, "limits": {"NQ": 5}}, {"limit": 6, "limits": {"NQ": 5}}
    assert loosened("order-size", old, new) == ("limit",)
    assert loosened("order-size", old, {"limit": 6}) == ("limit", "limits")
    assert loosened("order-size", {"limits": {"NQ": 5}}, {"limit": 5, "limits": {"NQ": 5}}) == ()


@pytest.mark.parametrize(
    ("kind", "name", "value", "added", "removed"),
    [
        ("cooldown", "duration", 60, True, False),
        ("cooldown", "loss", 500, False, True),
        ("maximum-contracts", "weights", {"MES": "1.0"}, False, False),
        ("maximum-contracts", "weights", {"MES": "1.5"}, False, True),
        ("available-balance", "margins", {"ES": 500}, False, True),
        ("available-balance", "minimum", 500, False, True),
        ("trailing-drawdown", "step", 50, True, False),
        ("trailing-drawdown", "locks_at", 100, True, False),
        ("trailing-drawdown", "revocable", True, True, False),
        ("daily-loss", "revocable", False, False, True),
        ("daily-loss", "warn_at", "0.7", False, True),
        ("daily-loss", "warn_at", "0.9", True, False),
        ("daily-loss", "action", "FLATTEN", False, False),
        ("trade-limit", "action", "FLATTEN", False, True),
        ("daily-loss", "action", "NONE", True, False),
        ("daily-loss", "allows", "NOTHING", False, True),
        ("daily-loss", "trailing", True, False, True),
        ("daily-loss", "trailing", False, False, False),
        ("daily-loss", "currency", "EUR", True, True),
        ("consistency", "severity", "LOCKOUT", False, True),
        ("symbol-block", "symbols", ["ES"], False, True),
        ("symbol-block", "symbols", [], False, False),
    ],
)
def test_a_parameter_that_is_left_out_has_its_kinds_default(
    kind: str,
    name: str,
    value: Any,  # noqa: ANN401 - any JSON
    added: bool,
    removed: bool,
) -> None:
    least = LEAST.get(kind, {})
    assert bool(loosened(kind, least, {**least, name: value})) is added
    assert bool(loosened(kind, {**least, name: value}, least)) is removed
    assert loosened(kind, least, {**least, name: None}) == ()


@pytest.mark.parametrize(
    ("kind", "name", "one", "other"),
    [
        ("daily-loss", "basis", "realized", "equity"),
        ("daily-loss", "currency", "USD", "EUR"),
        ("trade-limit", "unit", "fills", "orders"),
        ("daily-loss", "action", "CANCEL_ORDERS", "FLATTEN"),
        ("maximum-contracts", "scaling", [["50000", 5]], [["50000", 6]]),
        ("maximum-contracts", "weights", {"MES": 1}, {"MES": 0, "MNQ": 2}),
        ("symbol-block", "symbols", ["ES"], ["NQ"]),
    ],
)
def test_what_cannot_be_compared_counts_as_looser_both_ways(kind: str, name: str, one: Any, other: Any) -> None:  # noqa: ANN401 - any JSON
    assert change(kind, name, one, other) == (name,)
    assert change(kind, name, other, one) == (name,)


@pytest.mark.parametrize("new", [{"limit": "many"}, {"limit": "-400"}, {"limit": True}, {"limit": {"ES": 5}}, {}])
def test_what_cannot_be_read_is_looser_than_what_can(new: dict[str, Any]) -> None:
    assert loosened("daily-loss", {"limit": "500"}, new) == ("limit",)


@pytest.mark.parametrize("old", [{"limit": "many"}, {"limit": "500", "trailng": True}, {"limit": "NaN"}, {}])
def test_what_replaces_unreadable_parameters_loosens_nothing(old: dict[str, Any]) -> None:
    assert loosened("daily-loss", old, {"limit": "9999", "enabled": False}) == ()


def test_what_replaces_a_limit_of_an_unknown_kind_loosens_nothing() -> None:
    assert loosened("daily-los", {"limit": "500"}, {"enabled": False}) == ()


def test_a_parameter_that_the_kind_does_not_have_is_looser() -> None:
    assert loosened("daily-loss", {"limit": "500"}, {"limit": "500", "trailng": True}) == ("trailng",)


def test_every_loosened_parameter_is_named() -> None:
    old = {"losing_trips": 3, "duration": 60, "loss": 9}
    assert loosened("cooldown", old, {"losing_trips": 4, "duration": 30, "loss": 8}) == ("duration", "losing_trips")


def test_figures_are_compared_exactly() -> None:
    assert change("daily-loss", "limit", "0." + "1" * 60 + "1", "0." + "1" * 60 + "2") == ("limit",)
    assert change("daily-loss", "limit", "1E+3", "1000") == ()


def test_a_kill_switch_waits_for_no_session_though_it_may_need_approval() -> None:
    old, new = {"allows": "NOTHING", "action": "FLATTEN"}, {"enabled": False, "action": "NONE", "reason": "over"}
    assert loosened("kill-switch", old, new) == ()
    assert weakened("kill-switch", old, new) == ("action", "allows", "enabled")
    assert weakened("kill-switch", new, old) == ()
    assert weakened("daily-loss", {"limit": "500"}, {"limit": "501"}) == ("limit",)


@pytest.mark.parametrize("kind", SHIPPED, ids=lambda kind: kind.name)
def test_each_parameter_of_a_shipped_kind_states_its_direction(kind: Any) -> None:  # noqa: ANN401 - a class
    # Any change of the currency may be a loosening.
    assert {*directions_of(kind.parameters)} == {*kind.parameters.__struct_fields__} - {"currency"}


values = st.recursive(
    st.sampled_from([None, True, False, 0, 1, -5, 2**70, "1", "1.50", "-2", "NaN", "Infinity", "ES", "WARNING", ""]),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("ab*"), inner, max_size=3)),
    max_leaves=6,
)
kinds = st.sampled_from(SHIPPED)


@given(st.data(), kinds)
def test_any_two_sets_of_parameters_can_be_compared_and_the_same_is_not_looser(data: st.DataObject, kind: Any) -> None:  # noqa: ANN401 - a class
    names = st.sampled_from([*kind.parameters.__struct_fields__, "other"])
    given_ = [data.draw(st.dictionaries(names, values, max_size=4)) for _ in range(2)]
    one, other = ({**LEAST.get(kind.name, {}), **each} for each in given_)
    assert loosened(kind.name, one, one) == ()
    assert set(loosened(kind.name, one, other)) <= {*kind.parameters.__struct_fields__, "other"}


figures = st.decimals(min_value=1, max_value=10**6, places=2)
FIGURES = [("daily-loss", "limit"), ("available-balance", "minimum"), ("trailing-drawdown", "locks_at")]


@given(figures, figures, figures, st.sampled_from(FIGURES))
def test_what_tightens_step_by_step_never_loosens(
    one: Decimal, two: Decimal, three: Decimal, parameter: tuple[str, str]
) -> None:
    kind, name = parameter
    first, second, third = (str(figure) for figure in (one, two, three))
    if not change(kind, name, first, second) and not change(kind, name, second, third):
        assert not change(kind, name, first, third)
    assert one == two or bool(change(kind, name, first, second)) != bool(change(kind, name, second, first))
