"""A file's own profit and loss compared with ours, by round trip or by account and symbol."""

from __future__ import annotations

from collections import deque
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING

import msgspec

from eventstore.streams import account_of
from eventstore.trading import OrderFilled, Payoff, Side, TradeExecuted
from gateways.presenting.documents import plain
from projections.decimals import FIXED
from projections.views.executions.position_totals import FLAT, traded

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from eventstore.trading import ContractDefined
    from gateways.importers.base import PlannedEvent

TOLERANCE = Decimal("0.005")
"""Half a cent: the error of rounding to cents."""
ROUND_TRIP = "round trip"
ZERO = Decimal(0)


class PnlRow(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of the file and ours, in the contract's currency: both before costs, or both after them.

    `lines` are the lines of the file that it comes from. Ours, `folded`, is first in, first out, from flat, over the
    file's own executions; `fees` are those in the file.
    """

    account: str
    symbol: str
    lines: tuple[int, ...]
    reported: Decimal
    folded: Decimal
    fees: Decimal
    after_fees: bool = False

    @property
    def difference(self) -> Decimal:
        """The file's figure minus ours."""
        return FIXED.subtract(self.reported, self.folded)

    @property
    def differs(self) -> bool:
        """Whether the two differ by more than half a cent."""
        return abs(self.difference) > TOLERANCE

    def as_json(self) -> dict[str, object]:
        """Return the row as plain values, figures as text."""
        members: dict[str, object] = plain(self)
        return members | {"difference": plain(self.difference), "differs": self.differs}


class FoldedGroup:
    """The executions of a round trip, or of an account and symbol: what the file says of them, and what we do."""

    def __init__(self, account: str, symbol: str, contract: ContractDefined) -> None:
        self.account, self.symbol, self.contract = account, symbol, contract
        # How many executions have a figure that is ours before costs, after their own, and after all that they close.
        self.before = self.after = self.after_matched = 0
        self.lines: set[int] = set()
        self.reported: Decimal | None = None
        self.fees = self.matched_fees = ZERO
        self.currencies: set[str] = set()
        self.closes = False
        self._held = FLAT
        # Quantity and costs of each opening that is not closed yet.
        self._open: deque[list[Decimal]] = deque()

    def take(self, item: PlannedEvent, event: OrderFilled | TradeExecuted) -> None:
        """Take in the next execution."""
        signed = event.quantity if event.side is Side.BUY else -event.quantity
        matched, realized = self.matched_fees, self.realized
        self._match(signed, event.fee)
        self._held = traded(self._held, signed, event.price, event.trade_id, 0)
        self.lines.add(item.line)
        self.fees += event.fee
        if event.fee and event.fee_currency is not None:
            self.currencies.add(event.fee_currency)
        if item.reported is not None:
            self.reported = (self.reported or ZERO) + item.reported
            if realized is not None and self.realized is not None and event.fee:
                ours = self.realized - realized
                self.before += _is_near(item.reported, ours)
                self.after += _is_near(item.reported, ours - event.fee)
                self.after_matched += _is_near(item.reported, ours - self.matched_fees + matched)

    def _match(self, signed: Decimal, fee: Decimal) -> None:
        """Add the costs of what is closed: the execution's own and its entry's, in the share that is closed."""
        held, left = self._held.quantity, abs(signed)
        if held and (held > 0) is not (signed > 0):
            self.closes = True
            closed = min(left, abs(held))
            self.matched_fees += fee * closed / left
            fee -= fee * closed / left
            left -= closed
            while closed > 0 and self._open:
                lot = self._open[0]
                part = min(closed, lot[0])
                cost = lot[1] * part / lot[0]
                self.matched_fees += cost
                lot[0] -= part
                lot[1] -= cost
                closed -= part
                if not lot[0]:
                    self._open.popleft()
        if left:
            self._open.append([left, fee])

    @property
    def realized(self) -> Decimal | None:
        """What was realized before costs; None if the contract's terms do not say it as points."""
        point_value = self.contract.point_value
        if point_value is None or self.contract.payoff is Payoff.INVERSE:
            return None
        return self._held.realized_points * point_value


def folded_groups(
    kind: str, items: Iterable[PlannedEvent], contracts: Mapping[str, ContractDefined]
) -> list[FoldedGroup]:
    """Return the groups that the file has a figure for; `items` are in the order in which they are appended."""
    groups: dict[tuple[int, str, str], FoldedGroup] = {}
    with localcontext(FIXED):
        for item in items:
            event = item.event
            if isinstance(event, OrderFilled | TradeExecuted):
                key = (item.line if kind == ROUND_TRIP else 0, account_of(item.stream), event.symbol)
                group = groups.get(key)
                if group is None:
                    group = groups[key] = FoldedGroup(key[1], key[2], contracts[event.symbol])
                group.take(item, event)
    return [groups[key] for key in sorted(groups) if groups[key].reported is not None]


def compare(
    kind: str | None,
    items: Iterable[PlannedEvent],
    contracts: Mapping[str, ContractDefined],
    *,
    after_fees: bool = False,
) -> list[PnlRow]:
    """Return the file's figures and ours, by "round trip" (a line each) or by "symbol"; None compares nothing.

    `contracts` is by symbol, `after_fees` says what the file's figures are. There is no row without a figure in the
    file, nor where costs in another currency are taken off.
    """
    if kind is None:
        return []
    found = []
    with localcontext(FIXED):
        groups = folded_groups(kind, items, contracts)
        is_matched = after_fees and _fits(groups, "matched_fees") > _fits(groups, "fees")
        for group in groups:
            realized = group.realized
            if realized is None or (after_fees and group.currencies - {group.contract.currency}):
                continue
            fees = group.matched_fees if is_matched else group.fees
            found.append(
                PnlRow(
                    account=group.account,
                    symbol=group.symbol,
                    lines=tuple(sorted(group.lines)),
                    reported=group.reported or ZERO,
                    folded=realized - fees if after_fees else realized,
                    fees=group.fees,
                    after_fees=after_fees,
                )
            )
    return found


def is_after_fees(
    kind: str | None, items: Iterable[PlannedEvent], contracts: Mapping[str, ContractDefined]
) -> bool | None:
    """Return whether a file's figures are after costs, by arithmetic over all of it; None if that decides nothing."""
    if kind is None:
        return False
    with localcontext(FIXED):
        # An opening realizes nothing: a figure of it can only be that of a position from before the file.
        found = folded_groups(kind, items, contracts)
        groups = [group for group in found if group.fees and (group.closes or _is_cost(group))]
        by_row = sum(group.before for group in groups), sum(max(group.after, group.after_matched) for group in groups)
        by_group = _fits(groups, None), max(_fits(groups, "fees"), _fits(groups, "matched_fees"))
    # Where the broker matches otherwise than first in first out, only the sums agree.
    for before, after in (by_row, by_group):
        if before != after:
            return after > before
    return None if groups else False


def _is_cost(group: FoldedGroup) -> bool:
    return group.reported is not None and _is_near(group.reported, -group.fees)


def _is_near(figure: Decimal, ours: Decimal) -> bool:
    return abs(figure - ours) <= TOLERANCE


def _fits(groups: Iterable[FoldedGroup], fees: str | None) -> int:
    """Return how many of the file's figures are ours, less these costs."""
    fitting = 0
    for group in groups:
        realized = group.realized
        if realized is not None and group.reported is not None:
            fitting += _is_near(group.reported, realized - (getattr(group, fees) if fees is not None else ZERO))
    return fitting
