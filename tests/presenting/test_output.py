"""What commands print below a table: notes, limited like its rows."""

from __future__ import annotations

import pytest

from gateways.presenting.output import put_table


def test_notes_follow_the_rows_and_are_limited_like_them(capsys: pytest.CaptureFixture[str]) -> None:
    rows, notes = [("a", "1"), ("b", "2")], ["first", "second", "third"]
    put_table("Figures", ("name", ">value"), rows, notes=notes)
    assert capsys.readouterr().out.splitlines()[-4:] == [*notes, ""]
    put_table("Figures", ("name", ">value"), rows, shown=2, notes=notes)
    assert capsys.readouterr().out.splitlines()[-4:] == [
        "first",
        "second",
        "… and 1 more of these: --rows 0 shows all",
        "",
    ]
