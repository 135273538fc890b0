"""Times of a whole column compared with the reference: right, or a question exactly if it must be asked."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from gateways.importers.texts import CellError
from gateways.importers.values import AmbiguousTime, ColumnSummary, Time, infer_time
from tests.proving import rounds
from tests.reference.written_times import CLOCKS, DATES, EPOCH, is_doubtful, is_twice, nanoseconds, shown, written

pytestmark = pytest.mark.untraced

ZONES = ("America/Chicago", "Europe/London", "Asia/Tokyo", "Australia/Lord_Howe", "America/St_Johns", "UTC")
LINKS = (" ", ", ", " @ ", " - ")


def summary_of(texts: list[str]) -> ColumnSummary:
    column = ColumnSummary(name="Time", about="times")
    for text in texts:
        column.take(text)
    return column


def instants_of(chance: random.Random) -> list[datetime]:
    """Return instants of a few days, some of them around the clocks' changes of March and November."""
    start = datetime(chance.randint(1992, 2040), chance.randint(1, 12), chance.randint(1, 28), tzinfo=ZoneInfo("UTC"))
    if chance.randrange(3) == 0:
        start = datetime(chance.choice((1999, 2019, 2026)), chance.choice((3, 4, 10, 11)), 1, tzinfo=ZoneInfo("UTC"))
    days = chance.choice((1, 10, 40))
    return [start + timedelta(milliseconds=chance.randrange(days * 86_400_000)) for _ in range(chance.randint(1, 8))]


def test_a_column_has_its_instants_or_a_question_and_asks_only_if_it_must() -> None:
    for seed in rounds("columns of times", test=400, prove=40_000):
        chance = random.Random(seed)
        date, clock, link = chance.choice(sorted(DATES)), chance.choice(sorted(CLOCKS)), chance.choice(LINKS)
        zone = chance.choice(ZONES)
        instants = [shown(instant, clock) for instant in instants_of(chance)]
        locals_ = [instant.astimezone(ZoneInfo(zone)) for instant in instants]
        texts = [written(local, date, clock, link) for local in locals_]
        found, questions = infer_time(summary_of(texts))
        keys = [question.key for question in questions]
        if is_doubtful(locals_, date):
            assert keys == ["time.format", "time.zone"], texts
            found = replace(found, format=chosen(questions[0].options, date))
        else:
            assert keys == ["time.zone"], (texts, questions)
        found = replace(found, zone=zone)
        for text, local, instant in zip(texts, locals_, instants, strict=True):
            check(found, text, local, nanoseconds(instant))


def chosen(options: tuple[str, ...], date: str) -> str:
    """Return the option that the user means: by which part comes first."""
    (option,) = [each for each in options if each.startswith("%m" if "month" in date else "%d")]
    return option


def check(found: Time, text: str, local: datetime, expected: int) -> None:
    if is_twice(local):
        with pytest.raises(AmbiguousTime):
            found.parser()(text)
        found = replace(found, fold="later" if local.fold else "earlier")
    assert found.parser()(text) == expected, (text, found)


def test_a_time_that_no_clock_shows_is_refused() -> None:
    for seed in rounds("skipped times", test=100, prove=5_000):
        chance = random.Random(seed)
        zone = ZoneInfo(chance.choice(ZONES))
        local = datetime(
            chance.randint(1990, 2035), chance.choice((3, 4, 9, 10, 11)), chance.randint(1, 30), tzinfo=zone
        )
        local += timedelta(minutes=chance.randrange(6 * 60))
        parse = Time(zone=str(zone)).parser()
        there_and_back = local.astimezone(EPOCH.tzinfo).astimezone(zone)
        if there_and_back.replace(tzinfo=None) != local.replace(tzinfo=None):
            with pytest.raises(CellError, match="does not exist"):
                parse(local.strftime("%Y-%m-%d %H:%M"))
        elif not is_twice(local):
            assert parse(local.strftime("%Y-%m-%d %H:%M")) == nanoseconds(local)


def test_numbers_are_times_in_one_unit_only() -> None:
    for seed in rounds("units of times", test=200, prove=20_000):
        chance = random.Random(seed)
        units = [chance.choice(("s", "ms", "us", "ns"))] * chance.randint(1, 6)
        if chance.randrange(3) == 0:
            units.append(chance.choice(("s", "ms", "us", "ns")))
        sizes = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
        instants = [chance.randrange(631_152_000, 4_102_444_800) * 10**9 for _ in units]
        texts = [str(instant // sizes[unit]) for instant, unit in zip(instants, units, strict=True)]
        found, questions = infer_time(summary_of(texts))
        if len(set(units)) > 1:
            assert [(question.key, question.options) for question in questions] == [("time.unit", ("mixed",))]
            found = Time(unit="mixed")
        else:
            assert not questions
        assert [found.parser()(text) for text in texts] == instants
