"""Fields of a message: what is read, exactly, and what is refused with the field's name."""

import math
from collections.abc import Callable
from decimal import Decimal

import pytest

from gateways.messages import MessageFields, Unmapped


def fields(**members: object) -> MessageFields:
    return MessageFields("venue", "Order", members)


@pytest.mark.parametrize("value", [None, 0, -1, "", " ", "0", "-7", "null", "None", "NaN", "N/A", "undefined"])
def test_what_stands_for_no_id_is_none(value: object) -> None:
    assert fields(id=value).optional_identity("id") is None
    with pytest.raises(Unmapped, match="identifies nothing"):
        fields(id=value).identity("id")


@pytest.mark.parametrize(
    "value", [True, 1.0, [1], {}, "a" * 129, "a\nb", 10**40, pytest.param(10**5000, id="of 5,001 digits")]
)
def test_what_is_not_an_id_is_refused(value: object) -> None:
    with pytest.raises(Unmapped, match=r"venue Order: id = "):
        fields(id=value).optional_identity("id")


@pytest.mark.parametrize(("value", "identity"), [(7, "7"), (" x-7 ", "x-7"), ("0001090f.01", "0001090f.01")])
def test_an_id_is_kept_as_text(value: object, identity: str) -> None:
    assert fields(id=value).identity("id") == identity


@pytest.mark.parametrize(("value", "number"), [(0.1, "0.1"), (5, "5"), ("-1.50", "-1.50"), (1e22, "1e22")])
def test_a_number_is_the_one_written(value: object, number: str) -> None:
    assert str(fields(price=value).decimal("price")) == str(Decimal(number))


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, "NaN", "Infinity", "1_000", "1,5", "٣", True, [], "five", Decimal("sNaN")]
)
def test_what_is_not_a_number_is_refused(value: object) -> None:
    with pytest.raises(Unmapped, match="price = "):
        fields(price=value).optional_decimal("price")


@pytest.mark.parametrize("value", [0, -1, None, ""])
def test_a_size_is_above_zero(value: object) -> None:
    with pytest.raises(Unmapped, match="size = "):
        fields(size=value).positive("size")


@pytest.mark.parametrize(
    "value",
    ["2026-11-30T14:30:00", "0001-01-01T00:00:00+00:00", "1980-01-01T00:00:00Z", "yesterday", 1_700_000_000, True],
)
def test_what_is_not_a_time_is_refused(value: object) -> None:
    with pytest.raises(Unmapped, match="at = "):
        fields(at=value).optional_instant("at")


@pytest.mark.parametrize("value", [0, -1, 1_700_000_000, "1700000000000", 1.7e12, True, 10**30])
def test_what_are_not_milliseconds_is_refused(value: object) -> None:
    with pytest.raises(Unmapped, match="at = "):
        fields(at=value).milliseconds("at")


def test_times_are_nanoseconds() -> None:
    at = 1_764_513_000_123_456_700
    assert fields(at="2025-11-30T14:30:00.1234567+00:00").instant("at") == at
    assert fields(at=at // 1_000_000).milliseconds("at") == at // 1_000_000 * 1_000_000
    assert fields().milliseconds("at") is None


@pytest.mark.parametrize("value", [True, 1.0, "1", None])
def test_a_code_is_known_by_value_and_type(value: object) -> None:
    assert fields(side=1).choice("side", {0: "buy", 1: "sell"}) == "sell"
    assert fields(side=value).optional_choice("side", {0: "buy", 1: "sell"}) is None
    with pytest.raises(Unmapped, match="expected one of 0, 1"):
        fields(side=value).choice("side", {0: "buy", 1: "sell"})


READS: list[Callable[[MessageFields], object]] = [
    lambda given: given.text("x"),
    lambda given: given.inner("x"),
    lambda given: given.instant("x"),
    lambda given: given.decimal("x"),
]


@pytest.mark.parametrize("read", READS)
def test_a_missing_field_is_refused_and_the_message_kept(read: Callable[[MessageFields], object]) -> None:
    with pytest.raises(Unmapped) as refused:
        read(fields(other=1))
    error = refused.value
    assert (error.source, error.message) == ("venue", {"other": 1})
    assert error.kind.startswith("Order")
    assert error.why


def test_a_message_that_is_not_an_object_is_refused() -> None:
    with pytest.raises(Unmapped, match="expected an object"):
        MessageFields("venue", "Order", [1])


def test_a_name_that_no_stream_can_have_is_refused() -> None:
    assert fields().stream("order", "ACC1", "a/b") == "order/ACC1/a%2Fb"
    with pytest.raises(Unmapped, match="account"):
        fields().stream("order", "my account", "7")


def test_text_and_flags_are_taken_as_such_only() -> None:
    assert fields(x=" a ").text("x") == "a"
    assert fields(x=True).optional_flag("x") is True
    for read in ("text", "optional_flag"):
        with pytest.raises(Unmapped):
            getattr(fields(x=1), read)("x")
