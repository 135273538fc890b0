"""Sentences about accounts: opened, configured, corrected, cash, equity, and what others report of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.clock import NANOSECONDS
from eventstore.trading import (
    AccountConfigured,
    AccountOpened,
    AccountReopened,
    AccountUpdated,
    CashKind,
    CashMoved,
    EquityCorrected,
    EquityMarked,
    PnlReported,
    Protection,
    ProtectionMode,
)
from projections.auditing.sentences.wording import Said, because, money, stated
from projections.views.cash import received

if TYPE_CHECKING:
    from decimal import Decimal

    from projections.auditing.sentences.wording import Sentences


def _opened(event: AccountOpened, said: Said) -> str:
    under = "" if event.program is None else f", under {event.program}"
    return f"Account {said.record.account} was opened with {money(event.starting_balance, event.currency)}{under}"


def _reopened(event: AccountReopened, said: Said) -> str:
    under = "" if event.program is None else f", under {event.program}"
    begins = f"reopened with {money(event.starting_balance, event.currency)}{under}"
    return f"Account {said.record.account} was {begins}{because(event.reason)}"


def _updated(event: AccountUpdated, _said: Said) -> str:
    figures = stated(
        balance=_money(event.balance, event.currency),
        available=_money(event.available, event.currency),
        frozen=_money(event.frozen, event.currency),
        margin=_money(event.margin, event.currency),
    )
    may = {None: "", True: "the account may trade", False: "the account may not trade"}[event.can_trade]
    return f"The broker reports: {'; '.join(filter(None, (figures, may))) or 'nothing of the account'}"


_BY_KIND = frozenset({CashKind.DEPOSIT, CashKind.WITHDRAWAL, CashKind.PAYOUT})
"""These go the way that their kind says, whatever the sign of the amount."""


def _cash(event: CashMoved, _said: Said) -> str:
    of = f" ({event.reference})" if event.reference else ""
    amount = received(event)
    way = "" if event.kind in _BY_KIND else " received" if amount > 0 else " paid"
    return f"{event.kind.capitalize()} of {money(abs(amount), event.currency)}{way}{of}"


def _configured(event: AccountConfigured, _said: Said) -> str:
    after = None if event.unpriced_after is None else f"{event.unpriced_after / NANOSECONDS:g} s"
    settings = stated(
        valuation=event.valuation,
        baseline=event.baseline,
        payout=event.payout,
        cost=event.cost,
        unpriced=event.unpriced,
        unpriced_after=after,
        haircut=event.haircut,
        balance_kind=event.balance_kind,
        balance_tolerance=_money(event.balance_tolerance, None),
        second_approver=event.second_approver,
    )
    return f"The account was configured: {settings or 'nothing changed'}"


def _corrected(event: EquityCorrected, _said: Said) -> str:
    figures = stated(high_water_mark=_money(event.high_water, None), floor=_money(event.floor, None))
    wrong = "" if event.wrong is None else f", for record {event.wrong} was wrong"
    return f"Equity was corrected{f': {figures}' if figures else ''}{wrong}{because(event.reason)}"


def _protection(event: ProtectionMode, _said: Said) -> str:
    what = {
        Protection.ARMED: "armed: its limits act",
        Protection.SHADOW: "put in shadow mode: its limits only record what they would do",
    }[event.mode]
    reason = f" ({event.reason.strip()})" if event.reason.strip() else ""
    return f"The account was {what}{reason}"


def _marked(event: EquityMarked, said: Said) -> str:
    figures = stated(
        balance=money(event.balance, event.currency, named=False),
        unrealized=money(event.unrealized, event.currency, named=False),
        high_water_mark=money(event.high_water, event.currency, named=False),
        floor=_money(event.floor, event.currency, named=False),
    )
    at = "" if event.reset_at is None else f" at the reset of {said.instant(event.reset_at)}"
    return f"Equity was marked{at} at {money(event.equity, event.currency)}: {figures}"


def _pnl_reported(event: PnlReported, _said: Said) -> str:
    of = "" if event.symbol is None else f" in {event.symbol}"
    day = "" if event.trading_day is None else f" for {event.trading_day}"
    figures = stated(
        realized=_money(event.realized, event.currency),
        unrealized=_money(event.unrealized, event.currency),
        fees=_money(event.fees, event.currency),
    )
    return f"The broker reports profit and loss{of}{day}: {figures or 'no figure'}"


def _money(amount: Decimal | None, currency: str | None, *, named: bool = True) -> str | None:
    return None if amount is None else money(amount, currency, named=named)


SENTENCES: Sentences = {
    AccountOpened: _opened,
    AccountReopened: _reopened,
    AccountUpdated: _updated,
    CashMoved: _cash,
    AccountConfigured: _configured,
    EquityCorrected: _corrected,
    ProtectionMode: _protection,
    EquityMarked: _marked,
    PnlReported: _pnl_reported,
}
