"""Each condition, from what happens to a signed request at a receiver that fails at first, and to its end."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import msgspec
import pytest
from typing_extensions import override

import eventstore
import projections
from eventstore import Event, ManualClock, Record
from eventstore.clock import format_time
from eventstore.influx.status import LOCK_FILE, ShipperStatus, write_status
from eventstore.side import FileSide
from eventstore.trading import (
    AccountUpdated,
    EnforcementEscalated,
    LimitJudged,
    LimitUnjudged,
    NoteAdded,
    PolicyResumed,
    PolicyStopped,
    PositionReported,
    QuotesWanted,
    Side,
)
from gateways.alerting.conditions import Condition
from projections import View, Worker
from tests.alerting.alerting_scene import SECOND, Scene, lock, sent, to
from tests.alerting.http_receiver import HttpReceiver, is_signed
from tests.cli.command import flip
from tests.projections.firm import Firm
from tests.projections.rules_day import NOON

Undo = Callable[[], object]


class Case(NamedTuple):
    """How something begins, which may need some seconds; how it ends, None where nothing says so; what is received."""

    begin: Callable[[Firm, Path], Undo | None]
    sentence: str
    seconds: int = 0
    account: str = "ACC1"
    subject: str = ""


def locked(firm: Firm, _: Path) -> Undo | None:
    lock(firm.store)
    return None


def locked_by_the_broker(firm: Firm, _: Path) -> Undo:
    firm.store.append("account/ACC1/-", AccountUpdated(can_trade=False))
    return lambda: firm.store.append("account/ACC1/-", AccountUpdated(can_trade=True))


def escalated(firm: Firm, _: Path) -> Undo | None:
    event = EnforcementEscalated(request_id="R-1", attempts=3, why="no answer")
    firm.store.append("enforcement/ACC1/R-1", event)
    return None


def unjudged(firm: Firm, _: Path) -> Undo:
    unjudged = LimitUnjudged(rule_id="daily-loss", why="no rate", since=NOON)
    firm.store.append("limits/ACC1/daily-loss", unjudged)
    judged = LimitJudged(rule_id="daily-loss", why="it is judged again", since=NOON + SECOND)
    return lambda: firm.store.append("limits/ACC1/daily-loss", judged)


def near_a_limit(firm: Firm, _: Path) -> Undo:
    firm.limit("daily-loss", "ACC1", limit="1000")
    firm.make("ACC1", "-900")
    return lambda: firm.make("ACC1", "500")


def without_a_price(firm: Firm, _: Path) -> Undo:
    firm.fill("ACC1", Side.BUY, "5000")
    firm.pass_seconds(60)
    return lambda: firm.quote("5000")


def contradicted(firm: Firm, _: Path) -> Undo:
    firm.make("ACC1", "100")
    report = PositionReported(symbol="ES", quantity=Decimal(3))
    firm.store.append("position/ACC1/ES", report, occurred_at=firm.clock.now_ns())
    flat = PositionReported(symbol="ES", quantity=Decimal(0))
    return lambda: firm.store.append("position/ACC1/ES", flat, occurred_at=firm.clock.now_ns())


def mirror_halted(firm: Firm, directory: Path) -> Undo:
    place = directory / "main"
    held = FileSide(place).lock(LOCK_FILE)
    assert held.take()
    write_status(FileSide(place), ShipperStatus(os.getpid(), "halted", "the token was refused"))
    return lambda: write_status(FileSide(place), ShipperStatus(os.getpid(), "shipping"))


def mirror_behind(firm: Firm, directory: Path) -> Undo | None:
    (directory / "main" / "mirror.lock").touch()
    firm.pass_seconds(61)
    return None


def policy_stopped(firm: Firm, _: Path) -> Undo:
    firm.store.append("policy/ACC1/daily-loss", PolicyStopped(policy="daily-loss", why="a bug"))
    return lambda: firm.store.append("policy/ACC1/daily-loss", PolicyResumed(policy="daily-loss"))


def policies_ended(firm: Firm, _: Path) -> Undo:
    firm.limit("daily-loss", "ACC1", limit="1000")
    firm.policies.stop()
    return lambda: firm.policies.start(ticking=False)


def disk_full(firm: Firm, _: Path) -> Undo | None:
    return None


CASES = {
    (Condition.LOCKOUT, ""): Case(
        locked, "ACC1 is locked out by daily-loss, without end date: too", 0, "ACC1", "daily-loss"
    ),
    (Condition.LOCKOUT, "broker"): Case(
        locked_by_the_broker, "locked out by the broker", subject="the broker's report"
    ),
    (Condition.ENFORCEMENT_ESCALATED, ""): Case(escalated, "after 3 attempts (no answer): act by hand", subject="R-1"),
    (Condition.LIMIT_UNJUDGED, ""): Case(unjudged, "daily-loss of ACC1 is not judged", subject="daily-loss"),
    (Condition.HEADROOM, ""): Case(
        near_a_limit, "ACC1 has 10.0% of daily-loss left (100.00 USD)", subject="daily-loss"
    ),
    (Condition.FEED_STALE, ""): Case(without_a_price, "ACC1 holds ES without a usable price", 31, subject="ES"),
    (Condition.BROKER_CONTRADICTS, ""): Case(contradicted, "ACC1: the broker reports 3 ES, the fills give 0", 7),
    (Condition.MIRROR, "halted"): Case(mirror_halted, "is halted at 0: the token was refused", account="-"),
    (Condition.MIRROR, "behind"): Case(mirror_behind, "is stopped, 62 s and", account="-"),
    (Condition.POLICY_STOPPED, ""): Case(
        policy_stopped, "policy daily-loss has stopped for ACC1", subject="daily-loss"
    ),
    (Condition.WORKER_STOPPED, ""): Case(
        policies_ended, "no process runs the policies of ACC1", 12, subject="policies"
    ),
    (Condition.DISK, ""): Case(disk_full, "GB are free where log main is: make room", account="-"),
}


@pytest.fixture
def firm(tmp_path: Path) -> Iterator[Firm]:
    firm = Firm(tmp_path / "data", "ACC1")
    yield firm
    firm.close()


@pytest.mark.parametrize(("condition", "which"), CASES, ids=str)
def test_each_condition_reaches_a_receiver_that_fails_at_first(
    firm: Firm, tmp_path: Path, condition: Condition, which: str
) -> None:
    case = CASES[condition, which]
    more: dict[str, Any] = {"disk_free_below": 10**18} if condition is Condition.DISK else {}
    with HttpReceiver(500, 307, listening=False) as receiver:
        scene = Scene(firm.book, to(receiver.url, condition, **more), follow=True)
        scene.step()
        assert receiver.received == [] or condition is Condition.DISK
        undo = case.begin(firm, tmp_path / "data")
        for _ in range(case.seconds):
            scene.step(1)
        scene.step(1)
        assert "Connection refused" in scene.receiving.trouble
        receiver.listen()
        scene.steps(12)
        # Refused, answered by 500 and by a redirect, which is not followed; then taken.
        assert len(receiver.received) == 3
        assert set(receiver.ids) == {receiver.ids[0]}
        check(receiver, condition, case, firm)
        scene.steps(5)
        assert len(receiver.received) == 3
        if undo is not None:
            undo()
            scene.steps(4)
            assert [each.document["ended"] for each in receiver.received] == [False, False, False, True]
            assert receiver.ids[3] != receiver.ids[0]
            assert is_signed(receiver.received[3])


def check(receiver: HttpReceiver, condition: Condition, case: Case, firm: Firm) -> None:
    for each in receiver.received:
        assert is_signed(each)
        assert (each.method, each.path) == ("POST", "/alerts?key=a-secret-of-the-url")
        assert each.headers["content-type"] == "application/json"
    last = receiver.received[-1]
    document = last.document
    assert case.sentence in document["sentence"]
    assert (document["what"], document["account"], document["subject"]) == (str(condition), case.account, case.subject)
    assert (document["log"], document["ended"], document["id"]) == ("main", False, last.headers["webhook-id"])
    assert len(document["at"]) == len("2026-11-20T15:00:00.000000000Z")
    assert abs(int(last.headers["webhook-timestamp"]) - firm.clock.now_ns() // SECOND) < 20
    [recorded] = sent(firm.store)
    assert (recorded.what, recorded.to, recorded.delivered) == (str(condition), "desk", True)
    # One or two were refused, before the receiver listened.
    assert recorded.attempts in {4, 5}
    assert recorded.subject == case.subject


def test_a_record_s_alert_has_its_id_its_place_and_its_members(firm: Firm) -> None:
    with HttpReceiver() as receiver:
        scene = Scene(firm.book, to(receiver.url, Condition.LOCKOUT))
        id_ = lock(firm.store)
        [record] = firm.store.read(stream="lockout/ACC1/daily-loss")
        scene.step()
        [received] = receiver.received
    document = received.document
    assert (document["id"], document["position"]) == (id_, record.position)
    assert document["at"] == format_time(record.recorded_at)
    assert document["details"]["details"] == {"figure": "-1000.50"}
    assert document["merged"] == 0
    assert len(list(firm.store.read(stream=f"alert/ACC1/{id_}"))) == 1


class Failing(View[Any]):
    """Fails on each note."""

    name: ClassVar[str] = "failing"
    revision: ClassVar[int] = 1
    types: ClassVar[tuple[type[Event], ...] | None] = (NoteAdded,)

    @override
    def initial(self) -> msgspec.Struct:
        return msgspec.defstruct("State", [])()

    @override
    def apply(self, state: Any, event: Event, record: Record) -> None:
        msg = "a view's own bug"
        raise ValueError(msg)


def test_a_parked_partition(tmp_path: Path) -> None:
    with (
        eventstore.open(tmp_path / "data") as store,
        projections.open(store, views=[Failing()]) as book,
        HttpReceiver() as receiver,
    ):
        scene = Scene(book, to(receiver.url, Condition.PARTITION_PARKED), follow=True)
        store.append("note/ACC1/N", NoteAdded(target="day/ACC1/2026-11-20", text="bad day"))
        scene.step()
        [received] = receiver.received
    assert received.document["subject"] == "failing"
    assert received.document["account"] == "ACC1"
    assert "a view's own bug" in received.document["sentence"]


def test_a_log_that_was_changed(tmp_path: Path) -> None:
    with eventstore.open(tmp_path / "data") as store:
        for number in range(600):
            store.enqueue(f"enforcement/ACC1/{number}", QuotesWanted(symbols=("ES",), reason="no price"))
    # Opening checks the last 256 records only.
    flip(tmp_path / "data", 1)
    clock = ManualClock(NOON)
    with (
        eventstore.open(tmp_path / "data", clock=clock) as store,
        projections.open(store, snapshots=False) as book,
        HttpReceiver() as receiver,
    ):
        scene = Scene(book, to(receiver.url, Condition.VERIFICATION_FAILED), follow=True)
        scene.steps(70)
        [received] = receiver.received
        assert "log main is not as it was written at position 1:" in received.document["sentence"]
        assert [each.what for each in sent(store)] == ["VERIFICATION_FAILED"]


def test_a_worker_that_ended(firm: Firm) -> None:
    worker = Worker(firm.store, firm.book)
    with HttpReceiver() as receiver:
        scene = Scene(firm.book, to(receiver.url, Condition.WORKER_STOPPED), workers=(worker,))
        scene.step()
        worker.error = ValueError("a bug")
        scene.step(2)
        [received] = receiver.received
    assert "ended at" in received.document["sentence"]


def test_every_condition_has_a_case() -> None:
    by_itself = {Condition.PARTITION_PARKED, Condition.VERIFICATION_FAILED}
    assert {condition for condition, _ in CASES} | by_itself == set(Condition)
