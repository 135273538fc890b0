"""A trial takes what an import takes: every container and every kind of row that holds executions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from eventstore import InvalidEvent
from eventstore.trading import OrderFilled, TradeExecuted
from gateways.importers import preview_file
from gateways.trying import trial, try_file

SAMPLES = Path(__file__).resolve().parent.parent / "importers" / "samples"
PROGRAM = "topstep-combine-50k"
FILLS = "trade_id,symbol,side,quantity,price,time,account\n"


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("ccxt-trades.json", {"account": "A1"}),
        ("kraken.csv", {"account": "A1"}),
        ("topstepx-journal.csv", {"account": "A1", "zone": "America/Chicago"}),
        ("ninjatrader-trades.csv", {"zone": "America/Chicago"}),
        ("tradovate-orders.csv", {"zone": "America/Chicago"}),
        ("tradovate-performance.csv", {"account": "A1", "zone": "America/Chicago"}),
        ("ib-activity.csv", {"account": "A1", "zone": "America/New_York"}),
        ("ib-flex.csv", {"zone": "America/New_York"}),
    ],
)
def test_a_file_of_any_form_is_tried_with_all_its_executions(name: str, options: dict[str, Any]) -> None:
    previewed = preview_file(SAMPLES / name, **options)
    tried = try_file(SAMPLES / name, None, PROGRAM, **options)
    executed = sum(previewed.events.get(kind.__name__, 0) for kind in (OrderFilled, TradeExecuted))
    assert tried.executions == executed > 0
    assert (tried.format, tried.rows) == (previewed.format, previewed.rows)
    assert tuple(each.account for each in tried.accounts) == previewed.accounts
    assert sum(day.executions for each in tried.accounts for day in each.days) == executed


def test_more_than_fits_into_memory_is_refused_before_anything_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "fills.csv"
    path.write_text(FILLS + "".join(f"T{n},ESZ5,buy,1,6650,{1_759_329_000 + n},A1\n" for n in range(4)))
    monkeypatch.setattr(trial, "EXECUTIONS_MAX", 3)
    with pytest.raises(InvalidEvent, match="has 4 executions, 3 are tried at once"):
        try_file(path, None, PROGRAM)
    monkeypatch.setattr(trial, "EXECUTIONS_MAX", 4)
    assert try_file(path, None, PROGRAM).executions == 4
