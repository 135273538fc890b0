"""A file's own profit and loss compared with the fold's, by round trip or by account and symbol."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING

import msgspec

from eventstore.trading import OrderFilled, Side, TradeExecuted
from gateways.presenting.documents import plain
from projections.decimals import FIXED
from projections.views.executions.position_totals import FLAT, traded

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from eventstore.trading import ContractDefined
    from gateways.importers.base import PlannedEvent

TOLERANCE = Decimal("0.005")
"""Half a cent: the error of rounding to cents."""


class PnlRow(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of the file and the fold's, in the contract's currency, both before fees.

    `lines` are the lines of the file that it comes from. The fold is first in, first out, from flat, over the file's
    own fills; `fees` are those in the file.
    """

    account: str
    symbol: str
    lines: tuple[int, ...]
    reported: Decimal
    folded: Decimal
    fees: Decimal

    @property
    def difference(self) -> Decimal:
        """The file's figure minus the fold's."""
        return FIXED.subtract(self.reported, self.folded)

    @property
    def differs(self) -> bool:
        """Whether the two differ by more than half a cent."""
        return abs(self.difference) > TOLERANCE

    def as_json(self) -> dict[str, object]:
        """Return the row as plain values, figures as text."""
        members: dict[str, object] = plain(self)
        return members | {"difference": plain(self.difference), "differs": self.differs}


def compare(
    kind: str | None, planned: Iterable[PlannedEvent], contracts: Mapping[str, ContractDefined]
) -> list[PnlRow]:
    """Return the file's figures and the fold's, by "round trip" (a line each) or by "symbol"; None compares nothing.

    `planned` is in the order in which it is appended, `contracts` is by symbol. There is no row without a figure in
    the file.
    """
    if kind is None:
        return []
    groups: dict[tuple[int, str, str], list[PlannedEvent]] = defaultdict(list)
    for item in planned:
        if isinstance(item.event, OrderFilled | TradeExecuted):
            line = item.line if kind == "round trip" else 0
            groups[line, item.stream.split("/", 2)[1], item.event.symbol].append(item)
    with localcontext(FIXED):
        rows = [_row(account, symbol, items, contracts) for (_, account, symbol), items in sorted(groups.items())]
    return [row for row in rows if row is not None]


def _row(
    account: str, symbol: str, items: Sequence[PlannedEvent], contracts: Mapping[str, ContractDefined]
) -> PnlRow | None:
    fills = [item.event for item in items if isinstance(item.event, OrderFilled | TradeExecuted)]
    reported = [fill.reported_pnl for fill in fills if fill.reported_pnl is not None]
    if not reported:
        return None
    point_value = contracts[symbol].point_value
    assert point_value is not None, symbol  # every table entry has one, and a definition in the log agrees with it
    held = FLAT
    for fill in fills:
        signed = fill.quantity if fill.side is Side.BUY else -fill.quantity
        held = traded(held, signed, fill.price, fill.trade_id, 0)
    return PnlRow(
        account=account,
        symbol=symbol,
        lines=tuple(sorted({item.line for item in items})),
        reported=sum(reported, Decimal(0)),
        folded=held.realized_points * point_value,
        fees=sum((fill.fee for fill in fills), Decimal(0)),
    )
