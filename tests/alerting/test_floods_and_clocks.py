"""One receiver that is dead for long, floods of alerts, and clocks that are set: bounded, and nothing is lost."""

from __future__ import annotations

import pytest
from typing_extensions import override

import eventstore
from eventstore import EventStore, ManualClock
from eventstore.clock import Times
from eventstore.trading import LimitJudged, LimitUnjudged, LockoutSet
from gateways.alerting import waiting
from gateways.alerting.conditions import Alert, Condition
from gateways.alerting.settings import Receiver
from gateways.alerting.waiting import RetryPace
from projections import Book
from tests.alerting.alerting_scene import ALL, SECOND, Inbox, Scene, flap, ids, killed, lock, sent
from tests.projections.rules_day import NOON

# A receiver that is dead for long


def test_a_lockout_is_tried_until_it_is_delivered(store: EventStore, book: Book, inbox: Inbox) -> None:
    scene = Scene(book, ALL, inbox)
    inbox.fails = "no answer"
    id_ = lock(store)
    flap(store)
    for _ in range(8 * 60):
        scene.step(60)
    given_up = sent(store)
    # Given up once each; the lockout is tried each ten minutes from then on.
    assert [(each.what, each.delivered, each.attempts, each.why) for each in given_up] == [
        ("LOCKOUT", False, 8, "no answer"),
        ("LIMIT_UNJUDGED", False, 8, "no answer"),
    ]
    assert 50 < inbox.attempts < 80
    assert len(scene.reports) == 2
    killed(scene)
    scene = Scene(book, ALL, inbox)
    inbox.fails = ""
    scene.step()
    assert ids(inbox) == [id_]
    assert [each.delivered for each in sent(store)] == [False, False, True]
    scene.steps(5)
    killed(scene)
    Scene(book, ALL, inbox).steps(5)
    assert len(inbox.alerts) == 1


def test_once_the_receiver_is_back_nothing_waits_ten_minutes(store: EventStore, book: Book, inbox: Inbox) -> None:
    scene = Scene(book, ALL, inbox, pace=RetryPace(attempts=2))
    inbox.fails = "no answer"
    wanted = [lock(store, rule_id=f"rule-{number}") for number in range(10)]
    for _ in range(30):
        scene.step(60)
    inbox.fails = ""
    for _ in range(12):
        scene.step(60)
    assert sorted(ids(inbox)) == sorted(wanted)


def test_a_flood_of_lockouts_waits_in_the_log(
    store: EventStore, book: Book, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "READ_AHEAD_MAX", 20)
    scene = Scene(book, ALL, inbox)
    inbox.fails = "no answer"
    events = [LockoutSet(rule_id="daily-loss", reason=str(number)) for number in range(10_000)]
    records = store.append("lockout/ACC1/daily-loss", events)
    for _ in range(20):
        scene.step(10)
    assert len(scene.receiving.queue) == 20
    assert len(sent(store)) <= 20
    inbox.fails = ""
    steps = 0
    while scene.receiving.position != store.head() and len(inbox.alerts) < 100:
        scene.step(1)
        steps += 1
    assert ids(inbox)[:100] == [str(record.uuid) for record in records[:100]]
    assert len(scene.receiving.queue) <= 20


def test_a_flood_of_flaps_is_merged(store: EventStore, book: Book, inbox: Inbox) -> None:
    scene = Scene(book, ALL, inbox)
    kinds = (LimitUnjudged, LimitJudged)
    store.append(
        "limits/ACC1/daily-loss",
        [kinds[number % 2](rule_id="daily-loss", why=str(number), since=NOON) for number in range(10_000)],
    )
    for _ in range(30):
        scene.step(1)
        assert len(scene.receiving.queue) <= 1
    # One for each page of records that was read, four within the hour.
    assert 1 <= len(inbox.alerts) <= 4
    for _ in range(80):
        scene.step(60)
    last = inbox.alerts[-1]
    assert (last.ended, last.sentence) == (True, "daily-loss of ACC1: 9999")
    assert sum(each.merged + 1 for each in inbox.alerts) == 10_000


def test_flaps_that_were_sent_are_not_sent_again_after_a_kill(store: EventStore, book: Book, inbox: Inbox) -> None:
    scene = Scene(book, ALL, inbox)
    for number in range(10):
        flap(store, judged=bool(number % 2))
    scene.step()
    assert [each.ended for each in inbox.alerts] == [True]
    # The cursor is written each ten seconds.
    killed(scene)
    Scene(book, ALL, inbox).steps(3)
    assert [each.ended for each in inbox.alerts] == [True]


def test_of_many_subjects_the_oldest_are_left_out_and_counted(
    store: EventStore, book: Book, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "WAITING_MAX", 10)
    scene = Scene(book, ALL, inbox)
    inbox.fails = "no answer"
    for number in range(50):
        flap(store, f"rule-{number}")
    id_ = lock(store)
    scene.step()
    assert len(scene.receiving.queue) == 11
    inbox.fails = ""
    scene.steps(5)
    assert id_ in ids(inbox)
    assert len(inbox.alerts) == 11
    assert sum(each.merged + 1 for each in inbox.alerts) == 51


# Clocks


@pytest.mark.parametrize(
    "instant", ["1970-01-02T00:00:00Z", "1995-01-01T00:00:00Z", NOON - 86_400 * SECOND, NOON + 365 * 86_400 * SECOND]
)
def test_a_clock_that_is_set_neither_silences_nor_floods(
    store: EventStore, book: Book, clock: ManualClock, inbox: Inbox, instant: Times
) -> None:
    scene = Scene(book, Receiver(name="desk", on=frozenset(Condition), disk_free_below=10**18), inbox, follow=True)
    scene.steps(2)
    assert len(inbox.alerts) == 1
    clock.set(instant)
    scene.steps(10)
    assert len(inbox.alerts) == 1
    id_ = lock(store)
    scene.steps(2)
    assert ids(inbox)[1:] == [id_]
    for _ in range(70):
        scene.step(60)
    assert [each.subject.what for each in inbox.alerts] == ["DISK", "LOCKOUT", "DISK"]


def test_an_alert_keeps_its_id_through_every_attempt(store: EventStore, book: Book) -> None:
    seen: list[Alert] = []

    class Recording(Inbox):
        @override
        def take(self, receiver: Receiver, alert: Alert, clock: eventstore.Clock) -> None:
            seen.append(alert)
            super().take(receiver, alert, clock)

    inbox = Recording()
    inbox.fails = "no answer"
    scene = Scene(book, ALL, inbox)
    lock(store)
    scene.steps(200)
    assert len(seen) > 5
    assert len({each.id for each in seen}) == 1
