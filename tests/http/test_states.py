"""What holds over HTTP, now and as of a past instant: the same that the book says of the same log."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from typing import Any

import msgspec
import pytest

import eventstore
import projections
from eventstore import ManualClock
from eventstore.clock import format_time
from eventstore.trading import LockoutSet
from gateways.http.routes.states import StateAnswer
from gateways.presenting.account_summary import PARTS
from gateways.presenting.documents import plain
from gateways.presenting.states import STATES, StateQuestion, answered
from projections import PartitionParked
from tests.http.desk import Desk, by, done, fill, lock, open_account
from tests.http.serving import Running, running
from tests.projections.histories import append, history
from tests.projections.random_facts import ACCOUNTS, START

NOON = 1_795_186_800_000_000_000
HOUR = 3_600_000_000_000


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
def service(tmp_path: Path, clock: ManualClock) -> Iterator[Running]:
    with running(tmp_path, clock=clock, authenticator=Desk()) as found:
        open_account(found, maximum_position={"limit": "2"}, daily_loss={"limit": "500"})
        yield found


def state(service: Running, view: str, account: str | None = "A", **parameters: str) -> Any:  # noqa: ANN401 - JSON
    given = parameters if account is None else {"account": account, **parameters}
    return done(service.client.get(f"/v1/state/{view}", params=given))


def refused(service: Running, url: str, status: int, caller: str = "desk") -> Any:  # noqa: ANN401 - JSON
    answer = service.client.get(url, headers=by(caller))
    assert answer.status_code == status, answer.text
    return answer.json()


def park(service: Running, view: str, account: str = "A") -> None:
    """Let a view fail on an account, as a defect of it would."""
    parked = service.service.book.sync_book._fold.slots[view].parked
    parked[account] = PartitionParked(view, account, 3, ValueError("broken"))


def test_an_unknown_view_is_not_found_with_those_close_to_it(service: Running) -> None:
    assert "similar names are orders" in refused(service, "/v1/state/oders?account=A", 404)["detail"]


def test_an_unknown_account_is_not_found_with_those_that_the_caller_sees(service: Running) -> None:
    open_account(service, "A2")
    assert "similar names are A, A2" in refused(service, "/v1/state/orders?account=a1", 404)["detail"]
    assert refused(service, "/v1/state/orders?account=A", 403, "desk/AX")["title"] == "NotAllowed"
    assert refused(service, "/v1/state/orders?account=AX", 404, "desk/AX")["detail"].endswith("there are none yet")


@pytest.mark.parametrize("account", ["", "-", "@desk", "A B", "x" * 65])
def test_a_name_that_is_not_an_account_is_refused(service: Running, account: str) -> None:
    assert refused(service, f"/v1/state/orders?account={account}", 422)["path"] == "/account"


def test_a_view_of_accounts_needs_one(service: Running) -> None:
    for view, asked in STATES.items():
        if not asked.is_shared:
            assert refused(service, f"/v1/state/{view}", 422)["path"] == "/account"


@pytest.mark.parametrize("name", ["at", "known_by"])
@pytest.mark.parametrize(
    "text", ["2025-11-19", "2025-11-19T10:00:00", "1795186800000000000", "yesterday", "9999-01-01T00:00:00Z", ""]
)
def test_an_instant_without_zone_or_beyond_all_times_is_refused(service: Running, name: str, text: str) -> None:
    assert refused(service, f"/v1/state/orders?account=A&{name}={text}", 422)["path"] == f"/{name}"


def test_what_belongs_to_no_account_has_a_past(service: Running, clock: ManualClock) -> None:
    clock.advance(HOUR)
    done(service.append("contract/-/NQ", {"type": "ContractDefined", "data": {"symbol": "NQ", "multiplier": "20"}}))
    found = state(service, "contracts", None, known_by=format_time(NOON + HOUR - 1))
    assert [each["symbol"] for each in found["state"]] == ["ES"]
    assert [each["symbol"] for each in state(service, "contracts", None)["state"]] == ["ES", "NQ"]


def test_a_plus_sign_that_a_url_lost_is_explained(service: Running) -> None:
    found = refused(service, "/v1/state/orders?account=A&at=2025-11-19T10:00:00+01:00", 422)
    assert "%2B" in found["detail"]
    assert state(service, "orders", at="2025-11-19T10:00:00+01:00")["at"] == "2025-11-19T09:00:00.000000000Z"


def test_an_order_of_any_age_is_found_and_another_one_is_not(service: Running) -> None:
    fill(service, "A", 1)
    assert state(service, "orders")["state"] == []
    assert state(service, "orders", order_id="F-1")["state"]["status"] == "FILLED"
    assert "no order 'F-2'" in refused(service, "/v1/state/orders?account=A&order_id=F-2", 404)["detail"]


def test_a_failed_view_is_not_answered_as_if_it_held_nothing(service: Running) -> None:
    park(service, "executions")
    found = refused(service, "/v1/state/positions?account=A", 503)
    assert (found["title"], found["view"], found["partition"], found["position"]) == (
        "PartitionParked",
        "executions",
        "A",
        3,
    )
    assert state(service, "orders")["state"] == []


def test_a_summary_says_unknown_where_a_view_has_failed(service: Running) -> None:
    lock(service)
    (before,) = done(service.client.get("/v1/accounts"))["accounts"]
    assert (before["state"], before["lockouts"][0]["reason"], before["unknown"]) == ("LOCKED", "go home", {})
    park(service, "lockouts")
    (after,) = done(service.client.get("/v1/accounts"))["accounts"]
    assert (after["state"], after["lockouts"]) == ("UNKNOWN", None)
    assert "lockouts stopped for A" in after["unknown"]["lockouts"]
    assert after["orders"] == []


def test_a_limit_is_shown_although_the_clock_was_set_back(service: Running, clock: ManualClock) -> None:
    clock.set(NOON - HOUR)
    assert {each["rule_id"] for each in state(service, "headroom")["state"]} == {"daily-loss", "maximum-position"}
    assert len(state(service, "limits")["state"]["in_force"]) == 2
    (account,) = done(service.client.get("/v1/accounts"))["accounts"]
    assert len(account["headroom"]) == 2


def test_equity_is_never_without_its_status(service: Running, clock: ManualClock) -> None:
    fill(service, "A", 1)
    assert state(service, "equity")["state"]["now"]["status"] == "KNOWN"
    clock.set(NOON + HOUR)
    (account,) = done(service.client.get("/v1/accounts"))["accounts"]
    for now in (state(service, "equity")["state"]["now"], account["equity"]):
        assert now["status"] == "STALE"
        assert "ES" in now["why"]
    (unrealized,) = state(service, "pnl")["state"]["unrealized"]
    assert (unrealized["status"], "ES" in unrealized["why"]) == ("STALE", True)


def test_profit_of_an_undefined_contract_is_unknown(service: Running) -> None:
    for side, price in (("BUY", "10"), ("SELL", "11")):
        figures = {"symbol": "ODD", "side": side, "quantity": "1", "price": price, "trade_id": f"T-{side}"}
        done(service.append(f"order/A/O-{side}", {"type": "OrderFilled", "data": figures}))
    found = state(service, "pnl")["state"]
    assert (found["status"], "total" in found) == ("UNKNOWN", False)
    assert "ODD" in found["why"]
    (position,) = state(service, "positions")["state"]
    assert (position["realized_points"], position["realized"]) == ("1", None)


def test_a_contract_is_asked_about_by_any_of_its_names(service: Running) -> None:
    named = {"symbol": "ES", "multiplier": "50", "currency": "USD", "broker_ids": ["CON.ES"]}
    done(service.append("contract/-/ES", {"type": "ContractDefined", "data": named}))
    fill(service, "A", 1)
    working = {"type": "OrderSubmitted", "data": {"symbol": "CON.ES", "side": "BUY", "quantity": "1"}}
    done(service.append("order/A/W-1", working))
    for name, count in (("ES", 1), ("CON.ES", 1), ("NQ", 0)):
        assert [each["order_id"] for each in state(service, "orders", symbol=name)["state"]] == ["W-1"] * count
        assert [each["symbol"] for each in state(service, "positions", symbol=name)["state"]] == ["ES"] * count
        trades = state(service, "trades", symbol=name)["state"]
        assert (len(trades["trades"]), len(trades["totals"])) == (count, count)


def test_a_caller_sees_the_summaries_of_its_accounts_alone(service: Running) -> None:
    open_account(service, "B")
    names = {
        caller: [each["account"] for each in service.client.get("/v1/accounts", headers=by(caller)).json()["accounts"]]
        for caller in ("desk", "desk/B", "desk/C")
    }
    assert names == {"desk": ["A", "B"], "desk/B": ["B"], "desk/C": []}
    assert [each["account"] for each in done(service.client.get("/v1/accounts?account=B"))["accounts"]] == ["B"]
    assert refused(service, "/v1/accounts?account=A", 403, "desk/B")["title"] == "NotAllowed"
    assert refused(service, "/v1/accounts?account=BX", 404)["title"] == "NotFound"


def test_a_caller_of_one_account_does_not_learn_of_others_by_a_group(service: Running) -> None:
    open_account(service, "B")
    done(service.append("group/-/firm", {"type": "GroupDefined", "data": {"accounts": ["A", "B"]}}))
    assert state(service, "groups", None)["state"][0]["accounts"] == ["A", "B"]
    assert refused(service, "/v1/state/groups", 403, "desk/A")["title"] == "NotAllowed"
    answer = service.client.get("/v1/state/groups?account=A", headers=by("desk/A"))
    assert [(each["name"], each["accounts"]) for each in answer.json()["state"]] == [("firm", ["A"])]
    # Contracts are everybody's.
    assert service.client.get("/v1/state/contracts", headers=by("desk/A")).status_code == 200


def test_a_summary_has_every_part_of_every_account(service: Running) -> None:
    open_account(service, "B")
    fill(service, "B", 1)
    found = done(service.client.get("/v1/accounts"))
    book = service.service.book.sync_book
    assert found["log_position"] == book.position
    for each in found["accounts"]:
        assert set(PARTS) < set(each)
        name = each["account"]
        assert each["headroom"] == plain(book.limits.headroom(name))
        assert each["equity"] == plain(book.equity.now(name, NOON))
        assert each["orders"] == plain(book.orders.open(name))
        assert each["state"] == "FREE"
    assert [len(each["positions"]) for each in found["accounts"]] == [0, 1]


def test_what_others_commit_is_seen_at_once(service: Running) -> None:
    with projections.open(service.service.store.sync_store, snapshots=False) as other:
        before = state(service, "lockouts")["log_position"]
        other.append("lockout/A/other", LockoutSet(rule_id="other"))
        found = state(service, "lockouts")
        assert found["log_position"] == before + 1
        assert [each["rule_id"] for each in found["state"]["active"]] == ["other"]


def test_every_answer_is_the_books_own(tmp_path: Path) -> None:
    """A random history: each view of each account, now and as of instants of both kinds, is what the book says."""
    chance = random.Random(19)
    with eventstore.open(tmp_path, clock=ManualClock(START)) as store:
        for fact in history(chance, 250):
            append(store, fact)
        records = list(store.read())
        clock = ManualClock(records[-1].recorded_at + 1)
        recorded, occurred = records[120].recorded_at, sorted(record.occurred_at for record in records)[100]
    with running(tmp_path, clock=clock) as service:
        journal = service.service.store.sync_store
        for account in ACCOUNTS:
            past = {
                (None, None): service.service.book.sync_book,
                (None, recorded): projections.as_of(journal, recorded_at=recorded, account=account),
                (occurred, None): projections.as_of(journal, occurred_at=occurred, account=account),
                (occurred, recorded): projections.as_of(
                    journal, occurred_at=occurred, recorded_at=recorded, account=account
                ),
            }
            for (at, known_by), book in past.items():
                given = {"account": account}
                given |= {} if at is None else {"at": format_time(at, UTC)}
                given |= {} if known_by is None else {"known_by": format_time(known_by, UTC)}
                for view in STATES:
                    compare(service, book, view, given, at if at is not None else known_by)


def compare(service: Running, book: Any, view: str, given: dict[str, str], at: int | None) -> None:  # noqa: ANN401
    answer = service.client.get(f"/v1/state/{view}", params=given)
    if len(given) > 1 and not STATES[view].has_past:
        assert (answer.status_code, "are not kept" in answer.json()["detail"]) == (422, True)
        return
    try:
        expected, position = answered(book, view, StateQuestion(given["account"], at))
    except PartitionParked as e:
        failed = e.view
    else:
        found = msgspec.json.decode(answer.content, type=StateAnswer)
        assert (found.log_position, found.as_of) == (position, len(given) > 1), (view, given)
        assert found.state == msgspec.json.decode(msgspec.json.encode(expected)), (view, given)
        return
    assert (answer.status_code, answer.json()["view"]) == (503, failed)
