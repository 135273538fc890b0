"""An import of what the log has from another export of the account: refused, or counted once where that is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from eventstore import EventStore
from gateways.importers import import_file
from gateways.importers.alongside import KnownElsewhere
from tests.importers.mappings import PAIRS, figures, mapping

Write = Callable[..., Path]

HEADER = "trade_id,symbol,side,quantity,price,time"
FILLS = ("F1,MNQH6,buy,2,21000.25,2026-03-02T15:30:01.400Z", "F2,MNQH6,sell,2,21010,2026-03-02T15:40:00Z")
PAIR_HEADER = "symbol,buyFillId,sellFillId,qty,buyPrice,sellPrice,pnl,boughtTimestamp,soldTimestamp"
PAIR = "MNQH6,901,902,2,21000.25,21010.00,$39.00,03/02/2026 09:30:01,03/02/2026 09:40:00"


def test_matched_pairs_beside_fills_are_refused_and_counted_once_if_it_is_said(store: EventStore, write: Write) -> None:
    import_file(store, write("fills.csv", HEADER, *FILLS), "fills", account="A")
    head = store.head()
    path = write("performance.csv", PAIR_HEADER, PAIR)
    with pytest.raises(
        KnownElsewhere, match=r"performance\.csv, line 2: the log has this execution from another source"
    ):
        import_file(store, path, mapping=mapping(PAIRS), account="A", zone="America/Chicago")
    assert store.head() == head
    for _ in range(2):
        report = import_file(
            store, path, mapping=mapping(PAIRS), account="A", zone="America/Chicago", alongside=True
        )  # fmt: skip
        assert report.ignored == {"executions that the log has from another file": 2}
        assert (report.added, report.left_out) == (0, ())
    assert figures(store, "A", "MNQH6")[:2] == (0, 39)


def test_the_same_file_again_is_not_another_one(store: EventStore, write: Write) -> None:
    path = write("fills.csv", HEADER, *FILLS)
    import_file(store, path, "fills", account="A")
    assert import_file(store, path, "fills", account="A").added == 0


class TestRewrittenRows:
    """A spreadsheet's copy of rows without ids: the same figures in other words."""

    HEADER = "symbol,side,quantity,price,time"
    ROW, COPY = "MNQH6,buy,2,21000,2026-03-02T15:30:01Z", "MNQH6,buy,2.0,21000.00,2026-03-02T15:30:01Z"

    def test_they_are_refused_and_counted_once_if_it_is_said(self, store: EventStore, write: Write) -> None:
        import_file(store, write("fills.csv", self.HEADER, self.ROW), "fills", account="A")
        path = write("copy.csv", self.HEADER, self.COPY, "MNQH6,sell,2.0,21010.00,2026-03-02T15:31:00Z")
        with pytest.raises(KnownElsewhere, match=r"copy\.csv, line 2: the log has this execution"):
            import_file(store, path, "fills", account="A")
        report = import_file(store, path, "fills", account="A", alongside=True)
        assert report.ignored == {"executions that the log has from another file": 1}
        assert figures(store, "A", "MNQH6")[:2] == (0, 40)

    def test_another_row_with_the_same_figures_is_another_execution(self, store: EventStore, write: Write) -> None:
        import_file(store, write("first.csv", self.HEADER, self.ROW), "fills", account="A")
        import_file(store, write("whole.csv", self.HEADER, self.ROW, self.ROW), "fills", account="A")
        assert figures(store, "A", "MNQH6")[0] == 4

    def test_round_trips_too(self, store: EventStore, write: Write) -> None:
        header = "Instrument,Account,Market pos.,Qty,Entry price,Exit price,Entry time,Exit time,Entry name,Exit name"
        end = ",3/2/2026 9:45:17 AM,3/2/2026 9:46:05 AM,E,X,$20.00,$0.00,$1.00,$1.00,$1.00"
        header += ",Profit,Commission,MAE,MFE,ETD"
        path = write("trades.csv", header, f"MES 03-26,A,Long,1,7427.50,7431.50{end}")
        import_file(store, path, "ninjatrader-trades", zone="America/Chicago")
        path = write("copy.csv", header, f"MES 03-26,A,Long,1,7427.5,7431.5{end}")
        with pytest.raises(KnownElsewhere):
            import_file(store, path, "ninjatrader-trades", zone="America/Chicago")
