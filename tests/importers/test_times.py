"""Times as a file writes them: formats, zones, units, clocks that were set, and what is asked about."""

from __future__ import annotations

import contextlib
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventstore import InvalidEvent
from eventstore.clock import TIME_MAX, parse_time
from gateways.importers.texts import CellError
from gateways.importers.values import AmbiguousTime, ColumnSummary, Question, Time, TimeParser, infer_time
from gateways.importers.values.time_survey import about_fold
from tests.proving import rounds

CHICAGO = "America/Chicago"


def summary(*texts: str) -> ColumnSummary:
    column = ColumnSummary(name="Time", about="times")
    for text in texts:
        column.take(text)
    return column


def inferred(*texts: str, given: Time | None = None) -> tuple[Time, tuple[Question, ...]]:
    return infer_time(summary(*texts), given)


class TestUnixTimes:
    @pytest.mark.parametrize(
        ("text", "unit", "time"),
        [
            ("631152000", "s", "1990-01-01T00:00:00Z"),
            ("4102444799.999", "s", "2099-12-31T23:59:59.999Z"),
            ("1772465700.5", "s", "2026-03-02T15:35:00.5Z"),
            ("1772465700123", "ms", "2026-03-02T15:35:00.123Z"),
            ("1772465700123.456", "ms", "2026-03-02T15:35:00.123456Z"),
            ("1772465700123456", "us", "2026-03-02T15:35:00.123456Z"),
            ("1772465700123456789", "ns", "2026-03-02T15:35:00.123456789Z"),
            ("1772465700123", "mixed", "2026-03-02T15:35:00.123Z"),
        ],
    )
    def test_each_unit(self, text: str, unit: str, time: str) -> None:
        assert Time(unit=unit).parser()(text) == parse_time(time)  # type: ignore[arg-type] # one of its words
        if unit != "mixed":
            assert inferred(text) == (Time(unit=unit), ())  # type: ignore[arg-type] # the same

    @pytest.mark.parametrize(
        ("text", "unit"),
        [
            *(
                ("631151999", "s"),
                ("4102444800", "s"),
                ("20240304", "s"),
                ("1772465700123", "s"),
                ("1772465700", "ms"),
                ("0", "s"),
            ),
            *(
                ("-1772465700", "s"),
                ("1772465700.1234567891", "s"),
                ("1772465700.1234567", "us"),
                ("1e9", "s"),
                ("", "s"),
                ("46083.625", "mixed"),
            ),
            *(
                ("2026-03-02T15:35:00Z", "s"),
                ("nan", "s"),
                ("1772465700s", "s"),
                ("\u0661772465700", "s"),
                ("+1772465700", "s"),
            ),
        ],
    )
    def test_what_is_not_a_time_from_1990_to_2100_in_its_unit_is_refused(self, text: str, unit: str) -> None:
        with pytest.raises(CellError):
            Time(unit=unit).parser()(text)  # type: ignore[arg-type] # one of its words

    @pytest.mark.parametrize("text", ["1772465700", "20240304", "46083.625", "2026", "20260302153500"])
    def test_a_number_is_a_time_only_if_a_unit_or_a_format_says_so(self, text: str) -> None:
        for time in (Time(), Time(zone="UTC"), Time(format="iso", zone="UTC"), Time(format="%Y-%m-%d", zone="UTC")):
            with pytest.raises(CellError):
                time.parser()(text)


class TestDaysInDigits:
    @pytest.mark.parametrize(
        ("texts", "options"),
        [
            (["20240304", "20240308"], ("%Y%m%d",)),
            (["03042024", "31122025"], ("%d%m%Y",)),
            (["03042024", "04052024"], ("%d%m%Y", "%m%d%Y")),
            (["260302", "260401"], ("%y%m%d",)),
            (["20260302153500"], ("%Y%m%d%H%M%S",)),
            (["20261402"], ()),
            (["1234"], ()),
        ],
    )
    def test_they_are_asked_about(self, texts: list[str], options: tuple[str, ...]) -> None:
        _, questions = inferred(*texts)
        assert [(question.key, question.options) for question in questions] == [
            ("time.format", options),
            ("time.zone", ()),
        ]
        assert set(questions[0].found) == set(texts)

    def test_the_answer_reads_them(self) -> None:
        time, questions = inferred("20240304", given=Time(format="%Y%m%d", zone="America/New_York"))
        assert questions == ()
        assert time.parser()("20240304") == parse_time("2024-03-04T05:00:00Z")
        with pytest.raises(CellError):
            time.parser()("20241304")

    def test_days_of_a_spreadsheet_are_asked_about(self) -> None:
        _, questions = inferred("46083.625", "46083.626388889")
        assert [(question.key, question.options) for question in questions] == [
            ("time.unit", ("serial",)),
            ("time.zone", ()),
        ]
        parse = Time(unit="serial", zone=CHICAGO).parser()
        assert parse("46083.625") == parse_time("2026-03-02T21:00:00Z")
        assert parse("46083.626388889") == parse_time("2026-03-02T21:02:00Z")
        assert parse("46083") == parse_time("2026-03-02T06:00:00Z")
        for text in ("32873.9", "73051", "1772465700"):
            with pytest.raises(CellError, match="spreadsheet"):
                parse(text)

    @pytest.mark.parametrize(
        ("texts", "key"),
        [
            (["1772465700", "1772465700123"], "time.unit"),
            (["1772465700", "20240304"], "time.format"),
            (["1772465700", "46083.625"], "time.format"),
            (["1772465700", "2026-03-02T15:35:00Z"], "time.format"),
            (["20240304", "20240304153500"], "time.format"),
        ],
    )
    def test_numbers_of_several_kinds_are_asked_about(self, texts: list[str], key: str) -> None:
        assert inferred(*texts)[1][0].key == key


FORMATS = [
    ("2026-03-02 15:35:00", "%Y-%m-%d %H:%M:%S"),
    ("2026-03-02T15:35:00.123456789Z", "%Y-%m-%dT%H:%M:%S%z"),
    ("2026-03-02 15:35:00+00", "%Y-%m-%d %H:%M:%S%z"),
    ("2026-03-02 15:35:00.5 +0530", "%Y-%m-%d %H:%M:%S %z"),
    ("2026-03-02, 15:35:00", "%Y-%m-%d, %H:%M:%S"),
    ("2026.03.02 15:35:00", "%Y.%m.%d %H:%M:%S"),
    ("2026/3/2 9:35", "%Y/%m/%d %H:%M"),
    ("20260302;153500", "%Y%m%d;%H%M%S"),
    ("20260302 15:35:00", "%Y%m%d %H:%M:%S"),
    ("20260302T153500Z", "%Y%m%dT%H%M%S%z"),
    ("15:35 2026-03-02", "%H:%M %Y-%m-%d"),
    ("03/31/2026 15:35:00 +02:00", "%m/%d/%Y %H:%M:%S %z"),
    ("31/03/2026 - 15:35:00", "%d/%m/%Y - %H:%M:%S"),
    ("3/31/2026 3:35:00 PM", "%m/%d/%Y %I:%M:%S %p"),
    ("31.3.2026 15:35", "%d.%m.%Y %H:%M"),
    ("March 3 2026 @ 6:45:06 am", "%b %d %Y @ %I:%M:%S %p"),
    ("Mar 3, 2026, 6:45:06 p.m.", "%b %d, %Y, %I:%M:%S %p"),
    ("Tue, 3 Mar 2026 06:45:06 GMT", "%a, %d %b %Y %H:%M:%S %Z"),
    ("02-Mar-26", "%d-%b-%y"),
    ("2026-03-02 15:35:00 UTC", "%Y-%m-%d %H:%M:%S %Z"),
    ("2026-03-02 15:35:00 CST", "%Y-%m-%d %H:%M:%S %Z"),
    ("2026-03-02", "%Y-%m-%d"),
]


class TestFormats:
    @pytest.mark.parametrize(("text", "format"), FORMATS)
    def test_a_format_is_found_and_reads_its_time(self, text: str, format: str) -> None:
        time, questions = inferred(text, "", text)
        assert time.format == format
        has_zone = "%z" in format or text.endswith(("GMT", "UTC"))
        assert [question.key for question in questions] == ([] if has_zone else ["time.zone"])
        assert isinstance(Time(format=format, zone=CHICAGO).parser()(text), int)

    @pytest.mark.parametrize(
        ("text", "format", "time"),
        [
            ("March 3 2026 @ 6:45:06 am", "%B %d %Y @ %I:%M:%S %p", "2026-03-03T12:45:06Z"),
            ("3/2/2026 12:00:00 AM", "%m/%d/%Y %I:%M:%S %p", "2026-03-02T06:00:00Z"),
            ("3/2/2026 12:00:00 PM", "%m/%d/%Y %I:%M:%S %p", "2026-03-02T18:00:00Z"),
            ("2026-07-01 15:35:00.123456789", "iso", "2026-07-01T20:35:00.123456789Z"),
            ("2026-03-02", "iso", "2026-03-02T06:00:00Z"),
            ("20260302T153500", "iso", "2026-03-02T21:35:00Z"),
            ("2026-03-02T15:35:00+02:00", "iso", "2026-03-02T13:35:00Z"),
            ("2026-03-02 15:35:00.25", "%Y-%m-%d %H:%M:%S.%f", "2026-03-02T21:35:00.25Z"),
            ("2026-03-02 15:35:00,5", "%Y-%m-%d %H:%M:%S", "2026-03-02T21:35:00.5Z"),
            ("90-01-01", "%y-%m-%d", "1990-01-01T06:00:00Z"),
            ("89-01-01", "%y-%m-%d", "2089-01-01T06:00:00Z"),
            ("2026-03-02 15:35 -0330", "%Y-%m-%d %H:%M %z", "2026-03-02T19:05:00Z"),
        ],
    )
    def test_the_time_that_it_reads(self, text: str, format: str, time: str) -> None:
        assert Time(format=format, zone=CHICAGO).parser()(text) == parse_time(time)

    @pytest.mark.parametrize(
        ("text", "format"),
        [
            *(("13:00:00 3/2/2026 AM", "%I:%M:%S %m/%d/%Y %p"), ("3/2/2026 0:00:00 AM", "%m/%d/%Y %I:%M:%S %p")),
            *(("2026-02-29 10:00:00", "%Y-%m-%d %H:%M:%S"), ("2026-03-02 24:00:00", "%Y-%m-%d %H:%M:%S")),
            *(("2026-03-02 10:60:00", "%Y-%m-%d %H:%M:%S"), ("2026-03-02 10:00:60", "%Y-%m-%d %H:%M:%S")),
            *(
                ("Mär 3 2026", "%b %d %Y"),
                ("Foo 3 2026", "%b %d %Y"),
                ("1969-12-31", "%Y-%m-%d"),
                ("2200-01-01", "iso"),
            ),
            *(
                ("2026-03-02 10:00 +24:00", "%Y-%m-%d %H:%M %z"),
                ("2026-03-02 10:00:00.1234567890", "%Y-%m-%d %H:%M:%S"),
            ),
            *(
                ("2026-03-02 10:00 EDT", "%Y-%m-%d %H:%M %Z"),
                ("202632", "%Y%m%d"),
                ("2026-03-02T10:00:00 Europe/Paris", "iso"),
            ),
        ],
    )
    def test_what_is_not_a_time_is_refused(self, text: str, format: str) -> None:
        with pytest.raises(CellError):
            Time(format=format, zone=CHICAGO).parser()(text)

    @pytest.mark.parametrize(
        "format",
        [
            "%Y-%m",
            "%H:%M:%S",
            "%m/%d/%Y %I:%M",
            "%m/%d/%Y %H:%M %p",
            "%Y-%m-%d %m",
            "%Y-%m-%d %Q",
            "%Y %y %m %d",
            "%Y-%m-%d %b",
        ],
    )
    def test_a_format_that_names_no_time_is_refused(self, format: str) -> None:
        with pytest.raises(InvalidEvent, match=r"time\.format"):
            Time(format=format).parser()

    @pytest.mark.parametrize(
        ("texts", "options"),
        [
            (["3/2/2026 9:59:52 AM"], ("%m/%d/%Y %I:%M:%S %p", "%d/%m/%Y %I:%M:%S %p")),
            (["03/02/26", "12/12/26"], ("%m/%d/%y", "%d/%m/%y", "%y/%m/%d")),
            (["13/03/26"], ("%d/%m/%y", "%y/%m/%d")),
            (["13/02/2026", "02/13/2026"], ()),
            (["02/32/2026"], ()),
            (["2026-03-02", "02/03/2026"], ()),
            (["9:35:00", "10:00:00"], ()),
            (["3/2/2026 9:59 AM", "3/13/2026 10:59"], ()),
            (["yesterday"], ()),
            (["02-Mär-2026"], ()),
        ],
    )
    def test_what_the_column_does_not_decide_is_asked(self, texts: list[str], options: tuple[str, ...]) -> None:
        time, questions = inferred(*texts)
        assert time.format is None
        assert (questions[0].key, questions[0].options) == ("time.format", options)

    def test_the_same_day_in_both_orders_is_not_asked_about(self) -> None:
        assert [question.key for question in inferred("3/3/2026", "03/03/2026")[1]] == ["time.zone"]

    def test_a_date_behind_the_clock_is_looked_at_in_each_row(self) -> None:
        time, _ = inferred("10:00:00 03/02/2026", "10:00:00 03/13/2026")
        assert time.format == "%H:%M:%S %m/%d/%Y"

    def test_texts_of_one_order_may_differ_in_form(self) -> None:
        time, _ = inferred("2026-03-02T15:35:00Z", "2026-03-02T15:35:00.5Z", "2026-03-02T15:35Z")
        parse = time.parser()
        assert parse("2026-03-02T15:35Z") == parse_time("2026-03-02T15:35:00Z")
        assert parse("2026-03-02T15:35:00.5Z") == parse_time("2026-03-02T15:35:00.5Z")

    @given(
        st.text(max_size=30),
        st.sampled_from(
            [Time(), Time(zone=CHICAGO), Time(unit="mixed"), *(Time(format=f, zone=CHICAGO) for _, f in FORMATS)]
        ),
    )
    def test_any_text_is_a_time_or_refused(self, text: str, time: Time) -> None:
        with contextlib.suppress(CellError):
            assert 0 <= time.parser()(text) <= TIME_MAX

    @given(st.lists(st.text(alphabet="0123456789/-.:, TZAPMmar+", max_size=24), max_size=6))
    def test_any_column_has_formats_or_a_question(self, texts: list[str]) -> None:
        time, questions = inferred(*texts)
        if not any(question.key in {"time.format", "time.unit"} for question in questions) and any(
            text.strip() for text in texts
        ):
            assert time.format is not None or time.unit is not None


class TestZones:
    def test_the_row_s_zone(self) -> None:
        parse = Time(zone="@Timezone").parser()
        assert parse("2026-03-02 11:36:46.620", "Europe/Amsterdam") == parse_time("2026-03-02T10:36:46.620Z")
        for zone in (None, "", "Amsterdam", "../etc/passwd", "EST"):
            with pytest.raises(CellError, match="zone"):
                parse("2026-03-02 11:36:46", zone)
        assert inferred("2026-03-02 11:36:46", given=Time(zone="@Timezone"))[1] == ()

    @pytest.mark.parametrize("zone", ["Chicago", "America", "", "EST", "/etc/localtime", "localtime", "right/UTC"])
    def test_an_unknown_zone_is_refused(self, zone: str) -> None:
        with pytest.raises(InvalidEvent, match="time zone"):
            Time(zone=zone).parser()

    def test_a_time_that_the_clocks_skip_is_refused(self) -> None:
        with pytest.raises(CellError, match="set forward"):
            Time(zone=CHICAGO).parser()("2026-03-08 02:30:00")

    def test_a_time_that_the_clocks_show_twice_is_asked_about(self) -> None:
        with pytest.raises(AmbiguousTime, match=r"time\.fold"):
            Time(zone=CHICAGO).parser()("2026-11-01 01:30:00")
        assert Time(zone=CHICAGO, fold="earlier").parser()("2026-11-01 01:30:00") == parse_time("2026-11-01T06:30:00Z")
        assert Time(zone=CHICAGO, fold="later").parser()("2026-11-01 01:30:00") == parse_time("2026-11-01T07:30:00Z")
        assert Time(zone=CHICAGO, fold="later").parser()("2026-11-01 00:59:59") == parse_time("2026-11-01T05:59:59Z")
        assert about_fold("Time", "2026-11-01 01:30:00", CHICAGO).options == ("earlier", "later")

    def test_an_abbreviation_decides_it_and_must_be_right(self) -> None:
        parse = Time(format="%Y-%m-%d %H:%M:%S %Z", zone=CHICAGO).parser()
        assert parse("2026-11-01 01:30:00 CDT") == parse_time("2026-11-01T06:30:00Z")
        assert parse("2026-11-01 01:30:00 CST") == parse_time("2026-11-01T07:30:00Z")
        with pytest.raises(CellError, match="abbreviation EST"):
            parse("2026-03-02 01:30:00 EST")

    def test_a_change_within_an_hour_is_seen(self) -> None:
        # Lord Howe's clocks are set by half an hour.
        parse = Time(zone="Australia/Lord_Howe", fold="later").parser()
        times = [parse(f"2026-04-05 01:{minute}:00") for minute in ("15", "45")]
        assert times == [parse_time("2026-04-04T14:15:00Z"), parse_time("2026-04-04T15:15:00Z")]

    def test_an_offset_counts_whatever_the_zone(self) -> None:
        assert Time(zone=CHICAGO).parser()("2026-03-02T15:35:00Z") == parse_time("2026-03-02T15:35:00Z")
        assert Time(format="%m/%d/%Y %H:%M:%S %Z", zone=CHICAGO).parser()("03/02/2026 15:35:00 UTC") == parse_time(
            "2026-03-02T15:35:00Z"
        )


WRITTEN = {
    "iso": ("{year}-{month:02}-{day:02}T{clock}", "{year}-{month:02}-{day:02} {clock}Z"),
    "%m/%d/%Y %H:%M:%S %z": ("{month:02}/{day:02}/{year} {clock} +00:00", "{month:02}/{day:02}/{year} {clock} -05:00"),
    "%m/%d/%Y %I:%M:%S %p": ("{month:02}/{day:02}/{year} {clock} AM", "{month:02}/{day:02}/{year} {clock} pm"),
    "%H:%M:%S %m/%d/%Y": ("{clock} {month:02}/{day:02}/{year}",),
    "%Y-%m-%d %H:%M:%S.%f": ("{year}-{month:02}-{day:02} {clock}",),
}


def random_text(chance: random.Random, format: str) -> str:
    """Return a time of a format, or what is nearly one, near changes of clocks."""
    year, month, day = chance.choice([(2025, 3, 9), (2025, 11, 2), (2025, 3, 30)])
    hour, minute, second = chance.randint(0, 12), chance.choice([0, 1, 59]), chance.choice([0, 1, 30, 59, 60])
    fraction = chance.choice(["", "", "", f".{chance.randint(0, 999)}", ",5", ".1234567890", ".000000001"])
    clock = f"{hour:02}:{minute:02}:{second:02}{fraction}"
    written = chance.choice(WRITTEN[format if chance.random() < 0.9 else chance.choice([*WRITTEN])])
    return written.format(year=year, month=month, day=day, clock=clock)


def read_or_refused(parser: TimeParser, text: str) -> int | str:
    try:
        return parser(text)
    except CellError as e:
        return str(e)


@pytest.mark.untraced
def test_what_was_read_before_changes_no_reading() -> None:
    for seed in rounds("times read again", test=30, prove=20_000):
        chance = random.Random(seed)
        format = chance.choice([*WRITTEN])
        zone = chance.choice(["America/Chicago", "Europe/Berlin"])
        time = chance.choice([
            Time(format=format, zone=zone),
            Time(format=format, zone=zone, fold="earlier"),
            Time(format=format, zone=zone, fold="later"),
        ])  # fmt: skip
        parser = time.parser()
        for text in [random_text(chance, format) for _ in range(200)]:
            assert read_or_refused(parser, text) == read_or_refused(time.parser(), text), (seed, time, text)


@pytest.mark.parametrize(
    "text", ["1759329000", "631151999", "4102444800", "0", "\uff11", "175932900000", " 1759329000"]
)
def test_a_whole_unix_time_is_read_as_one_with_a_fraction(text: str) -> None:
    parser = Time(unit="s").parser()
    with_fraction = f"{text}.0"
    if not text.isascii() or text not in {"1759329000", " 1759329000"}:
        with pytest.raises(CellError):
            parser(text)
        with pytest.raises(CellError):
            parser(with_fraction)
    else:
        assert parser(text) == parser(with_fraction) == 1_759_329_000 * 10**9
