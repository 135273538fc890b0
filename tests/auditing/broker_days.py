"""Random days of an account as its broker has them, and the breaks that changing the statement must give."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from decimal import Decimal
from random import Random

from msgspec.structs import replace

from eventstore.trading import CashKind, FeeCharged, TradeBusted, TradeCorrected
from projections.auditing import StatedExecution, Statement
from tests.auditing.statement_desk import BUY, SECOND, SELL, Desk

Expected = Counter[tuple[str, str]]
"""Kinds of breaks with what they are about: a trade's id, a contract, or the reference of cash."""
MULTIPLIERS = {"ESZ5": 50, "NQZ5": 20}


class BrokerDay:
    """Trades of a day in a log, late costs, corrections and busts among them, and a statement that agrees."""

    def __init__(self, chance: Random) -> None:
        self.chance, self.desk = chance, Desk(sessions=chance.random() < 0.5)
        self._lots: dict[str, deque[list[Decimal]]] = {symbol: deque() for symbol in MULTIPLIERS}
        # Every price is another one, so that no two executions are alike without their ids.
        self._prices = chance.sample(range(4_000), 60)
        after = 0
        for number in range(chance.randint(4, 25)):
            after += chance.randint(5, 400)
            self._trade(f"T-{number}", after)
        for number in range(chance.randint(0, 4)):
            kind = chance.choice((CashKind.FEE, CashKind.DEPOSIT, CashKind.INTEREST))
            self.desk.move(kind, f"{10 + number}.50", chance.randint(0, after), f"R-{number}")
        self.cash = {each.line: f"R-{index}" for index, each in enumerate(self.desk.cash)}

    def _trade(self, trade_id: str, after: int) -> None:
        chance, symbol = self.chance, self.chance.choice(tuple(MULTIPLIERS))
        side, quantity = chance.choice((BUY, SELL)), chance.randint(1, 4)
        price = Decimal(6_000) + Decimal(self._prices.pop()) / 4
        order = f"O-{trade_id}" if chance.random() < 0.5 else None
        stream = f"order/A/{order}" if order else f"trade/A/{trade_id}"
        change = chance.random()
        wrong = price + 1_000 if change < 0.15 else price
        self.desk.trade(trade_id, side, quantity, str(wrong), after, symbol=symbol, fee="1.25", order=order)
        if change < 0.15:
            corrected = TradeCorrected(trade_id=trade_id, quantity=Decimal(quantity), price=price)
            self.desk.store.append(stream, corrected)
            self.desk.change(trade_id, price=price)
        elif change < 0.25:
            self.desk.store.append(stream, TradeBusted(trade_id=trade_id))
            self.desk.drop(trade_id)
            return
        elif change < 0.4:
            self.desk.store.append(stream, FeeCharged(trade_id=trade_id, amount=Decimal("0.35")))
            self.desk.change(trade_id, fee=Decimal("1.60"))
        realized = self._realized(symbol, Decimal(quantity if side is BUY else -quantity), price)
        if realized is not None:
            self.desk.change(trade_id, pnl=realized)

    def _realized(self, symbol: str, signed: Decimal, price: Decimal) -> Decimal | None:
        """Return what a trade closes, first in first out; None if it closes nothing."""
        lots, total, closes = self._lots[symbol], Decimal(0), False
        while signed and lots and (lots[0][0] > 0) is not (signed > 0):
            closes = True
            part = min(abs(lots[0][0]), abs(signed)) * (1 if signed < 0 else -1)
            total += part * (price - lots[0][1]) * MULTIPLIERS[symbol]
            lots[0][0] -= part
            signed += part
            if not lots[0][0]:
                lots.popleft()
        if signed:
            lots.append([signed, price])
        return total if closes else None

    def alter(self, count: int) -> Expected:
        """Change rows of the statement, none twice; return the breaks that this must give."""
        expected: Expected = Counter()
        rows = self.chance.sample(self.desk.rows, min(count, len(self.desk.rows)))
        results = Counter[str]()
        for row in rows:
            expected.update(self.chance.choice(CHANGES)(self, row, results))
        for each in self.chance.sample(self.desk.cash, min(1, len(self.desk.cash))):
            self.desk.cash.remove(each)
            if self.chance.random() < 0.5:
                self.desk.cash.append(replace(each, amount=each.amount + 1))
                expected["OTHER_CASH", self.cash[each.line]] += 1
            else:
                expected["MISSING_THERE", self.cash[each.line]] += 1
        # A statement that states no result at all is not compared with ours.
        if any(row.pnl is not None for row in self.desk.rows):
            expected.update({("OTHER_PNL", symbol): 1 for symbol, by in results.items() if by})
        return expected

    def found(self, compared: Statement) -> Expected:
        """Return the breaks that were found, in the same words."""
        references = {record.position: record.event.reference for record in self.desk.store.read(types="CashMoved")}  # type: ignore[attr-defined]
        return Counter(
            (
                str(each.kind),
                each.trade_id or each.symbol or references.get(each.records[0] if each.records else 0) or "",
            )
            for each in compared.breaks
        )


Change = Callable[[BrokerDay, StatedExecution, "Counter[str]"], Expected]


def _deleted(day: BrokerDay, row: StatedExecution, results: Counter[str]) -> Expected:
    day.desk.rows.remove(row)
    results[row.symbol] -= round(row.pnl or 0)
    return Counter({("MISSING_THERE", row.trade_id or ""): 1})


def _invented(day: BrokerDay, row: StatedExecution, _: Counter[str]) -> Expected:
    fresh = replace(row, line=500 + row.line, trade_id=f"N-{row.trade_id}", price=row.price + 2_000, pnl=None)
    day.desk.rows.append(fresh)
    return Counter({("MISSING_HERE", fresh.trade_id or ""): 1})


def _changed(kind: str, **by: int) -> Change:
    def change(day: BrokerDay, row: StatedExecution, results: Counter[str]) -> Expected:
        members = {name: getattr(row, name) + each for name, each in by.items()}
        day.desk.change(row.trade_id or "", **members)
        results[row.symbol] += by.get("pnl", 0)
        return Counter({(kind, row.trade_id or ""): 1})

    return change


def _other_side(day: BrokerDay, row: StatedExecution, _: Counter[str]) -> Expected:
    day.desk.change(row.trade_id or "", side=SELL if row.side is BUY else BUY)
    return Counter({("OTHER_SIDE", row.trade_id or ""): 1})


def _other_result(day: BrokerDay, row: StatedExecution, results: Counter[str]) -> Expected:
    day.desk.change(row.trade_id or "", pnl=(row.pnl or 0) + 7)
    results[row.symbol] += 7
    return Counter()


CHANGES: tuple[Change, ...] = (
    _deleted,
    _invented,
    _changed("OTHER_PRICE", price=1),
    _changed("OTHER_QUANTITY", quantity=1),
    _changed("OTHER_FEE", fee=1),
    _changed("OTHER_TIME", at=2 * SECOND),
    _other_side,
    _other_result,
)
