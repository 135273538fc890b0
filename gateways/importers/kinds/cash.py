"""One row per movement of cash."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from eventstore.errors import InvalidEvent
from eventstore.trading import CashKind, CashMoved
from gateways.importers.kinds.execution import MadeIds
from gateways.importers.kinds.protocol import EachRow, planned

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from gateways.importers.base import PlannedEvent, TableRow
    from gateways.importers.cells import Cells


class CashRows(EachRow):
    """A row becomes CashMoved in `account/ACCOUNT/-`, and one more of kind FEE for what it cost.

    The file's amount is above zero when received. A FEE is recorded as what was paid; a deposit below zero is a
    WITHDRAWAL, while a WITHDRAWAL and a PAYOUT went out whatever sign the file has.
    """

    key: ClassVar[str] = "cash:"

    def __init__(self, cells: Cells) -> None:
        super().__init__(cells)
        self._made = MadeIds()
        cash = cells.mapping.cash
        self._kinds = {word.casefold(): _kind(name) for name, words in cash.kinds.items() for word in words}
        self._kind = None if cash.kind is None else _kind(cash.kind)

    def plan(self, row: TableRow) -> Sequence[PlannedEvent]:
        cells = self.cells
        account, at = cells.account(row), cells.time(row, "time")
        amount, kind = cells.decimal(row, "amount"), self._kind_of(row)
        currency = cells.mapping.cash.currency or cells.text(row, "currency")
        reference = cells.identity(row, "reference")
        fee, fee_currency = cells.fee(row)
        id_ = reference or self._made.of(account, kind, amount, currency, at)
        stream = ("account", account, "-")
        found = []
        if amount:
            way, paid = _directed(kind, amount)
            event = CashMoved(amount=paid, currency=currency, kind=way, reference=reference)
            found.append(planned(row, stream, event, f"{self.prefix}{id_}", at))
        if fee:
            event = CashMoved(amount=fee, currency=fee_currency or currency, kind=CashKind.FEE, reference=reference)
            found.append(planned(row, stream, event, f"{self.prefix}{id_}:fee", at))
        return found

    def _kind_of(self, row: TableRow) -> CashKind:
        if not self.cells.has("type"):
            if self._kind is None:
                msg = "the mapping says no kind of cash: give cash.kind, or the column `type` and its words"
                raise InvalidEvent(msg)
            return self._kind
        word = self.cells.text(row, "type").casefold()
        found = self._kinds.get(word, self._kind)
        if found is None:
            self.cells.refuse(row, "type", f"is not one of {', '.join(self._kinds)}")
        return found


def _kind(name: str) -> CashKind:
    try:
        return CashKind(name.upper())
    except ValueError as e:
        msg = f"cash kind {name!r} is unknown: expected one of {', '.join(CashKind)}"
        raise InvalidEvent(msg) from e


def _directed(kind: CashKind, amount: Decimal) -> tuple[CashKind, Decimal]:
    """Return kind and amount as CashMoved has them, of an amount that is above zero when received."""
    if kind is CashKind.FEE:
        return kind, -amount
    if kind is CashKind.DEPOSIT and amount < 0:
        return CashKind.WITHDRAWAL, -amount
    return kind, abs(amount) if kind in {CashKind.WITHDRAWAL, CashKind.PAYOUT} else amount
