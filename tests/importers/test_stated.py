"""Files of every preset as statements: compared with the log that they were imported into, they agree."""

from __future__ import annotations

import contextlib
import tempfile
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest

from eventstore import EventStore, InvalidEvent, ManualClock
from eventstore.clock import parse_time
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import CashKind, CashMoved, ContractDefined, SessionOpened, Side, TradeExecuted
from gateways.importers import import_file, read_plan, stated_of
from gateways.importers.definitions import known_contracts
from projections import auditing
from projections.auditing import BreakKind, Stated
from tests.importers.broker_exports import BROKERS
from tests.importers.conftest import Write
from tests.importers.drawn_files import Drawn, drawn, written
from tests.importers.drawn_rows import Export
from tests.importers.exchange_exports import EXCHANGES
from tests.proving import rounds

EXPORTS = tuple(each for each in (*EXCHANGES, *BROKERS) if each.preset != "lobster")


@pytest.mark.untraced
@pytest.mark.parametrize("export", EXPORTS, ids=lambda export: export.preset)
def test_a_file_agrees_with_the_log_that_it_was_imported_into(export: Export) -> None:
    for seed in rounds(f"statement {export.preset}", test=2, prove=100):
        chance = Random(f"{export.preset} {seed}")
        check(drawn(export, chance), chance)


def check(file: Drawn, chance: Random) -> None:
    clock = ManualClock(parse_time("2026-08-01T00:00:00Z"))
    store = EventStore(MemoryJournal(log="stated", clock=clock), clock=clock)
    with tempfile.TemporaryDirectory() as folder, contextlib.closing(store):
        try:
            import_file(store, file_in(folder, file), file.export.preset, **options_of(folder, file.export))
        except InvalidEvent:
            # What the import refuses is not compared either.
            return
        whole = stated_in(store, folder, file)
        if not whole.rows:
            return
        found = auditing.statement(store, whole)
        # The files' own profit and loss is drawn by chance.
        assert [each for each in found.breaks if each.kind is not BreakKind.OTHER_PNL] == []
        assert sum(each.found for each in found.parts) == len(whole.executions)
        if len(file.rows) < 4:
            return
        del file.rows[chance.randrange(len(file.rows))]
        missing = rows_missing(store, folder, file, whole)
        assert missing is None or missing >= 1


def rows_missing(store: EventStore, folder: str, file: Drawn, whole: Stated) -> int | None:
    """Return how many breaks a file with one row less has; None if the row stated nothing, or cannot be left out."""
    try:
        fewer = stated_in(store, folder, file)
    except InvalidEvent:
        return None
    if len(fewer.rows) == len(whole.rows) or fewer.accounts != whole.accounts:
        return None
    times = [each.at for each in whole.executions] + [each.at for each in whole.cash]
    found = auditing.statement(store, fewer, start=min(times), stop=max(times) + fewer.within_ns)
    return sum(each.kind is not BreakKind.OTHER_PNL for each in found.breaks)


def stated_in(store: EventStore, folder: str, file: Drawn) -> Stated:
    path, options = file_in(folder, file), options_of(folder, file.export)
    return stated_of(read_plan(path, file.export.preset, known_contracts(store), **options))


def file_in(folder: str, file: Drawn) -> Path:
    path = Path(folder) / file.export.name
    path.write_bytes(written(file))
    return path


def options_of(folder: str, export: Export) -> dict[str, Any]:
    options = dict(export.options)
    if lots := options.get("contracts"):
        options["contracts"] = Path(folder) / "lots.toml"
        options["contracts"].write_text(lots, "utf-8")
    return options


def stated(path: Path, format: str, **options: Any) -> Stated:  # noqa: ANN401 - the file's own
    return stated_of(read_plan(path, format, **options))


HEADER = "time,symbol,side,quantity,price,fee,trade_id"


def test_times_are_cut_off_to_what_all_of_them_are(write: Write) -> None:
    rows = ["2026-03-02T15:00:0{}Z,MNQH6,buy,1,21000,0.62,A", "2026-03-02T15:01:00Z,MNQH6,sell,1,21010,0.62,B"]
    seconds = stated(write("s.csv", HEADER, rows[0].format(7), rows[1]), "fills", account="A")
    minutes = stated(write("m.csv", HEADER, rows[0].format(0), rows[1]), "fills", account="A")
    assert (seconds.within_ns, minutes.within_ns) == (10**9, 60 * 10**9)


def test_dates_alone_are_trading_days(write: Write) -> None:
    rows = ["2026-03-02T00:00:00-06:00,MNQH6,buy,1,21000,0.62,", "2026-03-03T00:00:00-06:00,MNQH6,sell,1,21010,0.62,"]
    found = stated(write("d.csv", HEADER, *rows), "fills", account="A", zone="America/Chicago")
    assert found.has_dates_only
    assert [str(each.trading_day) for each in found.executions] == ["2026-03-02", "2026-03-03"]
    assert [each.trade_id for each in found.executions] == [None, None]


def test_it_says_what_the_file_can_say(write: Write) -> None:
    bare = "time,symbol,side,quantity,price"
    found = stated(write("bare.csv", bare, "2026-03-02T15:00:07Z,MNQH6,buy,1,21000"), "fills", account="A")
    assert (found.has_executions, found.has_fees, found.cash_kinds, found.closed_only) == (
        True,
        False,
        frozenset(),
        False,
    )
    assert len(found.digest) == 64
    assert found.source == "bare.csv (fills)"


def test_rows_that_are_repeated_or_unreadable_are_counted(write: Write) -> None:
    row = "2026-03-02T15:00:07Z,MNQH6,buy,1,21000,0.62,A"
    found = stated(
        write("r.csv", HEADER, row, row, "yesterday,MNQH6,buy,1,1,0,B"), "fills", account="A", keep_going=True
    )
    assert (len(found.executions), found.repeated, found.left_out) == (1, 1, 1)


def test_a_file_of_a_market_is_not_a_statement(write: Write) -> None:
    path = write("GOOG_2012-06-21_34200000_57600000_message_1.csv", "34200.1,1,16113575,18,5853300,1")
    with pytest.raises(InvalidEvent, match="orders of a market"):
        stated(path, "lobster", account="NASDAQ")


def test_cash_is_listed_by_the_kinds_that_the_mapping_knows() -> None:
    samples = Path(__file__).parent / "samples"
    found = stated(samples / "hyperliquid-funding.csv", "hyperliquid-funding", account="A", zone="Europe/Paris")
    assert (found.has_executions, found.cash_kinds) == (False, frozenset({CashKind.FUNDING}))


class TestDatesAlone:
    """Positions and cash of which the file says the day only, of accounts with and without trading days."""

    POSITIONS = """
[rows]
kind = "snapshot"
of = "positions"
[time]
zone = "America/Chicago"
[columns]
symbol = "symbol"
quantity = "quantity"
time = "date"
"""
    CASH = """
[rows]
kind = "cash"
[time]
zone = "America/Chicago"
[cash]
kinds.DEPOSIT = ["Deposit"]
kinds.FEE = ["Fee"]
currency = "USD"
[columns]
amount = "amount"
type = "type"
time = "date"
"""

    @pytest.fixture(autouse=True, params=[False, True], ids=["dates", "sessions"])
    def _recorded(self, store: EventStore, request: pytest.FixtureRequest) -> None:
        store.append("contract/-/MNQH6", ContractDefined(symbol="MNQH6", multiplier=Decimal(2), currency="USD"))
        for day in (date(2026, 3, 2), date(2026, 3, 3)) if request.param else ():
            began_at, resets_at = f"{day - timedelta(days=1)}T23:00:00Z", f"{day}T23:00:00Z"
            opened = SessionOpened(trading_day=day, began_at=parse_time(began_at), resets_at=parse_time(resets_at))
            store.append(f"session/A/{day}", opened, occurred_at=began_at)
        for trade_id, quantity, at in (("T1", 3, "02T15:00:00"), ("T2", 1, "03T15:00:00"), ("T3", 1, "03T22:30:00")):
            trade = TradeExecuted(
                trade_id=trade_id, symbol="MNQH6", side=Side.BUY, quantity=Decimal(quantity), price=Decimal(21_000)
            )  # fmt: skip
            store.append(f"trade/A/{trade_id}", trade, occurred_at=f"2026-03-{at}Z")
        for kind, amount, at in ((CashKind.DEPOSIT, 1_000, "02T20:00:00"), (CashKind.FEE, 10, "03T01:00:00")):
            moved = CashMoved(amount=Decimal(amount), currency="USD", kind=kind)
            store.append("account/A/-", moved, occurred_at=f"2026-03-{at}Z")

    def breaks(self, store: EventStore, write: Write, mapping: str, *rows: str) -> list[tuple[object, ...]]:
        path = write("dates.csv", *rows)
        path.with_suffix(".toml").write_text(mapping, "utf-8")
        plan = read_plan(path, None, known_contracts(store), mapping=path.with_suffix(".toml"), account="A")
        found = auditing.statement(store, stated_of(plan)).breaks
        return [(str(each.kind), each.here, each.there, str(each.trading_day)) for each in found]

    def test_positions_are_those_of_the_days_ends(self, store: EventStore, write: Write) -> None:
        rows = ["symbol,quantity,date", "MNQH6,3,2026-03-02", "MNQH6,5,2026-03-03"]
        assert self.breaks(store, write, self.POSITIONS, *rows) == []
        rows[2] = "MNQH6,4,2026-03-03"
        assert self.breaks(store, write, self.POSITIONS, *rows) == [("OTHER_POSITION", 5, 4, "2026-03-03")]

    def test_months_may_be_names(self, store: EventStore, write: Write) -> None:
        rows = ["symbol,quantity,date", 'MNQH6,3,"Mar 2, 2026"', 'MNQH6,5,"Mar 3, 2026"']
        assert self.breaks(store, write, self.POSITIONS, *rows) == []

    def test_a_position_with_a_time_is_that_of_its_instant(self, store: EventStore, write: Write) -> None:
        rows = ["symbol,quantity,date", "MNQH6,3,2026-03-03 00:00:00", "MNQH6,4,2026-03-03 09:00:00"]
        assert self.breaks(store, write, self.POSITIONS, *rows) == []

    def test_cash_moved_at_any_time_of_its_day(self, store: EventStore, write: Write) -> None:
        rows = ["amount,type,date", "1000,Deposit,2026-03-02", "-10,Fee,2026-03-03"]
        assert self.breaks(store, write, self.CASH, *rows) == []

    def test_cash_of_another_amount_or_day_differs(self, store: EventStore, write: Write) -> None:
        rows = ["amount,type,date", "900,Deposit,2026-03-02", "-10,Fee,2026-03-02"]
        assert self.breaks(store, write, self.CASH, *rows) == [
            ("OTHER_CASH", 1_000, 900, "2026-03-02"),
            ("OTHER_TIME", None, None, "2026-03-03"),
        ]

    def test_cash_with_times_is_compared_by_them(self, store: EventStore, write: Write) -> None:
        rows = ["amount,type,date", "1000,Deposit,2026-03-02 14:00:00", "-10,Fee,2026-03-02 20:00:00"]
        assert [kind for kind, *_ in self.breaks(store, write, self.CASH, *rows)] == ["OTHER_TIME"]


class TestAnotherExportOfTheSameDay:
    """The log has one export's executions, the statement is another one: ids and rows differ, the trades do not."""

    FILLS = (
        "2026-03-02T15:19:49.123Z,MNQH6,sell,3,21000.5,1.86,9000",
        "2026-03-02T15:33:05.001Z,MNQH6,buy,1,21001,0.62,9001",
        "2026-03-02T15:34:05.999Z,MNQH6,buy,2,20900.5,1.24,9002",
    )
    PAIRS = (
        "MNQH6,-2,0,0.25,9001,9000,1,21001.00,21000.50,$(1.00),03/02/2026 09:33:05,03/02/2026 09:19:49,13min 16sec",
        "MNQH6,-2,0,0.25,9002,9000,2,20900.50,21000.50,$400.00,03/02/2026 09:34:05,03/02/2026 09:19:49,14min 16sec",
    )
    PAIR_HEADER = (
        "symbol,_priceFormat,_priceFormatType,_tickSize,buyFillId,sellFillId,qty,buyPrice,sellPrice,pnl,"
        "boughtTimestamp,soldTimestamp,duration"
    )
    TRIP_HEADER = (
        "Id,ContractName,EnteredAt,ExitedAt,EntryPrice,ExitPrice,Fees,PnL,Size,Type,TradeDay,TradeDuration,Commissions"
    )
    TRIPS = (
        "5001,MNQH6,03/02/2026 15:19:49 +00:00,03/02/2026 15:33:05 +00:00,21000.5,21001,1.24,-1,1,Short,,00:13:16,",
        "5002,MNQH6,03/02/2026 15:19:49 +00:00,03/02/2026 15:34:05 +00:00,21000.5,20900.5,2.48,400,2,Short,,00:14:16,",
    )

    @pytest.fixture(autouse=True)
    def _imported(self, store: EventStore, write: Write) -> None:
        import_file(store, write("fills.csv", HEADER, *self.FILLS), "fills", account="A")

    def kinds(self, store: EventStore, found: Stated) -> list[tuple[str, tuple[int, ...]]]:
        return sorted((str(each.kind), each.lines) for each in auditing.statement(store, found).breaks)

    def test_matched_pairs(self, store: EventStore, write: Write) -> None:
        def compared(*rows: str) -> list[tuple[str, tuple[int, ...]]]:
            path = write("performance.csv", self.PAIR_HEADER, *rows)
            return self.kinds(
                store, stated(path, "tradovate-performance", account="A", zone="America/Chicago")
            )  # fmt: skip

        assert compared(*self.PAIRS) == []
        assert [kind for kind, _ in compared(self.PAIRS[0])] == ["MISSING_THERE", "OTHER_PNL", "OTHER_QUANTITY"]
        other = self.PAIRS[1].replace("20900.50", "20900.25").replace("$400.00", "$401.00")
        assert compared(self.PAIRS[0], other) == [("OTHER_PNL", (2, 3)), ("OTHER_PRICE", (3,))]

    def test_round_trips(self, store: EventStore, write: Write) -> None:
        def compared(*rows: str) -> list[tuple[str, tuple[int, ...]]]:
            path = write("trades_export.csv", self.TRIP_HEADER, *rows)
            return self.kinds(store, stated(path, "topstepx-trades", account="A"))

        assert compared(*self.TRIPS) == []
        dearer = self.TRIPS[1].replace(",2.48,", ",2.50,")
        assert compared(self.TRIPS[0], dearer) == [("OTHER_FEE", (2, 3))]
        later = self.TRIPS[1].replace("15:34:05", "15:34:15")
        assert ("OTHER_TIME", (3,)) in compared(self.TRIPS[0], later)

    def test_a_file_in_another_zone_is_recognised_as_such(self, store: EventStore, write: Write) -> None:
        path = write("performance.csv", self.PAIR_HEADER, *self.PAIRS)
        found = auditing.statement(
            store, stated(path, "tradovate-performance", account="A", zone="America/New_York")
        )  # fmt: skip
        assert found.shift_ns == -3_600 * 10**9
