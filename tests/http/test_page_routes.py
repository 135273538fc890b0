"""What the page asks for itself: charts agree with the past that they are drawn from; who asks is answered as it is."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import eventstore
from eventstore import ManualClock
from eventstore.clock import format_time, parse_time
from eventstore.trading import AccountOpened, ContractDefined, LimitsSet, LockoutSet, OrderFilled, Side
from projections import as_of
from projections.analysis.equity import valued_at
from tests.http.serving import Running, running

START = parse_time("2026-03-02T14:00:00Z")
HOUR = 3_600_000_000_000


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log with a trade each quarter of an hour, a limit and a lockout."""
    place = tmp_path_factory.mktemp("charts") / "data"
    clock = ManualClock(START)
    with eventstore.open(place, clock=clock) as store:
        store.append("contract/-/ESM6", ContractDefined(symbol="ESM6", multiplier=Decimal(50), currency="USD"))
        for account in ("A", "B"):
            store.append(f"account/{account}/-", AccountOpened(starting_balance=Decimal(10_000), currency="USD"))
        limit = LimitsSet(rule_id="daily-loss", parameters={"limit": "500"})
        store.append("limits/A/daily-loss", limit, actor="kim@desk")
        for number in range(16):
            clock.advance(HOUR // 4)
            side = Side.SELL if number % 2 else Side.BUY
            fill = OrderFilled(
                trade_id=f"T{number}", symbol="ESM6", side=side, quantity=Decimal(1), price=Decimal(5_000 - number)
            )
            store.append(f"order/A/O-{number}", fill)
        until = clock.now_ns() + HOUR
        store.append("lockout/A/daily-loss", LockoutSet(rule_id="daily-loss", reason="enough", until=until))
    return place


@pytest.fixture(scope="module")
def service(directory: Path) -> Iterator[Running]:
    with running(directory, clock=ManualClock(START + 5 * HOUR)) as found:
        yield found


def chart(service: Running, account: str = "A", **given: object) -> Any:  # noqa: ANN401 - JSON
    asked = {"start": format_time(START), "stop": format_time(START + 4 * HOUR), **given}
    answer = service.client.get(f"/v1/charts/{account}", params=asked)  # type: ignore[arg-type]
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"start": "noon"}, "/start"),
        ({"stop": "2026-03-02 14:00"}, "/stop"),
        ({"points": "1"}, "/points"),
        ({"points": "401"}, "/points"),
        ({"by": "guessed"}, "/by"),
        ({"known_by": ""}, "/known_by"),
    ],
)
def test_a_malformed_parameter_is_named(service: Running, given: dict[str, str], path: str) -> None:
    asked = {"start": format_time(START), "stop": format_time(START + HOUR), **given}
    answer = service.client.get("/v1/charts/A", params=asked)
    assert (answer.status_code, answer.json()["path"]) == (422, path)


def test_an_unknown_account_has_no_chart(service: Running) -> None:
    answer = service.client.get("/v1/charts/AA", params={"start": format_time(START), "stop": format_time(START)})
    assert answer.status_code == 404
    assert "similar names are A" in answer.json()["detail"]


def test_a_time_before_the_log_is_unknown_not_zero(service: Running) -> None:
    found = chart(service, start=format_time(START - 2 * HOUR), stop=format_time(START - HOUR), points=3)
    assert found["balance"] == found["equity"] == [None] * 3
    assert found["status"] == ["UNKNOWN"] * 3
    assert found["why"] == ["nothing that happened to A by then is recorded"] * 3
    assert (found["fills"], found["lockouts"], found["limits"]) == ([], [], [])


@pytest.mark.parametrize("by", ["occurred", "recorded"])
def test_each_point_is_what_the_past_book_answers(service: Running, directory: Path, by: str) -> None:
    # The records of the first instant were recorded some ns after it.
    found = chart(service, start=format_time(START + HOUR // 3_600), points=13, by=by)
    with eventstore.open(directory, read_only=True) as store:
        for index, text in enumerate(found["at"]):
            at = parse_time(text)
            book = as_of(store, account="A", **{f"{by}_at": at})  # type: ignore[arg-type]
            expected = valued_at(book, "A", at)
            assert found["status"][index] == expected.status.value
            for name in ("balance", "equity"):
                value = getattr(expected, name)
                assert found[name][index] == (None if value is None else str(value)), (name, text)
            (headroom,) = book.limits.headroom("A", at)
            (limit,) = found["limits"]
            assert limit["status"][index] == headroom.status.value
            if headroom.status.value != "UNKNOWN":
                assert Decimal(limit["left"][index]) == headroom.left
    # Flat at some instants, and with an open position that nobody quotes at others.
    assert {"KNOWN", "UNKNOWN"} <= set(found["status"])


def test_fills_and_lockouts_are_those_of_the_span(service: Running) -> None:
    found = chart(service, stop=format_time(START + HOUR))
    assert [each["quantity"] for each in found["fills"]] == ["1"] * 4
    assert found["fills"][0]["at"] == format_time(START + HOUR // 4)
    assert (found["fills_total"], found["lockouts"]) == (4, [])
    (lockout,) = chart(service)["lockouts"]
    assert (lockout["reason"], lockout["until"]) == ("enough", format_time(START + 5 * HOUR))


def test_what_was_known_earlier_has_no_later_fills(service: Running) -> None:
    found = chart(service, known_by=format_time(START + HOUR))
    assert found["fills_total"] == 4
    assert found["lockouts"] == []
    assert found["balance"][-1] == found["balance"][len(found["balance"]) // 2]


def test_who_asks_is_answered_with_the_span_of_the_log(service: Running) -> None:
    found = service.client.get("/v1/page").json()
    assert found["first_at"] == format_time(START)
    assert found["last_at"].startswith("2026-03-02T18:00:00")
    assert found["now"] == format_time(START + 5 * HOUR)
    assert (found["known_accounts"], found["accounts"], found["needs_key"]) == (["A", "B"], None, False)


def test_an_empty_log_spans_nothing(tmp_path: Path) -> None:
    with running(tmp_path) as service:
        found = service.client.get("/v1/page").json()
        assert (found["head"], found["first_at"], found["last_at"], found["known_accounts"]) == (0, None, None, [])
