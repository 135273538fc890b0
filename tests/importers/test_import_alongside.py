"""An import of what the log has from another export of the account: refused, or counted once where that is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from eventstore import EventStore
from gateways.importers import import_file
from gateways.importers.alongside import KnownElsewhere
from gateways.importers.base import BadRow
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


class TestTimesThatAreLessExact:
    """One of the two sources has minutes or dates: the executions are the same all the same."""

    HEADER = "symbol,side,quantity,price,time"
    LIVE = ("2026-03-02T15:30:01.400Z", "2026-03-02T15:40:10Z", "2026-03-03T00:30:05Z")
    MINUTES = ("2026-03-02T15:30Z", "2026-03-02T15:40Z", "2026-03-03T00:30Z")
    # The last one, at 18:30 in Chicago, is of the next trading day.
    DATES = ("2026-03-02", "2026-03-02", "2026-03-03")

    def rows(self, times: tuple[str, ...]) -> list[str]:
        sides = (("buy", 2, 21_000), ("sell", 2, 21_010), ("buy", 1, 21_005))
        ordered = zip(sides, times, strict=True)
        return [f"MNQH6,{side},{quantity},{price},{time}" for (side, quantity, price), time in ordered]

    @pytest.mark.parametrize(
        ("first", "second"), [(LIVE, MINUTES), (LIVE, DATES), (MINUTES, LIVE), (MINUTES, DATES), (DATES, LIVE)]
    )
    def test_they_are_refused_and_counted_once_if_it_is_said(
        self, store: EventStore, write: Write, first: tuple[str, ...], second: tuple[str, ...]
    ) -> None:
        ids = [f"{row},{number}" for number, row in enumerate(self.rows(first), 900)]
        path = write("first.csv", f"{self.HEADER},trade_id", *ids)
        import_file(store, path, "fills", account="A", zone="America/Chicago")
        path = write("second.csv", self.HEADER, *self.rows(second))
        with pytest.raises(KnownElsewhere) as refused:
            import_file(store, path, "fills", account="A", zone="America/Chicago")
        assert refused.value.count == 3
        report = import_file(store, path, "fills", account="A", zone="America/Chicago", alongside=True)
        assert (report.added, figures(store, "A", "MNQH6")[0]) == (0, 1)

    def test_what_the_log_lacks_is_added(self, store: EventStore, write: Write) -> None:
        path = write("first.csv", f"{self.HEADER},trade_id", *[f"{row},{row[-9:]}" for row in self.rows(self.LIVE)[:2]])
        import_file(store, path, "fills", account="A")
        path = write("second.csv", self.HEADER, *self.rows(self.DATES))
        report = import_file(store, path, "fills", account="A", zone="America/Chicago", alongside=True)
        assert (report.added, figures(store, "A", "MNQH6")[0]) == (1, 1)

    def test_another_one_of_the_same_day_is_refused(self, store: EventStore, write: Write) -> None:
        path = write("first.csv", f"{self.HEADER},trade_id", *[f"{row},{row[-9:]}" for row in self.rows(self.LIVE)[:2]])
        import_file(store, path, "fills", account="A")
        rows = [self.rows(self.DATES)[1], "MNQH6,buy,3,20999,2026-03-02"]
        path = write("second.csv", self.HEADER, *rows)
        with pytest.raises(BadRow, match="both happened in one day"):
            import_file(store, path, "fills", account="A", zone="America/Chicago", alongside=True)


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
