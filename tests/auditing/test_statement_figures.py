"""What a statement says beside executions: cash, positions, and results of trading days."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest
from msgspec.structs import replace

from eventstore.trading import AccountReopened, CashKind, PositionSide
from projections.auditing import BreakKind, StatedPosition, StatedResult
from tests.auditing.statement_desk import BUY, DAY, HOUR, NINE, SECOND, SELL, Desk, desk


@pytest.fixture
def trading() -> Iterator[Desk]:
    with desk() as made:
        yield made


class TestCash:
    def test_movements_are_compared_as_far_as_the_statement_lists_their_kind(self, trading: Desk) -> None:
        trading.move(CashKind.DEPOSIT, "1000", 10, "R-1")
        trading.move(CashKind.FEE, "12.5", 20)
        trading.move(CashKind.WITHDRAWAL, "300", 30, "R-2")
        assert trading.breaks() == []
        trading.cash = trading.cash[1:2]
        assert [kind for kind, _ in trading.breaks()] == ["MISSING_THERE"] * 2
        assert trading.breaks(cash_kinds=frozenset({CashKind.FEE})) == []

    def test_another_amount_and_another_day_are_found_without_a_reference(self, trading: Desk) -> None:
        trading.move(CashKind.INTEREST, "12.5", 20)
        [row] = trading.cash
        trading.cash = [replace(row, amount=Decimal("12.6"))]
        [found] = trading.compared().breaks
        assert (found.kind, found.here, found.there, found.currency) == (
            BreakKind.OTHER_CASH, Decimal("12.5"), Decimal("12.6"), "USD"
        )  # fmt: skip
        trading.cash = [replace(row, at=row.at + 11 * HOUR)]
        [late] = trading.compared().breaks
        assert (late.kind, late.here_at, late.there_at) == (BreakKind.OTHER_TIME, row.at, row.at + 11 * HOUR)
        assert "on 2025-11-19, the log on 2025-11-18" in late.sentence
        trading.cash = [replace(row, at=row.at + 13 * HOUR)]
        assert [kind for kind, _ in trading.breaks()] == ["MISSING_HERE", "MISSING_THERE"]
        trading.cash = [replace(row, currency="EUR")]
        assert [kind for kind, _ in trading.breaks()] == ["MISSING_HERE", "MISSING_THERE"]


class TestPositions:
    def held(self, quantity: str, after: int, symbol: str = "ESZ5") -> StatedPosition:
        return StatedPosition(line=50, account="A", symbol=symbol, quantity=Decimal(quantity), at=NINE + after * SECOND)

    def test_they_are_those_of_their_instant(self, trading: Desk) -> None:
        trading.trade("T-4", BUY, 1, "6700", 180)
        assert trading.breaks(positions=(self.held("2", 30), self.held("1", 90))) == []
        found = trading.compared({"positions": (self.held("2", 90),)})
        [other] = found.breaks
        assert (other.kind, other.here, other.there, other.lines) == (
            BreakKind.OTHER_POSITION,
            Decimal(1),
            Decimal(2),
            (50,),
        )
        assert other.sentence == "the statement has a position of 2 ESZ5, the log 1"

    def test_a_list_that_does_not_name_one_lacks_it(self, trading: Desk) -> None:
        trading.trade("T-4", BUY, 1, "6700", 180)
        [found] = trading.compared({"positions": (self.held("0", 200, "NQZ5"),)}).breaks
        assert (found.kind, found.symbol, found.here, found.there) == (
            BreakKind.OTHER_POSITION,
            "ESZ5",
            Decimal(1),
            None,
        )

    def test_a_side_that_is_not_kept_here_is_another_position(self, trading: Desk) -> None:
        side = StatedPosition(line=50, account="A", symbol="ESZ5", quantity=Decimal(1), at=NINE, side=PositionSide.LONG)
        assert [kind for kind, _ in trading.breaks(positions=(side,))] == ["OTHER_POSITION"] * 2


class TestResults:
    def test_rows_add_up_to_the_day_s_result(self, trading: Desk) -> None:
        trading.change("T-2", pnl=Decimal(500))
        trading.change("T-3", pnl=Decimal("237.5"))
        assert trading.breaks() == []
        trading.change("T-3", pnl=Decimal("237.49"))
        assert trading.breaks() == []  # rounded in each row
        trading.change("T-3", pnl=Decimal(230))
        [found] = trading.compared().breaks
        assert (found.kind, found.symbol, found.here, found.there) == (
            BreakKind.OTHER_PNL, "ESZ5", Decimal("737.5"), Decimal(730)
        )  # fmt: skip
        assert (found.trading_day, len(found.records), found.lines) == (DAY, 3, (3, 4))

    def test_a_part_of_a_day_is_not_compared_with_its_result(self, trading: Desk) -> None:
        trading.change("T-3", pnl=Decimal(1))
        found = trading.compared(start=NINE, stop=NINE + HOUR)
        assert found.breaks == ()
        assert "profit and loss of A on 2025-11-18: the period has only a part of it" in found.not_compared

    def test_a_day_s_result_is_compared_with_ours(self, trading: Desk) -> None:
        def result(**members: object) -> StatedResult:
            return StatedResult(line=60, account="A", trading_day=DAY, **members)  # type: ignore[arg-type]

        agrees = result(realized=Decimal("737.5"), fees=Decimal("7.5"))
        assert trading.breaks(results=(agrees,)) == []
        differs = result(realized=Decimal(700), fees=Decimal(8), symbol="ESZ5", currency="USD")
        found = trading.compared({"results": (differs,)}).breaks
        assert [each.kind for each in found] == [BreakKind.OTHER_PNL] * 2
        assert [(each.here, each.there) for each in found] == [
            (Decimal("737.5"), Decimal(700)), (Decimal("7.5"), Decimal(8))
        ]  # fmt: skip

    def test_results_from_before_a_reopening_are_not_known(self, trading: Desk) -> None:
        trading.change("T-3", pnl=Decimal(1))
        trading.store.append("account/A/-", AccountReopened(starting_balance=Decimal(50_000)), actor="desk")
        found = trading.compared()
        assert found.breaks == ()
        assert any("was reopened at position" in each for each in found.not_compared)
        assert found.days[0].pnl_here is None

    def test_a_contract_of_unknown_worth_is_not_compared(self, trading: Desk) -> None:
        trading.trade("X-1", BUY, 1, "10", 300, symbol="XYZ")
        trading.trade("X-2", SELL, 1, "11", 301, symbol="XYZ", pnl=Decimal(5))
        found = trading.compared()
        assert found.breaks == ()
        assert any("XYZ" in each for each in found.not_compared)
        assert found.days[0].pnl_here is None
