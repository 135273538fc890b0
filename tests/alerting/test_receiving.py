"""One receiver: nothing is lost or sent under two ids, however it fails, restarts, floods or clocks are set."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

import projections
from eventstore import EventStore, ManualClock, StorageFull
from eventstore.files import is_locked
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import AlertSent
from gateways.alerting.conditions import Condition, Subject
from gateways.alerting.records import alert_of
from gateways.alerting.settings import Receiver
from projections import Book
from tests.alerting.alerting_scene import ALL, DISK, Inbox, Scene, flap, ids, killed, lock, sent

# Beginnings


@pytest.mark.parametrize("name", ["prices", "heartbeat"])
def test_no_name_of_a_receiver_is_taken_for_another_lock(store: EventStore, book: Book, name: str) -> None:
    assert store.directory is not None
    scene = Scene(book, Receiver(name=name), Inbox())
    assert scene.receiving.is_keeper
    assert not is_locked(store.directory / f"alerts-{name}.lock")


def test_the_first_start_begins_at_the_head(store: EventStore, book: Book, inbox: Inbox) -> None:
    lock(store)
    scene = Scene(book, ALL, inbox)
    scene.steps(3)
    assert inbox.alerts == []
    id_ = lock(store, rule_id="other")
    scene.steps(3)
    assert ids(inbox) == [id_]


def test_what_was_recorded_while_nobody_alerted_is_sent_later(store: EventStore, book: Book, inbox: Inbox) -> None:
    Scene(book, ALL, inbox).receiving.end()
    id_ = lock(store)
    Scene(book, ALL, inbox).step()
    assert ids(inbox) == [id_]


@pytest.mark.parametrize("content", [b"damaged", b"{}"])
def test_a_damaged_cursor_sends_nothing_twice_and_leaves_nothing_out(
    store: EventStore, book: Book, inbox: Inbox, content: bytes
) -> None:
    scene = Scene(book, ALL, inbox)
    first = lock(store)
    scene.step()
    scene.receiving.end()
    second = lock(store, rule_id="other")
    assert store.directory is not None
    (store.directory / "watermarks" / "alerts@desk").write_bytes(content)
    Scene(book, ALL, inbox).steps(2)
    assert ids(inbox) == [first, second]


def test_a_log_in_memory_alerts_too(clock: ManualClock, inbox: Inbox) -> None:
    with EventStore(MemoryJournal(), clock=clock) as store, projections.open(store) as book:
        scene = Scene(book, ALL, inbox)
        id_ = lock(store)
        scene.step()
        assert ids(inbox) == [id_]


def test_alerts_that_were_sent_lead_to_no_alert(store: EventStore, book: Book, inbox: Inbox) -> None:
    scene = Scene(book, Receiver(name="desk"), inbox, follow=True)
    event = AlertSent(what="LOCKOUT", to="other", attempts=1, delivered=False, why="LOCKOUT", subject="daily-loss")
    store.append("alert/ACC1/X", event)
    lock(store)
    scene.steps(5)
    assert len(inbox.alerts) == 1
    assert len(sent(store)) == 2


@pytest.mark.parametrize("change", [{"schema": 99}, {"data": b"{"}, {"data": b"{}"}])
def test_a_record_that_cannot_be_decoded_is_still_an_alert(store: EventStore, change: dict[str, Any]) -> None:
    id_ = lock(store)
    [record] = store.read()
    alert = alert_of(replace(record, **change))
    assert alert.sentence.startswith("LockoutSet of ACC1, at position 1, cannot be read here: ")
    assert (alert.id, alert.subject) == (id_, Subject("LOCKOUT", "ACC1", "daily-loss"))


# Kills: a process that is gone leaves its lock, and nothing else


def test_killed_between_noticing_and_sending_it_is_sent_by_the_next(
    store: EventStore, book: Book, inbox: Inbox
) -> None:
    scene = Scene(book, ALL, inbox)
    inbox.fails = "no answer"
    id_ = lock(store)
    scene.steps(3)
    assert inbox.attempts
    killed(scene)
    inbox.fails = ""
    Scene(book, ALL, inbox).step()
    assert ids(inbox) == [id_]


@pytest.mark.parametrize("receiver", [ALL, DISK])
def test_killed_between_sending_and_recording_it_is_sent_again_with_its_id(
    store: EventStore, book: Book, inbox: Inbox, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(book, receiver, inbox)
    lock(store)
    monkeypatch.setattr(scene.receiving.sent, "record", interrupted)
    with pytest.raises(KeyboardInterrupt):
        scene.step(1)
    killed(scene)
    second = Scene(book, receiver, inbox)
    second.steps(3)
    assert len(inbox.alerts) == 2
    assert len(set(ids(inbox))) == 1
    assert len(sent(store)) == 1


def interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_what_cannot_be_recorded_is_not_sent_again(
    store: EventStore, book: Book, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(book, ALL, inbox)
    lock(store)
    flap(store)
    with monkeypatch.context() as full:
        full.setattr(scene.receiving.sent, "record", no_room)
        for _ in range(20):
            with pytest.raises(StorageFull):
                scene.step(60)
        assert len(inbox.alerts) == 1
        # What comes meanwhile about the same is not merged into it.
        flap(store, judged=True)
    scene.steps(120)
    assert [(each.subject.what, each.ended) for each in inbox.alerts] == [
        ("LOCKOUT", False),
        ("LIMIT_UNJUDGED", False),
        ("LIMIT_UNJUDGED", True),
    ]
    assert len(sent(store)) == 3


def no_room(*_: object, **__: object) -> None:
    msg = "the disk is full"
    raise StorageFull(msg)


# Two processes


def test_of_two_processes_one_alerts_and_the_other_takes_over(store: EventStore, book: Book, inbox: Inbox) -> None:
    first, second = Scene(book, ALL, inbox), Scene(book, ALL, inbox)
    one = lock(store)
    second.steps(2)
    assert inbox.alerts == []
    first.step()
    second.step()
    assert ids(inbox) == [one]
    killed(first)
    two = lock(store, rule_id="other")
    second.step()
    assert ids(inbox) == [one, two]


def test_two_that_alert_at_once_give_the_same_ids(store: EventStore, book: Book, inbox: Inbox) -> None:
    first, second = Scene(book, ALL, inbox), Scene(book, ALL, inbox)
    second.receiving._lock = None
    disks = [Scene(book, DISK, inbox)]
    disks.append(Scene(book, DISK, inbox))
    disks[1].receiving._lock = None
    for round_ in range(3):
        lock(store, rule_id=f"rule-{round_}")
        flap(store, judged=bool(round_ % 2))
        for scene in (first, second, *disks, *disks):
            scene.step(20 * 60)
    by_id: dict[str, set[tuple[Subject, int | None, bool]]] = {}
    for alert in inbox.alerts:
        by_id.setdefault(alert.id, set()).add((alert.subject, alert.position, alert.ended))
    assert all(len(found) == 1 for found in by_id.values())
    # The log has each alert once, whichever of the two recorded it.
    streams = [record.stream for record in store.read(types=AlertSent)]
    assert len(streams) == len(set(streams))
    assert [each.subject.what for each in inbox.alerts].count("LOCKOUT") == 3
    assert len(set(ids(inbox))) == len(inbox.alerts)


# States


def test_a_state_is_repeated_while_it_lasts_and_ends_once(store: EventStore, book: Book, inbox: Inbox) -> None:
    scene = Scene(book, DISK, inbox)
    for _ in range(25):
        scene.step(360)
    # Two hours and a half: at the beginning, and after each hour.
    assert [each.ended for each in inbox.alerts] == [False] * 3
    assert len(set(ids(inbox))) == 3
    scene.receiving.receiver = Receiver(name="desk", on=DISK.on, disk_free_below=1)
    scene.steps(10)
    assert [each.ended for each in inbox.alerts] == [False] * 3 + [True]


def test_a_state_is_known_after_a_restart(store: EventStore, book: Book, inbox: Inbox) -> None:
    scene = Scene(book, DISK, inbox)
    scene.step(1)
    for _ in range(5):
        killed(scene)
        scene = Scene(book, DISK, inbox)
        scene.steps(3)
    assert len(inbox.alerts) == 1
    killed(scene)
    over = Scene(book, Receiver(name="desk", on=DISK.on, disk_free_below=1), inbox)
    over.steps(3)
    assert [each.ended for each in inbox.alerts] == [False, True]
    assert inbox.sentences[1] == "DISK of - is over"


def test_a_state_that_is_over_before_it_was_sent_is_left_out(store: EventStore, book: Book, inbox: Inbox) -> None:
    scene = Scene(book, DISK, inbox)
    inbox.fails = "no answer"
    scene.steps(2)
    scene.receiving.receiver = Receiver(name="desk", on=DISK.on, disk_free_below=1)
    scene.steps(2)
    inbox.fails = ""
    scene.steps(100)
    assert inbox.alerts == []


def test_a_setting_that_is_taken_away_ends_nothing(store: EventStore, book: Book, inbox: Inbox) -> None:
    scene = Scene(book, DISK, inbox)
    scene.step(1)
    scene.receiving.receiver = Receiver(name="desk", on=frozenset({Condition.MIRROR}))
    scene.steps(5)
    assert len(inbox.alerts) == 1


def test_one_that_comes_and_goes_is_sent_four_times_an_hour(store: EventStore, book: Book, inbox: Inbox) -> None:
    scene = Scene(book, DISK, inbox)
    for number in range(600):
        scene.receiving.receiver = Receiver(name="desk", on=DISK.on, disk_free_below=1 if number % 2 else 10**18)
        scene.step(6)
    assert 4 <= len(inbox.alerts) <= 8
