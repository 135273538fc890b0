"""What loosens a rule: known parameters by direction, and every change not proved to be none."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.views.limits.loosening import COMPARISONS, loosened

CAPS = ["amount", "contracts", "distance", "fills", "limit", "loss", "max_contracts", "orders", "orders_max",
        "daily_limit", "quantity", "round_trips", "losing_trips", "target", "warning"]  # fmt: skip


def looser(name: str, old: Any, new: Any) -> bool:  # noqa: ANN401 - any JSON
    found = loosened({name: old}, {name: new})
    assert found in {(), (name,)}
    return found == (name,)


@pytest.mark.parametrize("name", CAPS)
def test_a_larger_cap_is_looser(name: str) -> None:
    assert looser(name, 500, 501)
    assert looser(name, "500", "500.01")
    assert looser(name, 9, "10")
    assert not looser(name, 500, 499)
    assert not looser(name, "500.00", 500)
    assert loosened({name: 500}, {}) == loosened({name: 500}, {name: None}) == (name,)
    assert loosened({}, {name: 500}) == ()


@pytest.mark.parametrize(
    ("name", "loose", "strict"),
    [
        ("cooldown", 30, 60),
        ("duration", "30", "60"),
        ("enabled", False, True),
        ("severity", "WARNING", "LOCKOUT"),
        ("net_of_fees", False, True),
        ("revocable", True, False),
        ("trailing", False, True),
        ("allows", "REDUCE_ONLY", "NOTHING"),
        ("action", "NONE", "CANCEL_ORDERS"),
        ("action", "REDUCE_TO", "FLATTEN"),
        ("minimum", 100, 200),
        ("margins", {"ES": 100}, {"ES": 100, "NQ": 50}),
        ("step", 50, 0),
        ("warn_at", "0.9", "0.5"),
        ("locks_at", "50000", "50100"),
        ("locks_at", "-100", "0"),
        ("symbols", ["ES"], ["ES", "NQ"]),
        ("symbols", [], ["ES"]),
        ("blocked_roots", ["ES"], ["NQ", "ES"]),
        ("allowed", ["ES", "NQ"], ["ES"]),
        ("allowed_symbols", ["ES"], []),
        ("weights", {"MES": "0.1"}, {"MES": "0.2"}),
        ("weights", {"MES": "0.1"}, {}),
        ("weights", {"MES": 2}, {"MES": 2, "MESZ5": 3}),
        ("limits", {"ES": 2, "ESZ5": 3}, {"ES": 2}),
        ("limits", {"ES": 2}, {"ES": 1}),
        ("limits", {"ES": 2, "by": "day"}, {"ES": 1, "by": "day"}),
        ("limits", {"ES": 2}, {"ES": 2, "NQ": 9}),
        ("limits", {"*": 2}, {"*": 2, "NQ": 1}),
        ("limits", {"default": 2, "NQ": 3}, {"default": 2}),
        ("limits", {"*": 2, "NQ": 3}, {"*": 2}),
        ("limits", {"ES": 2}, {"default": 1}),
        ("amount", [2, 3], [2, 2]),
        ("limits", {"ES": 1}, {"ES": 1, "ESTX": 9}),
        ("limits", {"day": {"ES": 2}}, {"day": {"ES": 1}}),
        ("warnings", ["0.8"], ["0.9", "0.5"]),
        ("warnings", ["0.5", "0.8"], ["0.8", "0.4"]),
        ("warnings", "0.8", ["0.8", "0.9"]),
    ],
)
def test_each_parameter_has_a_loose_and_a_strict_side(name: str, loose: Any, strict: Any) -> None:  # noqa: ANN401 - any JSON
    assert not looser(name, loose, strict)
    assert looser(name, strict, loose)


@pytest.mark.parametrize(
    ("name", "value", "added", "removed"),
    [
        ("cooldown", 60, False, True),
        ("duration", 60, True, True),
        ("weights", {"MES": "0.1"}, True, False),
        ("weights", {"MES": "1.0"}, False, False),
        ("weights", {"MES": "1.5"}, False, True),
        ("weights", "MES", True, True),
        ("margins", {"ES": 500}, False, True),
        ("minimum", 500, False, True),
        ("step", 50, True, False),
        ("limits", {"ES": 5}, False, True),
        ("limits", "ES", True, True),
        ("warn_at", "0.7", False, True),
        ("warn_at", "0.9", True, False),
        ("action", "FLATTEN", False, True),
        ("action", "CANCEL_ORDERS", True, True),
        ("action", "NONE", True, False),
        ("allows", "NOTHING", False, True),
        ("trailing", True, False, True),
        ("trailing", False, False, False),
        ("locks_at", 100, True, False),
        ("symbols", ["ES"], False, True),
        ("symbols", [], False, False),
        ("allowed", ["ES"], False, True),
        ("enabled", True, False, False),
        ("net_of_fees", False, True, False),
        ("enabled", False, True, False),
        ("severity", "LOCKOUT", False, True),
        ("severity", "WARNING", True, False),
        ("revocable", True, True, False),
        ("anything", 1, True, True),
    ],
)
def test_a_parameter_that_comes_or_goes(name: str, value: Any, added: bool, removed: bool) -> None:  # noqa: ANN401 - any JSON
    assert bool(loosened({}, {name: value})) is added
    assert bool(loosened({name: value}, {})) is removed


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        ("basis", "net", "gross"),
        ("currency", "USD", "EUR"),
        ("limit", "-500", "-400"),
        ("limit", 5, "many"),
        ("limit", 5, True),
        ("limit", 1.5, 1.25),
        ("limit", 5, {"ES": 5}),
        ("amount", [1, 2], [1]),
        ("limits", [1, 2], [1, 3]),
        ("cooldown", "PT15M", "PT30M"),
        ("weights", {"MES": 1}, {"MES": 0, "MNQ": 2}),
        ("action", "CANCEL_ORDERS", "FLATTEN"),
        ("scaling", [["50000", 5]], [["50000", 6]]),
        ("symbols", ["ES"], ["NQ"]),
        ("symbols", "ES", ["ES"]),
        ("allowed", ["ES"], ["NQ"]),
        ("warnings", ["0.5", "many"], ["0.5"]),
        ("severity", "LOCKOUT", "OTHER"),
        ("enabled", False, 1),
        ("enabled", True, 1),
        ("scopes", [1], [2]),
    ],
)
def test_what_cannot_be_compared_counts_as_looser_both_ways(name: str, one: Any, other: Any) -> None:  # noqa: ANN401 - any JSON
    assert looser(name, one, other)
    assert looser(name, other, one)


def test_a_limit_by_symbol_takes_the_place_of_the_one_beside() -> None:
    plain = {"limit": 5}
    assert loosened(plain, {"limit": 5, "limits": {"NQ": 9}}) == ("limits",)
    assert loosened({"limit": 5, "limits": {"NQ": 9}}, plain) == ()
    assert loosened(plain, {"limit": 5, "limits": {"NQ": 3}}) == ()
    assert loosened({"limit": 5, "limits": {"NQ": 3}}, plain) == ("limits",)
    assert loosened({"limit": 5, "limits": {"NQ": 5}}, {"limit": 6, "limits": {"NQ": 5}}) == ("limit",)


def test_every_loosened_parameter_is_named() -> None:
    old = {"limit": 500, "cooldown": 60, "orders": 9, "basis": "net"}
    assert loosened(old, {"limit": 600, "cooldown": 30, "orders": 8, "basis": "net"}) == ("cooldown", "limit")


def test_figures_are_compared_exactly() -> None:
    assert looser("limit", "0." + "1" * 60 + "1", "0." + "1" * 60 + "2")
    assert not looser("limit", "1E+3", "1000")


values = st.recursive(
    st.sampled_from([None, True, False, 0, 1, -5, 2**70, "1", "1.50", "-2", "NaN", "Infinity", "ES", "WARNING", ""]),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("ab*"), inner, max_size=3)),
    max_leaves=6,
)
parameters = st.dictionaries(st.sampled_from([*COMPARISONS, "max_x", "warn", "other"]), values, max_size=4)


@given(parameters, parameters)
def test_any_two_sets_of_parameters_can_be_compared_and_the_same_is_not_looser(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    assert loosened(one, one) == ()
    assert set(loosened(one, other)) <= one.keys() | other.keys()


figures = st.decimals(min_value=0, max_value=10**6, places=2)


@given(figures, figures, figures, st.sampled_from(["limit", "cooldown", "locks_at"]))
def test_what_tightens_step_by_step_never_loosens(one: Decimal, two: Decimal, three: Decimal, name: str) -> None:
    first, second, third = ({name: str(figure)} for figure in (one, two, three))
    if not loosened(first, second) and not loosened(second, third):
        assert not loosened(first, third)
    assert one == two or bool(loosened(first, second)) != bool(loosened(second, first))
