"""Lockouts as intervals are the lockouts that the book has, with the records that began and ended each."""

import random
import uuid
from typing import Any

import pytest

import projections
from eventstore import Event, InvalidEvent, Record
from eventstore.trading import (
    AccountUpdated,
    Allows,
    LockoutCleared,
    LockoutExpired,
    LockoutExtended,
    LockoutSet,
)
from projections import analysis
from tests.analysis.scenes import SECOND, Scene, at, rows
from tests.projections.histories import history, store_of
from tests.proving import rounds

COLUMNS = [
    "account", "rule_id", "scope", "allows", "set_at", "ended_at", "until", "revocable", "reason", "cause",
    "set_position", "end_position",
]  # fmt: skip


def record_of(scene: Scene, time: str, event: Event, account: str = "A") -> Record:
    return scene.add(f"lockout/{account}/loss", event, at(time))


def lockout(reason: str = "", until: str | None = None, **more: Any) -> LockoutSet:  # noqa: ANN401 - any argument of a frame
    return LockoutSet(rule_id="loss", reason=reason, until=None if until is None else at(until), **more)


def intervals(scene: Scene, **asked: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401 - any argument of a frame
    return [
        (row["set_at"], row["ended_at"], row["set_position"], row["end_position"])
        for row in rows(analysis.lockouts(scene.store, **asked))
    ]


def test_a_log_without_lockouts_gives_the_right_columns_and_no_rows() -> None:
    for frame in (analysis.lockouts(Scene(opened=None).store), analysis.lockouts(Scene().store, "nobody")):
        assert (frame.columns, len(frame)) == (COLUMNS, 0)


@pytest.mark.parametrize("arguments", [{"time": "now"}, {"account": ""}, {"start": "soon"}, {"exact": 3}, {"stop": 12}])
def test_an_argument_that_means_nothing_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidEvent):
        analysis.lockouts(Scene().store, **arguments)


def test_one_in_force_has_no_end() -> None:
    scene = Scene()
    set_by = record_of(scene, "10:00:00", lockout("lost 500", allows=Allows.REDUCE_ONLY))
    (row,) = rows(analysis.lockouts(scene.store))
    assert row == {
        "account": "A", "rule_id": "loss", "scope": "account", "allows": "REDUCE_ONLY", "set_at": at("10:00:00"),
        "ended_at": None, "until": None, "revocable": True, "reason": "lost 500",
        "cause": str(uuid.UUID(bytes=set_by.id)),
        "set_position": set_by.position, "end_position": None,
    }  # fmt: skip


def test_it_ends_when_it_is_cleared() -> None:
    scene = Scene()
    begin, end = record_of(scene, "10:00:00", lockout()), record_of(scene, "11:00:00", LockoutCleared(rule_id="loss"))
    assert intervals(scene) == [(at("10:00:00"), at("11:00:00"), begin.position, end.position)]


def test_it_ends_when_it_is_over_with_a_record_or_without() -> None:
    scene = Scene()
    begin = record_of(scene, "10:00:00", lockout(until="11:00:00"))
    assert intervals(scene) == [(at("10:00:00"), None, begin.position, None)]
    scene.cash("12:00:00", 1)
    assert intervals(scene) == [(at("10:00:00"), at("11:00:00"), begin.position, None)]
    end = record_of(scene, "12:00:01", LockoutExpired(rule_id="loss"))
    assert intervals(scene) == [(at("10:00:00"), at("11:00:00"), begin.position, end.position)]


def test_one_that_was_over_before_the_next_is_not_ended_by_that() -> None:
    scene = Scene()
    first = record_of(scene, "10:00:00", lockout(until="11:00:00"))
    record_of(scene, "10:30:00", lockout(until="11:00:00"))
    second = record_of(scene, "12:00:00", lockout())
    assert intervals(scene) == [
        (at("10:00:00"), at("11:00:00"), first.position, None),
        (at("12:00:00"), None, second.position, None),
    ]


def test_it_ends_when_another_replaces_it() -> None:
    scene = Scene()
    first = record_of(scene, "10:00:00", lockout("one"))
    record_of(scene, "10:10:00", lockout("one"))
    record_of(scene, "10:15:00", lockout("elsewhere", scope="symbol:X"))
    second = record_of(scene, "10:30:00", lockout("two"))
    found = [each for each in intervals(scene) if each[2] in {first.position, second.position}]
    assert found == [
        (at("10:00:00"), at("10:30:00"), first.position, second.position),
        (at("10:30:00"), None, second.position, None),
    ]


def test_an_extension_moves_the_end() -> None:
    scene = Scene()
    begin = record_of(scene, "10:00:00", lockout(until="11:00:00"))
    record_of(scene, "10:30:00", LockoutExtended(rule_id="loss", until=at("13:00:00")))
    scene.cash("12:00:00", 1)
    assert intervals(scene) == [(at("10:00:00"), None, begin.position, None)]
    scene.cash("14:00:00", 1)
    assert intervals(scene) == [(at("10:00:00"), at("13:00:00"), begin.position, None)]


def test_the_broker_s_word_is_an_interval_too() -> None:
    scene = Scene()
    begin = scene.add("account/A/-", AccountUpdated(can_trade=False), at("10:00:00"))
    scene.add("account/A/-", AccountUpdated(can_trade=False), at("10:30:00"))
    end = scene.add("account/A/-", AccountUpdated(can_trade=True), at("11:00:00"))
    assert intervals(scene) == [(at("10:00:00"), at("11:00:00"), begin.position, end.position)]


def test_a_range_has_what_was_in_force_within_it() -> None:
    scene = Scene()
    record_of(scene, "10:00:00", lockout())
    record_of(scene, "11:00:00", LockoutCleared(rule_id="loss"))
    for start, stop, is_in in (
        (None, "10:00:00", False), (None, "10:00:01", True), ("11:00:00", None, False), ("10:59:59", None, True),
    ):  # fmt: skip
        bounds = {"start": start and at(start), "stop": stop and at(stop)}
        assert bool(intervals(scene, **bounds)) is is_in


def test_by_recording_it_is_what_was_known_at_the_end_of_the_range() -> None:
    scene = Scene()
    begin = record_of(scene, "10:00:00", lockout(until="23:00:00"))
    end = scene.add("lockout/A/loss", LockoutCleared(rule_id="loss"), at("11:00:00"), at("12:00:00"))
    known = (at("10:00:00"), at("11:00:00"), begin.position, end.position)
    assert intervals(scene, stop=at("11:30:00")) == [known]
    assert intervals(scene, stop=at("11:30:00"), time="recorded") == [(at("10:00:00"), None, begin.position, None)]
    assert intervals(scene, stop=at("12:00:01"), time="recorded") == [known]


def test_intervals_of_random_histories_are_the_book_s_history() -> None:
    for seed in rounds("lockout intervals", test=6, prove=300):
        store = store_of(history(random.Random(seed), 300))
        book = projections.open(store)
        found = rows(analysis.lockouts(store))
        expected = [each for name in sorted(book.partitions("lockouts")) for each in book.lockouts.history(name)]
        assert len(found) == len(expected)
        for row, each in zip(found, expected, strict=True):
            ended_at = each.ended_at
            if ended_at is None and each.ends_at is not None and each.ends_at <= book.now_ns():
                ended_at = each.ends_at
            assert (row["account"], row["rule_id"], row["scope"], row["allows"], row["set_at"], row["ended_at"]) == (
                each.account, each.rule_id, each.scope, each.allows.value, each.set_at, ended_at,
            )  # fmt: skip
            assert (row["cause"], row["set_position"]) == (str(uuid.UUID(bytes=each.cause)), each.positions[0])
            if row["end_position"] is not None:
                assert row["end_position"] > row["set_position"]


def test_at_random_instants_the_intervals_are_the_lockouts_in_force() -> None:
    for seed in rounds("lockouts at instants", test=6, prove=300):
        chance, scene = random.Random(seed), Scene(opened=None)
        instants = sorted(chance.sample(range(at("10:00:00"), at("11:00:00"), SECOND), 40))
        for instant in instants:
            scene.add("lockout/A/loss", random_event(chance, instant), instant)
        scene.clock.set(at("23:00:00"))
        found = rows(analysis.lockouts(scene.store))
        for asked in (chance.randint(instants[0], instants[-1]) for _ in range(30)):
            past = projections.as_of(scene.store, recorded_at=asked)
            active = {(each.rule_id, each.scope, each.cause.hex()) for each in past.lockouts.active("A", asked)}
            # An extension may come after that instant: what was over then is in force again as another interval.
            in_force = {
                (row["rule_id"], row["scope"], uuid.UUID(row["cause"]).hex)
                for row in found
                if row["set_at"] <= asked and (row["ended_at"] is None or asked < row["ended_at"])
            }
            assert in_force == active


def random_event(chance: random.Random, instant: int) -> Event:
    until = chance.choice((None, instant + chance.randint(1, 900) * SECOND))
    match chance.randint(0, 3):
        case 0 | 1:
            return LockoutSet(rule_id="loss", reason=chance.choice("ab"), until=until, scope=chance.choice(SCOPES))
        case 2:
            return LockoutCleared(rule_id="loss", scope=chance.choice((*SCOPES, None)))
        case _:
            return LockoutExpired(rule_id="loss")


SCOPES = ("account", "symbol:X")
