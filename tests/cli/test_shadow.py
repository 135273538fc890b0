"""`shadow`: what an account's limits would have done, beside its firm's figures and locks."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from eventstore.trading import AccountUpdated, LimitReported
from projections.rules import DailyLoss
from tests.cli.command import Run
from tests.projections.rules_day import Day
from tests.projections.shadowing import new_day, shadow


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a store with an account in shadow mode, whose limit would have locked it; the firm reports its loss."""
    day = new_day(tmp_path / "data", DailyLoss())
    shadow(day)
    day.limit("daily-loss", limit="1000")
    day.make("-1000")
    report(day, "1000")
    day.close()
    return tmp_path / "data"


def report(day: Day, figure: str) -> None:
    event = LimitReported(kind="daily-loss", figure=Decimal(figure), limit=Decimal(1000))
    day.book.append("limits/A/daily-loss", event)


def again(data: Path) -> Day:
    return Day(data, [DailyLoss()])


def test_figures_that_agree_end_with_success(run: Run, data: Path) -> None:
    ended = run("shadow", "A", "--data", data)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("A is in SHADOW mode since ")
    assert "Figures beside the firm's (2)" in ended.out
    assert "the firm reports no locks" in ended.out
    assert "daily loss -1,000.00 of -1,000.00 USD reached" in ended.out


def test_a_figure_or_a_lock_that_differs_is_a_problem(run: Run, data: Path) -> None:
    day = again(data)
    day.pass_seconds(60)
    report(day, "1012.50")
    day.close()
    ended = run("shadow", "A", "--data", data)
    assert ended.code == 1
    assert "12.50" in ended.out
    assert run("shadow", "A", "--from", "2026-11-21", "--data", data).code == 0
    day = again(data)
    day.pass_seconds(60)
    report(day, "1000")
    day.book.append("account/A/-", AccountUpdated(can_trade=True))
    day.close()
    ended = run("shadow", "A", "--data", data)
    assert ended.code == 1
    assert "only here" in ended.out


def test_the_document_has_the_mode_the_figures_and_the_locks(run: Run, data: Path) -> None:
    document = run("shadow", "A", "--json", "--data", data).document
    assert (document["mode"]["mode"], document["pending"], document["never_reported"]) == ("SHADOW", None, [])
    figure, limit = document["figures"]
    assert (figure["what"], figure["ours"], figure["theirs"], figure["difference"]) == (
        "figure",
        "1000",
        "1000",
        "0",
    )
    assert limit["what"] == "limit"
    [lock] = document["locks"]
    assert (lock["rule_id"], lock["would"], lock["made_by"]) == ("daily-loss", True, "the firm reports no locks")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("B",), "there is no account 'B' in log main: "),
        (("A", "--from", "friday"), "--from friday: expected a trading day, for example 2025-11-19"),
        (("-",), "is not an account"),
    ],
)
def test_what_names_nothing_is_refused(run: Run, data: Path, arguments: tuple[str, ...], sentence: str) -> None:
    ended = run("shadow", *arguments, "--data", data)
    assert ended.code == 2
    assert sentence in ended.err
