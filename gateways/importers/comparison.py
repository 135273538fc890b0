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
    from collections.abc import Iterable, Iterator, Mapping

    from eventstore.trading import ContractDefined
    from gateways.importers.base import PlannedEvent

TOLERANCE = Decimal("0.005")
"""Half a cent: the error of rounding to cents."""
ROUND_TRIP = "round trip"
ROWS_MAX = 10_000
"""The most figures that are kept one by one."""
LINES_MAX = 1_000
ZERO = Decimal(0)


class PnlRow(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of the file and ours, in the contract's currency: both before costs, or both after them.

    `lines` are the lines of the file that it comes from, the first 1,000 of them and the last. Ours, `folded`, is first
    in, first out, from flat, over the file's own executions; `fees` are those in the file.
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


class PnlSums(msgspec.Struct, frozen=True, kw_only=True):
    """A file's figures beside ours, counted and added up: `reported` the file's, `folded` ours."""

    figures: int = 0
    differing: int = 0
    reported: Decimal = ZERO
    folded: Decimal = ZERO


class PnlComparison(msgspec.Struct, frozen=True):
    """A file's figures beside ours, one by one, round trips in the order of their lines, and in sum.

    Of more than 10,000 figures, `rows` has those that differ, the first 10,000; `sums` are of all.
    """

    rows: tuple[PnlRow, ...] = ()
    sums: PnlSums = PnlSums()


class FoldedGroup:
    """The executions of a round trip, or of an account and symbol: what the file says of them, and what we do."""

    __slots__ = (
        "_held", "_last", "_lines", "_open", "account", "after", "after_matched", "before", "closes", "contract",
        "currencies", "fees", "matched_fees", "reported", "symbol",
    )  # fmt: skip

    def __init__(self, account: str, symbol: str, contract: ContractDefined) -> None:
        self.account, self.symbol, self.contract = account, symbol, contract
        # How many executions have a figure that is ours before costs, after their own, and after all that they close.
        self.before = self.after = self.after_matched = 0
        self._lines: set[int] = set()
        self._last = 0
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
        self._take_line(item.line)
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

    def _take_line(self, line: int) -> None:
        self._last = max(self._last, line)
        if len(self._lines) < LINES_MAX:
            self._lines.add(line)

    @property
    def lines(self) -> tuple[int, ...]:
        """The first lines that were taken in, in order, and the last one."""
        return tuple(sorted({*self._lines, self._last}))

    @property
    def is_flat(self) -> bool:
        """Whether all that was opened is closed."""
        return self.closes and not self._held.quantity

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
) -> Iterator[FoldedGroup]:
    """Yield the groups that the file has a figure for; `items` are in the order in which they are appended.

    A round trip is yielded as soon as it is closed, so that only those that are open take memory.
    """
    groups: dict[tuple[int, str, str], FoldedGroup] = {}
    for item in items:
        event = item.event
        if not isinstance(event, OrderFilled | TradeExecuted):
            continue
        key = (item.line if kind == ROUND_TRIP else 0, account_of(item.stream), event.symbol)
        group = groups.get(key)
        if group is None:
            group = groups[key] = FoldedGroup(key[1], key[2], contracts[event.symbol])
        group.take(item, event)
        if kind == ROUND_TRIP and group.is_flat and group.reported is not None:
            yield groups.pop(key)
    yield from (groups[key] for key in sorted(groups) if groups[key].reported is not None)


def compare(
    kind: str | None,
    items: Iterable[PlannedEvent],
    contracts: Mapping[str, ContractDefined],
    *,
    after_fees: bool = False,
) -> PnlComparison:
    """Return the file's figures and ours, by "round trip" (a line each) or by "symbol"; None compares nothing.

    `contracts` is by symbol, `after_fees` says what the file's figures are. There is no row without a figure in the
    file, nor where costs in another currency are taken off.
    """
    if kind is None:
        return PnlComparison()
    own, matched = _PnlSums("fees", after_fees=after_fees), _PnlSums("matched_fees", after_fees=after_fees)
    is_by_line = kind == ROUND_TRIP
    with localcontext(FIXED):
        for group in folded_groups(kind, items, contracts):
            own.take(group)
            if after_fees:
                matched.take(group)
    return (matched if matched.fitting > own.fitting else own).found(is_by_line=is_by_line)


class _PnlSums:
    """The comparison with certain costs taken off ours, if the file's figures are after costs."""

    def __init__(self, costs: str, *, after_fees: bool) -> None:
        self._costs, self._after_fees = costs, after_fees
        self.fitting = 0
        self._figures = self._differing = 0
        self._reported = self._folded = ZERO
        self._same: list[PnlRow] = []
        self._other: list[PnlRow] = []

    def take(self, group: FoldedGroup) -> None:
        self.fitting += _fits(group, self._costs)
        realized = group.realized
        if realized is None or (self._after_fees and group.currencies - {group.contract.currency}):
            return
        row = PnlRow(
            account=group.account,
            symbol=group.symbol,
            lines=group.lines,
            reported=group.reported or ZERO,
            folded=realized - getattr(group, self._costs) if self._after_fees else realized,
            fees=group.fees,
            after_fees=self._after_fees,
        )
        self._figures += 1
        self._reported += row.reported
        self._folded += row.folded
        self._differing += row.differs
        kept = self._other if row.differs else self._same
        if len(kept) < ROWS_MAX:
            kept.append(row)

    def found(self, *, is_by_line: bool) -> PnlComparison:
        rows = [*self._other, *self._same] if self._figures <= ROWS_MAX else self._other
        return PnlComparison(
            tuple(sorted(rows, key=lambda row: (row.lines[0] if is_by_line else 0, row.account, row.symbol))),
            PnlSums(figures=self._figures, differing=self._differing, reported=self._reported, folded=self._folded),
        )


def is_after_fees(
    kind: str | None, items: Iterable[PlannedEvent], contracts: Mapping[str, ContractDefined]
) -> bool | None:
    """Return whether a file's figures are after costs, by arithmetic over all of it; None if that decides nothing."""
    if kind is None:
        return False
    groups = 0
    by_row, by_group = [0, 0], [0, 0, 0]
    with localcontext(FIXED):
        for group in folded_groups(kind, items, contracts):
            # An opening realizes nothing: a figure of it can only be that of a position from before the file.
            if not group.fees or not (group.closes or _is_cost(group)):
                continue
            groups += 1
            by_row[0] += group.before
            by_row[1] += max(group.after, group.after_matched)
            for index, costs in enumerate((None, "fees", "matched_fees")):
                by_group[index] += _fits(group, costs)
    # Where the broker matches otherwise than first in first out, only the sums agree.
    for before, *after in (by_row, by_group):
        if before != max(after):
            return max(after) > before
    return None if groups else False


def _is_cost(group: FoldedGroup) -> bool:
    return group.reported is not None and _is_near(group.reported, -group.fees)


def _is_near(figure: Decimal, ours: Decimal) -> bool:
    return abs(figure - ours) <= TOLERANCE


def _fits(group: FoldedGroup, costs: str | None) -> bool:
    """Return whether the file's figure is ours, less these costs."""
    realized = group.realized
    if realized is None or group.reported is None:
        return False
    return _is_near(group.reported, realized - (getattr(group, costs) if costs is not None else ZERO))
