"""What an account is, what its broker says it holds, and the cash that moves: stream `account/ACCOUNT/-`."""

from decimal import Decimal

from eventstore.events import QUEUED, SYNCED, Durability, Event, event
from eventstore.trading.enums import CashKind


@event(categories=("account",), measures=("starting_balance",))
class AccountOpened(Event, frozen=True, kw_only=True):
    """An account began. `program` is what it is run under, for example a prop firm's plan."""

    starting_balance: Decimal
    currency: str
    program: str | None = None


def _update_durability(update: "AccountUpdated") -> Durability:
    return SYNCED if update.can_trade is False else QUEUED


@event(
    categories=("account",),
    durability=QUEUED,
    durability_of=_update_durability,
    measures=("balance", "available", "frozen", "margin"),
)
class AccountUpdated(Event, frozen=True, kw_only=True):
    """What the broker says of an account; what it leaves out stands as it was reported before.

    `can_trade` False locks the account, and is at least SYNCED; True ends that lockout. Without a `currency` the
    figures are in the account's own.
    """

    balance: Decimal | None = None
    available: Decimal | None = None
    frozen: Decimal | None = None
    margin: Decimal | None = None
    can_trade: bool | None = None
    currency: str | None = None


@event(categories=("account",), measures=("amount",))
class CashMoved(Event, frozen=True, kw_only=True):
    """Cash came or went. The kind says which way a DEPOSIT, a WITHDRAWAL and a PAYOUT go, whatever the sign.

    A FEE's amount is what was paid, below zero a rebate; FUNDING, INTEREST and DIVIDEND are above zero when received.
    """

    amount: Decimal
    currency: str
    kind: CashKind
    reference: str | None = None
