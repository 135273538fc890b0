"""The example of a backtest: it runs, is the same each time, and a plain loop over the bars comes to the same."""

from __future__ import annotations

import datetime
import importlib.util
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from types import ModuleType

import pytest

from eventstore.trading import LockoutSet, OrderFilled, Side

ROOT = Path(__file__).resolve().parents[2]
PLACE = ROOT / "examples" / "backtest.py"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("backtest", PLACE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.untraced
def test_it_runs_as_a_program_and_ends_with_a_report(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, PLACE, "report.html"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(ROOT)},
    )
    assert "filled by the replay at the next price of the given bars, not by a market" in done.stdout
    assert "position at the end 0" in done.stdout
    assert [each.name for each in tmp_path.iterdir()] == ["report.html"]
    assert "Report of SIM" in (tmp_path / "report.html").read_text("utf-8")


def plain(example: ModuleType, frame: object) -> tuple[list[tuple[str, Decimal]], Decimal]:
    """Return the fills and the final equity of the strategy, by a loop that knows of no store."""
    prices: list[Decimal] = []
    held, pending, cash = 0, 0, Decimal(50_000)
    fills: list[tuple[str, Decimal]] = []
    close = Decimal(0)
    for at, _, opened, _, _, closed in frame.itertuples(index=False):  # type: ignore[attr-defined] # a pandas frame
        if pending:
            price = Decimal(str(opened))
            fills.append((Side.BUY if pending > 0 else Side.SELL, price))
            cash -= pending * price * 50
            held, pending = held + pending, 0
        close = Decimal(str(closed))
        prices = [*prices[-example.SLOW + 1 :], close]
        if len(prices) < example.SLOW:
            continue
        fast, slow = sum(prices[-example.FAST :]) / example.FAST, sum(prices) / example.SLOW
        is_late = at.time() >= datetime.time(19, 60 - example.LAST_MINUTES)
        pending = (0 if is_late else 1 if fast > slow else -1) - held
    return fills, cash + held * close * 50


@pytest.mark.parametrize("seed", [3])
def test_a_plain_loop_comes_to_the_same(example: ModuleType, seed: int) -> None:
    frame = example.bars(seed)
    replay, equity = example.backtest(frame)
    fills = [record.event for record in replay.store.read(types=(OrderFilled,))]
    assert not list(replay.store.read(types=(LockoutSet,)))
    assert ([(fill.side, fill.price) for fill in fills], equity[-1][1]) == plain(example, frame)
