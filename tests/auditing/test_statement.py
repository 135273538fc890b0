"""A broker's statement beside the log: every kind of break by its name, and what is none."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal

import pytest
from msgspec.structs import replace

from eventstore import InvalidEvent
from eventstore.trading import (
    FeeCharged,
    TradeBusted,
    TradeCorrected,
)
from projections import auditing
from projections.auditing import BreakKind, Stated, StatedExecution
from tests.auditing.statement_desk import BUY, DAY, HOUR, MINUTE, NINE, SECOND, SELL, Desk, desk, kinds


@pytest.fixture
def trading() -> Iterator[Desk]:
    with desk() as made:
        yield made


class TestWhatIsWrongWithTheQuestion:
    def test_a_statement_without_rows_needs_an_account_and_a_period(self, trading: Desk) -> None:
        with pytest.raises(InvalidEvent, match="no rows to compare"):
            auditing.statement(trading.store, Stated(source="empty"))
        with pytest.raises(InvalidEvent, match="--start and --stop"):
            auditing.statement(trading.store, Stated(source="empty"), account="A")

    def test_with_both_all_that_the_log_has_is_missing_there(self, trading: Desk) -> None:
        found = auditing.statement(
            trading.store, Stated(source="empty"), account="A", start=NINE, stop=NINE + HOUR
        )  # fmt: skip
        assert kinds(found.breaks) == [("MISSING_THERE", f"T-{number}") for number in (1, 2, 3)]
        assert not any(each.beyond_rows for each in found.breaks)

    def test_a_period_that_ends_before_it_begins_is_refused(self, trading: Desk) -> None:
        with pytest.raises(InvalidEvent, match="ends before it begins"):
            trading.compared(start=NINE + HOUR, stop=NINE)

    @pytest.mark.parametrize("day", ["0001-01-01", "1970-06-01", "2199-01-01", "9999-12-31"])
    def test_a_trading_day_that_no_log_can_have_is_refused_with_its_line(self, trading: Desk, day: str) -> None:
        trading.rows[0] = replace(trading.rows[0], trading_day=date.fromisoformat(day), line=7)
        with pytest.raises(InvalidEvent, match=f"line 7: trading day {day} lies outside 1971 to 2198"):
            trading.compared()

    def test_an_account_that_the_log_does_not_have_is_one_break(self, trading: Desk) -> None:
        trading.rows += [
            StatedExecution(
                line=9, account="B", symbol="ESZ5", side=BUY, quantity=Decimal(1), price=Decimal(1), at=NINE
            )
        ] * 2
        [found] = trading.compared().breaks
        assert (found.kind, found.account, found.lines) == (BreakKind.MISSING_HERE, "B", (9,))
        assert "2 rows of B, an account that the log does not have" in found.sentence

    def test_only_the_account_that_is_asked_for_is_compared(self, trading: Desk) -> None:
        trading.rows.append(
            StatedExecution(
                line=9, account="B", symbol="ESZ5", side=BUY, quantity=Decimal(1), price=Decimal(1), at=NINE
            )
        )
        assert trading.compared(account="A").breaks == ()


class TestEachKindOfBreak:
    def test_a_statement_that_agrees_has_none(self, trading: Desk) -> None:
        found = trading.compared()
        assert (found.agrees, found.breaks, found.notes, found.shift_ns) == (True, (), (), None)
        [part] = found.parts
        assert (part.account, part.executions, part.found) == ("A", 3, 3)
        [day] = found.days
        assert (day.trading_day, day.executions_here, day.executions_there, day.breaks) == (DAY, 3, 3, 0)
        assert day.fees_here == day.fees_there == {"USD": Decimal("7.5")}
        assert (day.pnl_here, day.pnl_there) == ({"USD": Decimal("737.5")}, None)

    def test_missing_here(self, trading: Desk) -> None:
        row = trading.trade("T-4", BUY, 1, "6700", 180)
        trading.store.append("trade/A/T-4", TradeBusted(trade_id="T-4"))
        stated = trading.stated()
        [busted] = auditing.statement(trading.store, stated).breaks
        assert (busted.kind, busted.trade_id, busted.lines) == (BreakKind.MISSING_HERE, "T-4", (row.line,))
        assert "which the log has as busted" in busted.sentence
        assert len(busted.records) == 2  # the trade and its bust
        trading.change("T-4", trade_id="T-9", price=Decimal(1))
        [unknown] = trading.compared().breaks
        assert (unknown.kind, unknown.trade_id, unknown.records) == (BreakKind.MISSING_HERE, "T-9", ())
        assert (unknown.here, unknown.there) == (None, Decimal(1))

    def test_missing_there_names_the_record(self, trading: Desk) -> None:
        trading.drop("T-2")
        [found] = trading.compared().breaks
        assert (found.kind, found.trade_id, found.lines) == (BreakKind.MISSING_THERE, "T-2", ())
        [record] = trading.store.read(after=found.records[0] - 1, limit=1)
        assert record.stream == "trade/A/T-2"
        assert (found.here, found.there, found.trading_day, found.beyond_rows) == (Decimal(1), None, DAY, False)

    @pytest.mark.parametrize(("gone", "others"), [("T-1", "--start"), ("T-3", "--stop")])
    def test_at_either_end_it_is_in_doubt_unless_the_period_is_given(
        self, trading: Desk, gone: str, others: str
    ) -> None:
        trading.drop(gone)
        [found] = trading.compared().breaks
        assert (found.kind, found.trade_id, found.beyond_rows) == (BreakKind.MISSING_THERE, gone, True)
        assert others in found.sentence
        [certain] = trading.compared(start=NINE - HOUR, stop=NINE + HOUR).breaks
        assert (certain.trade_id, certain.beyond_rows) == (gone, False)

    def test_what_lies_outside_a_given_period_is_not_compared(self, trading: Desk) -> None:
        trading.drop("T-3")
        assert trading.compared(stop=NINE + 120 * SECOND).breaks == ()
        assert [each.found for each in trading.compared(start=NINE + 60 * SECOND, stop=NINE + HOUR).parts] == [1]

    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            ({"price": Decimal("6710.5")}, ("OTHER_PRICE", (Decimal("6710.25"), Decimal("6710.5")))),
            ({"quantity": Decimal(3)}, ("OTHER_QUANTITY", (1, 3))),
            ({"side": BUY}, ("OTHER_SIDE", (None, None))),
            ({"at": NINE + 62 * SECOND}, ("OTHER_TIME", (None, None))),
            ({"at": NINE + 58 * SECOND}, ("OTHER_TIME", (None, None))),
            ({"fee": Decimal("2.51")}, ("OTHER_FEE", (Decimal("2.5"), Decimal("2.51")))),
            ({"fee": Decimal(0)}, ("OTHER_FEE", (Decimal("2.5"), 0))),
        ],
    )
    @pytest.mark.parametrize("with_ids", [True, False])
    def test_one_other_figure_is_that_break_alone(
        self, trading: Desk, change: dict[str, object], expected: tuple[str, tuple[object, object]], with_ids: bool
    ) -> None:
        trading.change("T-2", **change)
        if not with_ids:
            trading.forget_ids()
        [found] = trading.compared().breaks
        assert (str(found.kind), (found.here, found.there)) == expected
        assert (found.trade_id, found.lines) == ("T-2", (3,))
        if found.kind is BreakKind.OTHER_TIME:
            assert (found.here_at, found.there_at) == (NINE + 60 * SECOND, change["at"])

    def test_a_cost_in_another_currency_is_two_breaks(self, trading: Desk) -> None:
        trading.change("T-2", fee_currency="EUR")
        found = trading.compared().breaks
        assert [(each.kind, each.currency, each.here, each.there) for each in found] == [
            (BreakKind.OTHER_FEE, "EUR", 0, Decimal("2.5")),
            (BreakKind.OTHER_FEE, "USD", Decimal("2.5"), 0),
        ]

    def test_an_id_of_the_same_source_is_another_execution_whatever_its_figures(self, trading: Desk) -> None:
        trading.change("T-2", trade_id="T-7")
        assert trading.breaks() == [("MISSING_HERE", "T-7"), ("MISSING_THERE", "T-2")]

    def test_ids_of_another_kind_are_not_compared(self, trading: Desk) -> None:
        trading.each(lambda row: {"trade_id": f"X{row.line}"})
        found = trading.compared()
        assert found.breaks == ()
        assert found.notes == (
            "3 executions have other ids here: they are the same by contract, side, quantity, price and time",
        )

    def test_another_trading_day_is_one_only_where_ours_is_known(self, trading: Desk) -> None:
        other = DAY.replace(day=19)
        trading.change("T-2", trading_day=other)
        [found] = trading.compared().breaks
        assert (found.kind, found.trade_id) == (BreakKind.OTHER_TIME, "T-2")
        assert found.sentence == "the statement has it on 2025-11-19, the log on 2025-11-18"
        with desk(sessions=False) as without:
            without.change("T-2", trading_day=other)
            assert without.breaks() == []


class TestTradesThatChangedLater:
    def test_a_corrected_one_counts_as_corrected(self, trading: Desk) -> None:
        fixed = TradeCorrected(trade_id="T-2", quantity=Decimal(1), price=Decimal("6711.25"))
        trading.store.append("trade/A/T-2", fixed)
        [found] = trading.compared().breaks
        assert (found.kind, found.here, found.there) == (
            BreakKind.OTHER_PRICE, Decimal("6711.25"), Decimal("6710.25")
        )  # fmt: skip
        assert found.sentence.endswith("which was corrected since")
        assert len(found.records) == 2
        trading.change("T-2", price=Decimal("6711.25"))
        assert trading.breaks() == []

    def test_a_busted_one_is_not_expected(self, trading: Desk) -> None:
        trading.store.append("trade/A/T-2", TradeBusted(trade_id="T-2"))
        trading.drop("T-2")
        assert trading.breaks() == []

    def test_a_fee_that_came_later_counts(self, trading: Desk) -> None:
        trading.store.append("trade/A/T-2", FeeCharged(trade_id="T-2", amount=Decimal("0.4")))
        [found] = trading.compared().breaks
        assert (found.kind, found.here, found.there, len(found.records)) == (
            BreakKind.OTHER_FEE, Decimal("2.9"), Decimal("2.5"), 2
        )  # fmt: skip

    def test_what_was_known_by_an_instant_is_compared(self, trading: Desk) -> None:
        [*_, last] = trading.store.read()
        trading.store.append("trade/A/T-2", TradeBusted(trade_id="T-2"))
        assert trading.compared(known_by=last.recorded_at).breaks == ()
        assert kinds(trading.compared().breaks) == [("MISSING_HERE", "T-2")]


class TestWhatAStatementDoesNotSay:
    def test_costs_are_not_compared_without_their_column(self, trading: Desk) -> None:
        trading.each(lambda _: {"fee": Decimal(0)})
        assert {kind for kind, _ in trading.breaks()} == {"OTHER_FEE"}
        found = trading.compared({"has_fees": False})
        assert found.breaks == ()
        assert "costs: the statement has no column of them" in found.not_compared
        assert found.days[0].fees_there is None

    def test_seconds_are_not_compared_where_there_are_only_minutes(self, trading: Desk) -> None:
        trading.trade("T-4", BUY, 1, "6700", 187)
        trading.forget_ids()
        trading.each(lambda row: {"at": row.at // MINUTE * MINUTE})
        assert kinds(trading.compared().breaks) == [("OTHER_TIME", "T-4")]
        assert trading.compared({"within_ns": MINUTE}).breaks == ()

    def test_only_days_are_compared_where_there_are_only_dates(self, trading: Desk) -> None:
        midnight = NINE // (24 * HOUR) * 24 * HOUR
        trading.each(lambda _: {"at": midnight, "trading_day": DAY, "trade_id": None})
        found = trading.compared({"within_ns": 24 * HOUR})
        assert found.breaks == ()
        assert "times of day: the statement has dates only" in found.not_compared
        del trading.rows[1]
        assert kinds(trading.compared({"within_ns": 24 * HOUR}).breaks) == [("MISSING_THERE", "T-2")]

    def test_rows_that_could_not_be_read_are_named(self, trading: Desk) -> None:
        found = trading.compared({"left_out": 3, "repeated": 2})
        assert "3 rows that could not be read: what they say may be missing" in found.not_compared
        assert found.notes == ("2 rows repeat an earlier row, and count once",)

    def test_a_wrong_zone_is_said_once(self, trading: Desk) -> None:
        trading.each(lambda row: {"at": row.at + HOUR})
        assert trading.compared().shift_ns == HOUR
        trading.forget_ids()
        assert trading.compared().shift_ns == HOUR


class TestOrdersAtTheirAverage:
    def test_an_order_is_its_executions(self, trading: Desk) -> None:
        trading.trade("F-1", BUY, 1, "6700", 200, order="O-1")
        trading.trade("F-2", BUY, 2, "6700.75", 201, order="O-1", fee="5")
        trading.drop("F-1", "F-2")
        order = StatedExecution(
            line=7, account="A", symbol="ESZ5", side=BUY, quantity=Decimal(3), price=Decimal("6700.5"),
            at=NINE + 201 * SECOND, order_id="O-1", fee=Decimal("7.5"), is_order=True,
        )  # fmt: skip
        trading.rows.append(order)
        assert trading.breaks() == []
        trading.rows[-1] = replace(order, quantity=Decimal(4), price=Decimal("6700.75"))
        assert [kind for kind, _ in trading.breaks()] == ["OTHER_PRICE", "OTHER_QUANTITY"]


class TestClosedOnly:
    """Round trips and matched pairs: what is still open is not in the statement."""

    def trip(self, line: int, quantity: int, prices: tuple[str, str], after: tuple[int, int]) -> list[StatedExecution]:
        entry, leave = (
            StatedExecution(
                line=line, account="A", symbol="ESZ5", side=side, quantity=Decimal(quantity), price=Decimal(price),
                at=NINE + at * SECOND, fee=Decimal(fee), trip=line, closes=side is SELL,
            )
            for side, price, at, fee in zip((BUY, SELL), prices, after, ("0", "3.75"), strict=True)
        )  # fmt: skip
        return [entry, leave]

    def test_two_trips_of_one_entry_agree_with_its_trades(self, trading: Desk) -> None:
        trading.rows = [
            *self.trip(2, 1, ("6700.25", "6710.25"), (0, 60)), *self.trip(3, 1, ("6700.25", "6705"), (0, 120))
        ]  # fmt: skip
        assert trading.breaks(closed_only=True) == []

    def test_a_trip_that_is_gone_is_missing_there(self, trading: Desk) -> None:
        trading.rows = self.trip(2, 1, ("6700.25", "6710.25"), (0, 60))
        found = trading.compared({"closed_only": True})
        assert ("MISSING_THERE", "T-3") in kinds(found.breaks)
        assert {each.kind for each in found.breaks} == {BreakKind.MISSING_THERE, BreakKind.OTHER_QUANTITY}

    def test_what_is_still_open_is_not_missed(self, trading: Desk) -> None:
        trading.trade("T-4", BUY, 3, "6720", 180)
        trading.trade("T-5", SELL, 1, "6721", 240)
        trading.rows = [
            *self.trip(2, 1, ("6700.25", "6710.25"), (0, 60)),
            *self.trip(3, 1, ("6700.25", "6705"), (0, 120)),
            *self.trip(4, 1, ("6720", "6721"), (180, 240)),
        ]
        # The costs of the entry in the share that was closed: 2.5 / 3 + 2.5.
        trading.rows[-1] = replace(trading.rows[-1], fee=Decimal("3.33"))
        found = trading.compared({"closed_only": True})
        assert found.breaks == ()
        assert "what is still open: the statement has only what is closed" in found.not_compared
        # What closed something has to be there.
        del trading.rows[-2:]
        assert kinds(trading.compared({"closed_only": True}).breaks) == [("MISSING_THERE", "T-5")]
