"""One row per purchase and sale matched by the broker: an execution stands in several rows in parts."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, ClassVar

import msgspec

from eventstore.trading import Side, TradeExecuted
from gateways.importers.base import BadRow, TableRow
from gateways.importers.kinds.protocol import planned

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gateways.importers.base import PlannedEvent
    from gateways.importers.cells import Cells


class _Execution(msgspec.Struct):
    """What the rows so far say of an execution; `row` is the first of them."""

    row: TableRow
    account: str
    symbol: str
    side: Side
    price: Decimal
    at: int
    quantity: Decimal = Decimal(0)
    reported: Decimal | None = None


class MatchedPairRows:
    """The rows of one execution id add up to one TradeExecuted in `trade/ACCOUNT/ID`.

    The row's profit and loss is that of the later of both, which closes. Two rows that state another price, time,
    contract or side for one id contradict each other, and are refused.
    """

    key: ClassVar[str] = "fill:"
    compares: ClassVar[str | None] = "symbol"

    def __init__(self, cells: Cells) -> None:
        self.cells = cells
        self._prefix = cells.mapping.identity.key if cells.mapping.identity.key is not None else self.key
        self._found: dict[tuple[str, str], _Execution] = {}
        self._pairs: dict[tuple[str, str, str], tuple[int, Decimal]] = {}
        self.repeated = 0

    def plan(self, row: TableRow) -> Sequence[PlannedEvent]:
        cells = self.cells
        bought, sold = cells.time(row, "buy_time"), cells.time(row, "sell_time")
        symbol = cells.contract(row, min(bought, sold)).symbol
        quantity, account, reported = cells.positive(row, "quantity"), cells.account(row), cells.pnl(row)
        legs = []
        for side, field, at in ((Side.BUY, "buy", bought), (Side.SELL, "sell", sold)):
            price = cells.decimal(row, f"{field}_price")
            legs.append((cells.text(row, f"{field}_id"), _Execution(row, account, symbol, side, price, at)))
        if legs[0][0] == legs[1][0]:
            cells.refuse(row, "sell_id", f"is also {cells.label('buy_id')}: one execution cannot be both")
        # A row counts for both of its executions or for none.
        known = [self._known(row, id_, leg) for id_, leg in legs]
        if self._is_repeated(row, (account, legs[0][0], legs[1][0]), quantity):
            return ()
        closing = known[0] if bought > sold else known[1]
        for each in known:
            each.quantity += quantity
        if reported is not None:
            closing.reported = (closing.reported or Decimal(0)) + reported
        for (id_, _), each in zip(legs, known, strict=True):
            self._found[account, id_] = each
        return ()

    def _is_repeated(self, row: TableRow, pair: tuple[str, str, str], quantity: Decimal) -> bool:
        """Return whether a row repeats an earlier one: two executions are matched once, with one quantity."""
        line, known = self._pairs.setdefault(pair, (row.line, quantity))
        if line == row.line:
            return False
        if known != quantity:
            self.cells.refuse(row, "quantity", f"is another one than on line {line}, which matches the same executions")
        self.repeated += 1
        return True

    def _known(self, row: TableRow, id_: str, leg: _Execution) -> _Execution:
        known = self._found.get((leg.account, id_))
        if known is None:
            return leg
        for member in ("symbol", "side", "price", "at"):
            if getattr(known, member) != getattr(leg, member):
                field = "buy_id" if leg.side is Side.BUY else "sell_id"
                why = f"is the id of another execution on line {known.row.line}, which has another {_WORDS[member]}"
                raise BadRow(row.file, row.line, self.cells.label(field), id_, why)
        return known

    def finish(self) -> Iterator[PlannedEvent]:
        """Yield the executions, each with the sum of its rows."""
        for (account, id_), each in self._found.items():
            event = TradeExecuted(
                trade_id=id_,
                symbol=each.symbol,
                side=each.side,
                quantity=each.quantity,
                price=each.price,
                reported_pnl=each.reported,
            )
            key = f"{self._prefix}{id_}"
            yield planned(each.row, ("trade", account, id_), event, key, each.at, reported=each.reported)


_WORDS = {"symbol": "contract", "side": "side", "price": "price", "at": "time"}
