"""Headroom over time is what the book of each instant answers, with the settings that were in force then."""

from decimal import Decimal
from typing import Any

import pytest

import projections
from eventstore.trading import GroupDefined, LimitsSet
from projections import analysis
from projections.valuation import Status
from tests.analysis.scenes import Scene, at, prices, rows

COLUMNS = ["at", "account", "rule_id", "kind", "figure", "limit", "left", "share", "status", "why"]


def scene_with_limits() -> Scene:
    scene = Scene()
    scene.add(
        "limits/A/daily-loss",
        LimitsSet(rule_id="daily-loss", parameters={"limit": "500", "basis": "equity"}),
        at("01:00:00"),
    )
    scene.buy("10:00:00", 2, 100)
    maximum = LimitsSet(rule_id="maximum-position", parameters={"limit": "10"})
    scene.add("limits/A/maximum-position", maximum, at("11:00:00"))
    scene.buy("12:00:00", 3, 90)
    return scene


def test_an_account_without_limits_has_no_rows() -> None:
    for asked in ({}, {"at": at("10:00:00")}, {"every": "1h"}):
        frame = analysis.headroom(Scene().store, "A", **asked)
        assert (frame.columns, len(frame)) == (COLUMNS, 0)


def test_without_a_price_what_depends_on_one_is_unknown() -> None:
    found = rows(analysis.headroom(scene_with_limits().store, "A", at=at("10:30:00")))
    assert [(row["kind"], row["figure"], row["left"], row["status"]) for row in found] == [
        ("daily-loss", None, None, "UNKNOWN")
    ]
    assert "X" in found[0]["why"]


@pytest.mark.parametrize("axis", ["occurred", "recorded"])
def test_each_instant_has_the_limits_in_force_then(axis: str) -> None:
    scene = scene_with_limits()
    instants = [at("09:00:00"), at("10:30:00"), at("12:30:00")]
    given = prices(("10:30:00", "X", 95), ("12:30:00", "X", 80))
    found = rows(analysis.headroom(scene.store, "A", at=instants, prices=given, time=axis, exact=True))
    assert [(row["at"], row["kind"]) for row in found] == [
        (instants[0], "daily-loss"), (instants[1], "daily-loss"),
        (instants[2], "maximum-position"), (instants[2], "daily-loss"),
    ]  # fmt: skip
    assert [row["left"] for row in found if row["kind"] == "daily-loss"] == [500, 490, 430]
    assert {row["status"] for row in found} == {"KNOWN"}


def test_it_is_what_the_book_answers() -> None:
    scene = scene_with_limits()
    for axis in ("occurred", "recorded"):
        instants = [at(f"{hour:02}:30:00") for hour in range(8, 14)]
        found = rows(analysis.headroom(scene.store, "A", at=instants, time=axis, exact="text"))
        assert [tuple(row.values()) for row in found] == [
            row for instant in instants for row in answers(scene, axis, instant)
        ]


def answers(scene: Scene, axis: str, instant: int) -> list[tuple[Any, ...]]:
    past = projections.as_of(scene.store, **{f"{axis}_at": instant})  # type: ignore[arg-type]

    def text(amount: Decimal | None) -> str | None:
        return None if amount is None else str(amount)

    return [
        (instant, "A", each.rule_id, each.kind, text(each.figure if is_known else None), text(each.limit),
         text(each.left if is_known else None), text(each.share if is_known else None), each.status.value, each.why)
        for each in past.limits.headroom("A", instant)
        for is_known in (each.status is not Status.UNKNOWN,)
    ]  # fmt: skip


def test_the_limit_of_a_group_sees_its_other_members() -> None:
    scene = Scene()
    scene.open("00:00:00", 10_000, account="B")
    scene.add("group/-/desk", GroupDefined(accounts=("A", "B")), at("01:00:00"))
    limit = LimitsSet(rule_id="maximum-position", parameters={"limit": "10"})
    scene.add("limits/@desk/maximum-position", limit, at("01:00:00"))
    scene.buy("10:00:00", 2, 100)
    scene.buy("10:00:00", 3, 100, account="B")
    for axis in ("occurred", "recorded"):
        found = rows(analysis.headroom(scene.store, "A", at=at("11:00:00"), time=axis, exact=True))
        past = projections.as_of(scene.store, recorded_at=at("11:00:00"))
        assert [(row["rule_id"], row["left"], row["status"]) for row in found] == [
            (each.rule_id, each.left, each.status.value) for each in past.limits.headroom("A", at("11:00:00"))
        ]
        assert [row["left"] for row in found] == [5]
