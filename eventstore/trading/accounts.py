"""What an account is, what its broker says it holds, and the cash that moves: stream `account/ACCOUNT/-`."""

import re
from decimal import Decimal

from eventstore.events import QUEUED, SYNCED, Currency, Durability, Duration, Event, RecordId, event
from eventstore.trading.enums import Baseline, CashKind, Cost, Protection, Unpriced, Valuation


@event(categories=("account",), measures=("starting_balance",))
class AccountOpened(Event, frozen=True, kw_only=True):
    """An account began. `program` is what it is run under, for example a prop firm's plan."""

    starting_balance: Decimal
    currency: Currency
    program: str | None = None


@event(categories=("account",), requires_actor=True, measures=("starting_balance",))
class AccountReopened(Event, frozen=True, kw_only=True):
    """The firm started an account again, flat and without working orders: a new life with a new starting balance.

    Balance, high-water mark, floor, results and counts of the day, and lockouts begin again, irrevocable ones included.
    Limits and settings stay. Without a currency or a program the account keeps its own.
    """

    starting_balance: Decimal
    currency: Currency | None = None
    program: str | None = None
    reason: str = ""


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
    currency: Currency | None = None


@event(categories=("account",), measures=("amount",))
class CashMoved(Event, frozen=True, kw_only=True):
    """Cash came or went. The kind says which way a DEPOSIT, a WITHDRAWAL and a PAYOUT go, whatever the sign.

    A FEE's amount is what was paid, below zero a rebate; FUNDING, INTEREST, DIVIDEND and a TRANSFER are above zero when
    received. These four kinds of result count in the trading day's; the other four move the balance, the high-water
    mark and the floor alike, a PAYOUT by the account's rule.
    """

    amount: Decimal
    currency: Currency
    kind: CashKind
    reference: str | None = None


BALANCE_KINDS = ("realized", "wallet", "net-liquidation")
"""What a broker's balance may mean: all cash and realized results converted, those of its currency, or the equity."""
_PAYOUT = re.compile(r"moves-floor|keeps-floor|floor-to=-?\d{1,30}(\.\d{1,20})?", re.ASCII)


def _problem_of(event: "AccountConfigured") -> str | None:
    """Return which setting means nothing."""
    if event.payout is not None and not _PAYOUT.fullmatch(event.payout):
        return f"payout {event.payout!r:.80} is unknown: expected moves-floor, keeps-floor or floor-to=AMOUNT"
    if event.haircut is not None and not 0 <= event.haircut < 1:
        return f"haircut {event.haircut} is not a share: expected 0 or more, and less than 1"
    if event.balance_kind is not None and event.balance_kind not in BALANCE_KINDS:
        return f"balance_kind {event.balance_kind!r:.80} is unknown: expected one of {', '.join(BALANCE_KINDS)}"
    if event.balance_tolerance is not None and event.balance_tolerance < 0:
        return f"balance_tolerance {event.balance_tolerance} is below zero"
    return None if event.second_approver is None else _problem_of_approvers(event.second_approver)


ANYBODY = "*"
"""The second approver that stands for anybody but who asked."""
_PROGRAM = "policy:"


def _problem_of_approvers(text: str) -> str | None:
    names = text.split(",")
    if text and not all(map(_is_person, names)):
        return (
            f"second_approver {text!r:.80} names no persons: expected names separated by commas, * for anybody but who "
            "asked, or nothing to need none"
        )
    return None


def _is_person(text: str) -> bool:
    name = text.strip()
    # `*@desk` is not anybody at a desk: a person is known by what comes before the `@`.
    is_everybody = name == ANYBODY or ANYBODY not in name
    return bool(name) and text.isprintable() and is_everybody and not name.casefold().startswith(_PROGRAM)


@event(categories=("account",), requires_actor=True, problem_of=_problem_of)
class AccountConfigured(Event, frozen=True, kw_only=True):
    """How an account is valued and judged: what changes of it; what is left out stands as it was set before.

    `valuation`: the price of positions. `baseline`: what a day's result on equity basis is measured from. `payout`:
    what a PAYOUT does to high-water mark and floor, `moves-floor`, `keeps-floor` or `floor-to=0`, which also sets the
    floor to an amount. `cost`: the realized result that limits and reports use. `unpriced`: what happens when a
    position has had no usable price for `unpriced_after` ns in trading hours. `haircut`: the share (0 to 1) of
    converted amounts by which headroom is narrowed. `balance_kind`: what the broker's balance means, `realized` (cash
    and realized results, all currencies converted), `wallet` (those of its currency) or `net-liquidation` (the equity).
    `balance_tolerance`: by how much it may differ. `second_approver`: the persons, separated by
    commas, of whom one must approve what unlocks the account or loosens its limits and settings, see `Approved`; `*`:
    anybody but who asked; empty: nobody has to. To change it, once set, needs approval too.
    """

    valuation: Valuation | None = None
    baseline: Baseline | None = None
    payout: str | None = None
    cost: Cost | None = None
    unpriced: Unpriced | None = None
    unpriced_after: Duration | None = None
    haircut: Decimal | None = None
    balance_kind: str | None = None
    balance_tolerance: Decimal | None = None
    second_approver: str | None = None


@event(categories=("account",), requires_actor=True, measures=("high_water", "floor"))
class EquityCorrected(Event, frozen=True, kw_only=True):
    """High-water mark and floor were wrong, and are from now on as stated; a figure left out stands.

    `wrong` is the id of the record that was: an EquityMarked, or a LockoutSet that a wrong price led to. The lockouts
    that it caused are released, irrevocable ones too; one that no price, mark or rate led to stays.
    """

    reason: str
    high_water: Decimal | None = None
    floor: Decimal | None = None
    wrong: RecordId | None = None


@event(categories=("account",), requires_actor=True)
class ProtectionMode(Event, frozen=True, kw_only=True):
    """Whether the account's limits act, or only record what they would do; the actor is required.

    An account without one is armed.
    """

    mode: Protection
    reason: str = ""
