"""Which format a file is, by its header and its first row: one that fits, or none is chosen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from eventstore import InvalidEvent
from gateways.importers import FORMATS, MissingChoices, format_of, read_plan

FILES = {
    "fills": "trade_id,symbol,side,quantity,price,time\nT1,ESH6,buy,1,6000.00,2026-01-12T09:30:00Z\n",
    "lobster": "34200.1,1,1001,100,5858400,1\n",
    "pyfolio": ",amount,price,symbol\n2004-01-09 00:00:00+00:00,10,5.5,AAPL\n",
}


def written(directory: Path, text: str) -> Path:
    path = directory / "AAPL_2012-06-21_message.csv"
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize("format", FILES)
def test_a_file_is_of_the_one_format_that_it_fits(tmp_path: Path, format: str) -> None:
    assert format_of(written(tmp_path, FILES[format])) == format


@pytest.mark.parametrize("text", ["", "\n", "a,b\n1,2\n", FILES["fills"].splitlines()[0], "\x00\xff"])
def test_what_fits_none_names_the_formats(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidEvent, match="fits no format by its header and first row: give the format, one of lob"):
        format_of(written(tmp_path, text))


def test_what_fits_several_is_not_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    twin: Any = FORMATS["fills"]
    monkeypatch.setitem(FORMATS, "twin", twin)
    with pytest.raises(InvalidEvent, match="fits the formats fills and twin: give the format, one of"):
        format_of(written(tmp_path, FILES["fills"]))


def test_an_option_that_a_format_does_not_take_excludes_it(tmp_path: Path) -> None:
    with pytest.raises(InvalidEvent, match="fits no format"):
        format_of(written(tmp_path, FILES["fills"]), date="2012-06-21")


def test_a_file_that_is_not_there_is_no_format(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"nowhere\.csv"):
        format_of(tmp_path / "nowhere.csv")


def test_what_is_missing_in_a_file_of_a_known_header_is_said_where_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "fills.csv"
    path.write_text("time,symbol,side,quantity,price\n2026-03-05T15:00:00,ESH6,buy,1,6900\n", "utf-8")
    assert format_of(path) == "fills"
    says = "fills.csv, line 2, column time: '2026-03-05T15:00:00' has no time zone: state time.zone"
    with pytest.raises(MissingChoices, match=says):
        read_plan(path, account="A")
