"""What each type of event needs of a key: no type is forgotten, and nobody unlocks an account around it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

import eventstore
import projections
from eventstore import SystemClock
from eventstore.events.registry import by_name, registered_names
from eventstore.ids import new_ids
from eventstore.trading import Allows, LockoutSet, OrderAccepted
from gateways.http.access import Scope
from gateways.http.permissions import NEEDS, VOCABULARY, check_no_weaker, needed
from tests.http.keys import Keyed, event, keyed

SOME_ID = "0b5d6f0e-6d0b-4c39-9f0e-3a1f5d0c8a11"
CLEARED = event("LockoutCleared", reason="please")
FAR, PAST = 2_050_000_000 * 10**9, 1_500_000_000 * 10**9
SOON = 1_995_000_000 * 10**9


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    keys = {
        "admin": ((Scope.ADMIN,), ()),
        "second": ((Scope.ADMIN,), ()),
        "admin-1": ((Scope.ADMIN,), ("ACC1",)),
        "appender": ((Scope.APPEND,), ("ACC1",)),
        "shared": ((Scope.APPEND,), ("ACC1", "-")),
        "shared-admin": ((Scope.ADMIN,), ("ACC1", "-")),
        "trader": ((Scope.APPEND, Scope.TRADE, Scope.READ, Scope.AUDIT), ("ACC1", "ACC3", "ACC4")),
        "reader": ((Scope.READ, Scope.AUDIT), ()),
    }
    with keyed(tmp_path_factory.mktemp("permissions"), keys) as found:
        yield found


def locked(service: Keyed, account: str = "ACC1") -> list[tuple[str, bool]]:
    """Return the rules that lock an account now, by a book of the log's own, and whether each is without end."""
    with eventstore.open(service.directory, read_only=True) as store, projections.open(store) as book:
        active = book.lockouts.active(account, SystemClock().now_ns())
        return sorted((each.rule_id, each.until is None) for each in active)


def test_every_event_type_of_the_vocabulary_is_in_the_table() -> None:
    names = {
        name for name in registered_names() if (kind := by_name(name)) and kind.cls.__module__.startswith(VOCABULARY)
    }
    assert names == set(NEEDS)


def test_an_event_type_that_the_table_lacks_needs_admin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(NEEDS, "OrderFilled")
    assert needed("OrderFilled") == ()
    assert needed("SomethingOfOurs") == (Scope.APPEND,)


@pytest.mark.parametrize("type_", ["LockoutCleared", "LimitsSet", "AccountReopened", "EquityCorrected"])
def test_what_unlocks_or_loosens_needs_admin(type_: str) -> None:
    assert NEEDS[type_] == ()


@pytest.mark.parametrize("type_", sorted(name for name, scopes in NEEDS.items() if not scopes))
def test_a_key_without_admin_appends_nothing_that_needs_it(service: Keyed, type_: str) -> None:
    kind, before = by_name(type_), head(service)
    assert kind is not None
    for name in ("trader", "reader", "appender"):
        answer = service.append(name, f"{kind.categories[0]}/ACC1/x", {"type": type_, "data": {}})
        assert answer.status_code == 403, answer.text
    assert head(service) == before


def head(service: Keyed) -> int:
    return int(service.get("admin", "/v1/records?limit=1").json()["head"])


def lock(service: Keyed, account: str, rule: str, **terms: object) -> None:
    answer = service.append("admin", f"lockout/{account}/{rule}", event("LockoutSet", rule_id=rule, **terms))
    assert answer.status_code == 200, answer.text


def attacks() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield ways to end or weaken the lockout of ACC3 by `daily-loss`, each a name, a path and a body."""
    for entity in ("daily-loss", "other", "-"):
        yield (
            "cleared",
            f"/v1/streams/lockout/ACC3/{entity}",
            {"events": [event("LockoutCleared", rule_id="daily-loss")]},
        )
    yield (
        "cleared by the policy's name",
        "/v1/streams/lockout/ACC3/daily-loss",
        {"events": [event("LockoutCleared", by="daily-loss")]},
    )
    for terms in (
        {"until": PAST},
        {"until": SOON},
        {"allows": "REDUCE_ONLY"},
        {"until": FAR, "revocable": False},
        {"revocable": False},
    ):
        for entity in ("daily-loss", "other"):
            yield (
                f"set again {terms}",
                f"/v1/streams/lockout/ACC3/{entity}",
                {"events": [event("LockoutSet", rule_id="daily-loss", **terms)]},
            )
    yield (
        "set again in the past",
        "/v1/streams/lockout/ACC3/daily-loss",
        {
            "events": [event("LockoutSet", rule_id="daily-loss", until=PAST)],
            "occurred_at": "2019-01-01T00:00:00Z",
        },
    )
    weak = event("LockoutSet", rule_id="daily-loss", until=PAST)
    strong = event("LockoutSet", rule_id="daily-loss")
    yield "twice in one batch", "/v1/streams/lockout/ACC3/daily-loss", {"events": [strong, weak]}
    yield (
        "beside a harmless batch",
        "/v1/batches",
        {
            "batches": [
                {"stream": "order/ACC3/O-9", "events": [event("OrderAccepted")]},
                {"stream": "lockout/ACC3/daily-loss", "events": [CLEARED]},
            ]
        },
    )
    yield "through another account's stream", "/v1/streams/lockout/ACC4/daily-loss", {"events": [CLEARED]}


def attacks_by_other_events() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield ways to end or weaken it by events that are not its own."""
    yield (
        "by a moved clock",
        "/v1/streams/lockout/ACC3/clock",
        {"events": [event("ClockJumped", before=FAR, after=PAST)]},
    )
    yield (
        "by a correction",
        "/v1/streams/account/ACC3/-",
        {"events": [event("EquityCorrected", wrong=SOME_ID, reason="x")]},
    )
    yield (
        "by a reopening",
        "/v1/streams/account/ACC3/-",
        {"events": [event("AccountReopened", starting_balance="1", currency="USD")]},
    )
    yield "by settings", "/v1/streams/account/ACC3/-", {"events": [event("AccountConfigured", second_approver="")]}
    yield "by shadow mode", "/v1/streams/account/ACC3/-", {"events": [event("ProtectionMode", mode="SHADOW")]}
    yield "by an approval", "/v1/streams/approval/ACC3/x", {"events": [event("Approved", record=SOME_ID)]}
    yield (
        "by a new day",
        "/v1/streams/session/ACC3/2026-12-02",
        {"events": [event("SessionReset", trading_day="2026-12-02", scheduled_for=PAST)]},
    )
    yield "by an expiry", "/v1/streams/lockout/ACC3/daily-loss", {
        "events": [event("LockoutExpired")], "occurred_at": FAR,
    }  # fmt: skip
    yield "by an order", "/v1/streams/lockout/ACC3/daily-loss", {"events": [event("OrderAccepted")]}


ATTACKS = [pytest.param(each[1:], id=each[0]) for each in (*attacks(), *attacks_by_other_events())]


@pytest.mark.parametrize("path_and_body", ATTACKS)
def test_no_key_without_admin_ends_or_weakens_a_lockout(
    service: Keyed, path_and_body: tuple[str, dict[str, Any]]
) -> None:
    if not locked(service, "ACC3"):
        lock(service, "ACC3", "daily-loss", allows="NOTHING")
    path, body = path_and_body
    answer = service.post("trader", path, body)
    # An expiry is recorded, and marked as too early; an order does not belong there.
    expected = {"LockoutExpired": 200, "OrderAccepted": 422}.get(body.get("events", [{}])[0].get("type"), 403)
    assert answer.status_code == expected, answer.text
    groups = service.post("trader", "/v1/groups", {"groups": [as_group(path, body)]})
    assert groups.status_code == 200
    assert locked(service, "ACC3") == [("daily-loss", True)]


def as_group(path: str, body: dict[str, Any]) -> dict[str, Any]:
    return body if "batches" in body else {"batches": [{"stream": path.removeprefix("/v1/streams/"), **body}]}


def test_a_trading_program_locks_its_account_and_may_tighten_that(service: Keyed) -> None:
    stream = "lockout/ACC4/kill"
    first = event("LockoutSet", rule_id="kill", until=FAR, allows="REDUCE_ONLY")
    assert service.append("trader", stream, first).status_code == 200
    assert service.append("trader", stream, first).status_code == 200
    tighter = event("LockoutSet", rule_id="kill", allows="NOTHING")
    assert service.append("trader", stream, tighter).status_code == 200
    assert locked(service, "ACC4") == [("kill", True)]
    weaker = service.append("trader", stream, first)
    assert (weaker.status_code, "may not set it again" in weaker.json()["detail"]) == (403, True)
    assert service.append("trader", stream, event("LockoutCleared")).status_code == 403
    assert service.append("admin", stream, event("LockoutCleared")).status_code == 200
    assert locked(service, "ACC4") == []


def test_one_account_s_admin_is_nobody_elsewhere(service: Keyed) -> None:
    lock(service, "ACC2", "manual")
    for body in (
        {"batches": [{"stream": "lockout/ACC2/manual", "events": [CLEARED]}]},
        {
            "batches": [
                {"stream": "order/ACC1/O-7", "events": [event("OrderAccepted")]},
                {"stream": "lockout/ACC2/manual", "events": [CLEARED]},
            ]
        },
    ):
        assert service.post("admin-1", "/v1/batches", body).status_code == 403
    assert locked(service, "ACC2") == [("manual", True)]


def test_a_name_in_an_event_is_the_key_s(service: Keyed) -> None:
    answer = service.append("admin", "lockout/ACC1/x", event("LockoutCleared", by="the broker"))
    assert (answer.status_code, "leave it out" in answer.json()["detail"]) == (403, True)


SHARED = {
    "contract/-/ESZ5": event("ContractDefined", symbol="ESZ5", multiplier="0.0001"),
    "contract/ACC1/ESZ5": event("ContractDefined", symbol="ESZ5", multiplier="0.0001"),
    "rate/-/EURUSD": event("RateQuoted", base="EUR", quote="USD", rate="1.1"),
    "mark/-/close": event("Marked", name="close"),
}


@pytest.mark.parametrize("stream", SHARED)
def test_what_every_account_depends_on_needs_a_key_that_names_it(service: Keyed, stream: str) -> None:
    assert service.append("appender", stream, SHARED[stream]).status_code == 403
    assert service.append("shared", stream, SHARED[stream]).status_code == 200


@pytest.mark.parametrize(
    ("stream", "sent"),
    [
        ("group/-/desk", event("GroupDefined", accounts=["ACC1", "ACC2"])),
        ("group/ACC1/desk", event("GroupDefined", accounts=["ACC1", "ACC2"])),
        ("limits/@desk/daily-loss", event("LimitsSet", rule_id="daily-loss", parameters={"amount": "1"})),
        ("blackout/-/fomc", event("BlackoutCanceled")),
        ("approval/-/x", event("Approved", record=SOME_ID)),
        ("policy/-/daily-loss", event("PolicyStopped", policy="daily-loss")),
    ],
)
def test_what_decides_about_every_account_needs_a_key_for_all(
    service: Keyed, stream: str, sent: dict[str, Any]
) -> None:
    assert service.append("shared-admin", stream, sent).status_code == 403
    assert service.append("admin-1", stream, sent).status_code == 403


def test_a_condition_reveals_no_foreign_account(service: Keyed) -> None:
    accepted = event("OrderAccepted")
    for accounts in ([], ["ACC2"], ["ACC1", "ACC2"]):
        answer = service.append("appender", "order/ACC1/O-8", accepted, unchanged={"accounts": accounts, "since": 0})
        assert answer.status_code == 403, accounts
    fresh = {"accounts": ["ACC1", "-"], "since": head(service)}
    assert service.append("appender", "order/ACC1/O-8", accepted, unchanged=fresh).status_code == 200


def test_the_id_of_a_foreign_record_is_not_answered_with_it(service: Keyed) -> None:
    id_ = str(uuid.UUID(bytes=new_ids(1, SystemClock().now_ns())[0]))
    sent = event("OrderAccepted", broker_order_id="secret")
    assert service.append("admin", "order/ACC2/O-5", {**sent, "id": id_}).status_code == 200
    answer = service.append("appender", "order/ACC1/O-5", {**event("OrderAccepted"), "id": id_})
    assert (answer.status_code, "secret" in answer.text) == (403, False)


def test_the_id_of_a_group_s_record_is_not_answered_with_it_either(service: Keyed) -> None:
    """It belongs to no account, which a key may be for, and names others."""
    id_ = str(uuid.UUID(bytes=new_ids(1, SystemClock().now_ns())[0]))
    group = {**event("GroupDefined", accounts=["ACC2", "SECRET"]), "id": id_}
    assert service.append("admin", "group/-/desk", group).status_code == 200
    answer = service.append("shared", "contract/-/ESZ5", {**event("ContractDefined", symbol="ESZ5"), "id": id_})
    assert (answer.status_code, "SECRET" in answer.text) == (403, False)


def test_a_note_is_about_the_key_s_own_accounts(service: Keyed) -> None:
    foreign = event("NoteAdded", target="order/ACC2/O-1", text="seen")
    assert service.append("appender", "note/ACC1/n", foreign).status_code == 403
    own = event("NoteAdded", target="order/ACC1/O-1", text="seen")
    assert service.append("appender", "note/ACC1/n", own).status_code == 200


def test_an_unlock_waits_for_another_key_where_two_are_needed(service: Keyed) -> None:
    service.append("admin", "account/ACC5/-", event("AccountOpened", starting_balance="1", currency="USD"))
    configured = service.append("admin", "account/ACC5/-", event("AccountConfigured", second_approver="*"))
    assert configured.status_code == 200, configured.text
    lock(service, "ACC5", "manual")
    (asked,) = service.append("admin", "lockout/ACC5/manual", event("LockoutCleared")).json()["records"]
    approval = event("Approved", record=asked["id"])
    for attempt in (approval, event("Approved", record=asked["id"], by="admin")):
        assert service.append("admin", "approval/ACC5/a", attempt).status_code == 200
        assert locked(service, "ACC5") == [("manual", True)]
    assert (
        service.append("admin", "approval/ACC5/a", event("Approved", record=asked["id"], by="second")).status_code
        == 403
    )
    weaker = event("LockoutSet", rule_id="manual", until=PAST)
    assert service.append("admin", "lockout/ACC5/manual", weaker).status_code == 200
    assert service.append("admin", "account/ACC5/-", event("AccountConfigured", second_approver="")).status_code == 200
    assert locked(service, "ACC5") == [("manual", True)]
    (again,) = service.append("admin", "lockout/ACC5/manual", event("LockoutCleared")).json()["records"]
    assert service.append("second", "approval/ACC5/b", event("Approved", record=again["id"])).status_code == 200
    assert locked(service, "ACC5") == []


def test_a_lockout_set_meanwhile_is_not_weakened(service: Keyed, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is judged is what is appended to: another process locks the account between the two."""
    calls: list[int] = []

    def slowly(*arguments: Any) -> None:  # noqa: ANN401 - those of the function
        check_no_weaker(*arguments)
        calls.append(1)
        if len(calls) == 1:
            store = service.served.service.store.sync_store
            store.append("lockout/ACC4/race", LockoutSet(rule_id="race", allows=Allows.NOTHING), actor="policy:race")

    monkeypatch.setattr("gateways.http.service.check_no_weaker", slowly)
    weaker = event("LockoutSet", rule_id="race", until=SystemClock().now_ns() + 10**9)
    answer = service.append("trader", "lockout/ACC4/race", weaker)
    assert (answer.status_code, calls) == (403, [1])
    assert locked(service, "ACC4") == [("race", True)]


def test_a_lockout_is_set_although_its_account_trades_on(service: Keyed, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def slowly(*arguments: Any) -> None:  # noqa: ANN401 - those of the function
        check_no_weaker(*arguments)
        calls.append(1)
        if len(calls) < 3:
            service.served.service.store.sync_store.append("order/ACC3/O-1", OrderAccepted())

    monkeypatch.setattr("gateways.http.service.check_no_weaker", slowly)
    answer = service.append("trader", "lockout/ACC3/busy", event("LockoutSet", rule_id="busy"))
    assert (answer.status_code, len(calls)) == (200, 3)
