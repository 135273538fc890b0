"""A file's own profit and loss beside the fold's: for each round trip, or for each account and symbol."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING

import msgspec

from eventstore.trading import OrderFilled, Side, TradeExecuted
from projections.decimals import FIXED
from projections.views.executions.position_totals import FLAT, traded

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from eventstore.trading import ContractDefined
    from gateways.importers.base import Planned

TOLERANCE = Decimal("0.005")
"""Half a cent: what rounding a figure to cents can leave."""


class PnlRow(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of the file beside the fold's, in the contract's currency, both before fees.

    `lines` are those of the file that it is made of. The fold is first in, first out, from flat, over the file's
    own fills; `fees` is what the file says they cost.
    """

    account: str
    symbol: str
    lines: tuple[int, ...]
    reported: Decimal
    folded: Decimal
    fees: Decimal

    @property
    def difference(self) -> Decimal:
        """What the file says beyond the fold."""
        return FIXED.subtract(self.reported, self.folded)

    @property
    def differs(self) -> bool:
        """Whether the two are more than half a cent apart."""
        return abs(self.difference) > TOLERANCE

    def as_json(self) -> dict[str, object]:
        """Return the row as plain values, figures as text."""
        figures = {name: str(getattr(self, name)) for name in ("reported", "folded", "difference", "fees")}
        where = {"account": self.account, "symbol": self.symbol, "lines": list(self.lines)}
        return where | figures | {"differs": self.differs}


def compare(kind: str | None, planned: Iterable[Planned], contracts: Mapping[str, ContractDefined]) -> list[PnlRow]:
    """Return the file's figures beside the fold's, by "round trip" (a line each), by "symbol", or none.

    `planned` is in the order of its appending, `contracts` by symbol. Where the file tells no figure, there is no
    row.
    """
    if kind is None:
        return []
    groups: dict[tuple[int, str, str], list[Planned]] = defaultdict(list)
    for item in planned:
        if isinstance(item.event, OrderFilled | TradeExecuted):
            line = item.line if kind == "round trip" else 0
            groups[line, item.stream.split("/", 2)[1], item.event.symbol].append(item)
    with localcontext(FIXED):
        rows = [_row(account, symbol, items, contracts) for (_, account, symbol), items in sorted(groups.items())]
    return [row for row in rows if row is not None]


def _row(
    account: str, symbol: str, items: Sequence[Planned], contracts: Mapping[str, ContractDefined]
) -> PnlRow | None:
    fills = [item.event for item in items if isinstance(item.event, OrderFilled | TradeExecuted)]
    told = [fill.reported_pnl for fill in fills if fill.reported_pnl is not None]
    if not told:
        return None
    worth = contracts[symbol].point_value
    assert worth is not None, symbol  # a table's entry tells it, and a definition in the log agrees with one
    held = FLAT
    for fill in fills:
        signed = fill.quantity if fill.side is Side.BUY else -fill.quantity
        held = traded(held, signed, fill.price, fill.trade_id, 0)
    return PnlRow(
        account=account,
        symbol=symbol,
        lines=tuple(sorted({item.line for item in items})),
        reported=sum(told, Decimal(0)),
        folded=held.realized_points * worth,
        fees=sum((fill.fee for fill in fills), Decimal(0)),
    )
