"""Shared by the tests of limits that are not judged: what leaves one unjudged, what ends that, what was recorded."""

from __future__ import annotations

from decimal import Decimal

from eventstore.trading import CashKind, CashMoved, LimitJudged, LimitUnjudged, RateQuoted, Side
from tests.projections.rules_day import SECOND, Day


def wait(day: Day, seconds: int, *, ticks: int = 1) -> None:
    """Let time pass as a running process sees it."""
    for _ in range(seconds * ticks):
        day.clock.advance(SECOND // ticks)
        day.policies.tick()


def recorded(day: Day) -> list[tuple[str, str, str]]:
    """Return what was recorded: the event, the rule and why."""
    return [
        (record.type, record.event.rule_id, record.event.why)
        for record in day.store.read(types=(LimitUnjudged, LimitJudged))
        if isinstance(record.event, LimitUnjudged | LimitJudged)
    ]


def types(day: Day) -> list[str]:
    return [each for each, _, _ in recorded(day)]


def since(day: Day) -> list[int]:
    events = [record.event for record in day.store.read(types=(LimitUnjudged, LimitJudged))]
    return [event.since for event in events if isinstance(event, LimitUnjudged | LimitJudged)]


BOTH = ["LimitUnjudged", "LimitJudged"]


def unknown_kind(day: Day) -> None:
    day.old_limit("daily-los", limit="500")


def disable(day: Day) -> None:
    day.limit("daily-los", enabled=False)


def unreadable(day: Day) -> None:
    day.old_limit("daily-loss", limit="a lot")


def set_again(day: Day) -> None:
    day.limit("daily-loss", limit="500")


def missing_contract(day: Day) -> None:
    day.limit("daily-loss", limit="500")
    day.fill(Side.BUY, "100", "NQ")
    day.fill(Side.SELL, "101", "NQ")


def define(day: Day) -> None:
    day.define("NQ", "20")


def no_rate(day: Day) -> None:
    day.limit("daily-loss", limit="500")
    day.book.append("account/A/-", CashMoved(amount=Decimal(5), currency="EUR", kind=CashKind.INTEREST))


def give_rate(day: Day) -> None:
    day.book.append("rate/-/EURUSD", RateQuoted(base="EUR", quote="USD", rate=Decimal("1.1")))


def stale_price(day: Day) -> None:
    day.limit("daily-loss", limit="500", basis="equity")
    day.fill(Side.BUY, "5000")
    day.pass_seconds(11)


def flatten(day: Day) -> None:
    day.fill(Side.SELL, "5000")
