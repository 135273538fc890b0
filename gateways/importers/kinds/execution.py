"""One row per execution."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from typing import TYPE_CHECKING, ClassVar

from msgspec.structs import replace

from eventstore.streams import SEPARATOR
from eventstore.trading import OrderFilled, TradeExecuted
from gateways.importers.base import BadRow
from gateways.importers.kinds.protocol import EachRow, planned

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from eventstore.trading import ContractDefined
    from gateways.importers.base import PlannedEvent, TableRow
    from gateways.importers.cells import Cells

_MADE_ID = re.compile(r"row-[0-9a-f]{24}-\d+(?:-entry|-exit)?", re.ASCII)


class ExecutionRows(EachRow):
    """A row with an order_id becomes OrderFilled in `order/ACCOUNT/ORDER_ID`, any other TradeExecuted in `trade/…`.

    Without an id, a row is identified by its figures, and by its number among the rows with the same figures.
    """

    key: ClassVar[str] = "fill:"
    compares: ClassVar[str | None] = "symbol"

    def __init__(self, cells: Cells) -> None:
        super().__init__(cells)
        self._made = MadeIds()
        self._has_units = cells.mapping.numbers is not None and cells.mapping.numbers.units
        self._has_orders, self._has_exchange_ids = cells.has("order_id"), cells.has("exchange_trade_id")
        self._has_broker_orders = cells.has("broker_order_id")

    def plan(self, row: TableRow) -> Sequence[PlannedEvent]:
        cells = self.cells
        account = cells.account(row)
        at = cells.time(row, "time")
        contract = cells.contract(row, at)
        side, quantity = cells.side_and_quantity(row)
        if self._has_units and cells.measured(cells.text(row, "quantity"))[1] == contract.currency:
            cells.refuse(row, "quantity", f"is an amount of {contract.currency}, not a quantity")
        price = cells.decimal(row, "price")
        order = cells.optional(row, "order_id") if self._has_orders else None
        trade_id = cells.identity(row, "trade_id") or self._made.of(
            account, contract.symbol, side, quantity, price, at, order
        )
        fee, currency = cells.fee(row)
        self._check_fee(row, contract, fee, currency)
        reported = cells.pnl(row)
        kind = TradeExecuted if order is None else OrderFilled
        event = kind(
            trade_id=trade_id,
            symbol=contract.symbol,
            side=side,
            quantity=quantity,
            price=price,
            fee=fee,
            fee_currency=currency,
            exchange_trade_id=cells.optional(row, "exchange_trade_id") if self._has_exchange_ids else None,
            reported_pnl=before_fees(cells, reported, fee),
            trading_day=cells.trading_day(row),
        )
        if self._has_broker_orders and isinstance(event, TradeExecuted):
            event = replace(event, broker_order_id=cells.optional(row, "broker_order_id"))
        stream = ("trade", account, trade_id) if order is None else ("order", account, order)
        return (planned(row, stream, event, f"{self.prefix}{trade_id}", at, reported=reported),)

    def _check_fee(self, row: TableRow, contract: ContractDefined, fee: Decimal, currency: str | None) -> None:
        """Raise BadRow for a cost in the coin that was bought, unless the mapping says that there are such."""
        is_in_kind = fee and currency is not None and currency == contract.bought_coin
        if is_in_kind and not self.cells.mapping.fees.in_kind:
            why = f"has a cost of {fee} {currency}, the coin that was traded: if it was taken from it, set fees.in-kind"
            raise BadRow(row.file, row.line, " + ".join(self.cells.fee_columns), str(fee), why)


class MadeIds:
    """Ids for rows without one: of their figures, and of their number among the rows with the same figures."""

    def __init__(self) -> None:
        self._seen: Counter[bytes] = Counter()

    def of(self, *figures: object) -> str:
        """Return the id of the next row with these figures."""
        text = SEPARATOR.join(map(str, figures)).encode("utf-8", "surrogatepass")
        digest = hashlib.sha256(text).digest()[:12]
        self._seen[digest] += 1
        return f"row-{digest.hex()}-{self._seen[digest]}"


def is_made(trade_id: str) -> bool:
    """Return whether a trade id was made from a row's figures, because the file has none."""
    return _MADE_ID.fullmatch(trade_id) is not None


def before_fees(cells: Cells, reported: Decimal | None, fee: Decimal) -> Decimal | None:
    """Return the file's profit and loss before costs; None where the row alone does not say it."""
    pnl = cells.mapping.pnl
    if reported is None or not pnl.after_fees:
        return reported
    return reported + fee if pnl.takes_off == "row" else None
