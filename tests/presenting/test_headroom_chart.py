"""The picture of what was left of a limit: where it is drawn, where it is interrupted, and when there is none."""

from __future__ import annotations

import re
from decimal import Decimal

from gateways.presenting.headroom_chart import WIDTH, ChartPoint, headroom_chart
from gateways.presenting.presenter import Presenter

HOUR = 3_600_000_000_000
NINE = 1_763_542_800_000_000_000


def drawn(*points: tuple[int, str | None], locked: tuple[int, ...] = (), title: str = "left") -> str:
    found = [ChartPoint(NINE + minute * HOUR // 60, None if left is None else Decimal(left)) for minute, left in points]
    return headroom_chart(found, locked, Presenter(), title=title, unit="USD")


def test_without_two_instants_or_a_known_figure_there_is_no_picture() -> None:
    assert drawn((0, "1"), (0, "2")) == ""
    assert drawn((0, None), (60, None)) == ""


def test_the_line_ends_where_it_is_not_known_and_begins_again() -> None:
    picture = drawn((0, "1000"), (10, None), (20, "500"), (60, "-100"))
    paths = re.findall(r'<path d="([^"]*)"', picture)
    assert len(paths) == 2
    assert [path[0] for path in paths] == ["M", "M"]
    # What was known holds until it is not.
    assert re.fullmatch(r"M\d+ [\d.]+H\d+", paths[0])


def test_a_lockout_is_marked_within_the_picture_alone() -> None:
    inside = drawn((0, "1"), (60, "2"), locked=(NINE + HOUR // 2,))
    assert inside.count("locked 09:30") == 1
    assert "locked" not in drawn((0, "1"), (60, "2"), locked=(NINE + 2 * HOUR,))


def test_figures_of_any_size_stay_within_the_picture() -> None:
    picture = drawn((0, "1e30"), (30, "-1e30"), (60, "0"))
    numbers = [
        float(each) for path in re.findall(r'<path d="([^"]*)"', picture) for each in re.findall(r"[\d.]+", path)
    ]
    assert max(numbers) <= WIDTH
    assert "<b>" not in drawn((0, "1"), (60, "2"), title="<b>")
