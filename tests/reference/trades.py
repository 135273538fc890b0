"""Reference: one trade: what was reported of it, and what a fee, a bust or a correction makes of that."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal

from tests.reference.facts import DAY, SECOND, ZERO, Fact


@dataclass(eq=False)
class Fee:
    """An amount in the currency that was stated, or else in the contract's.

    `terms` is the contract's definition when the fee was recorded, or the first one after that.
    """

    currency: str
    amount: Decimal
    terms: Fact | None

    def refund(self) -> Fee:
        return replace(self, amount=-self.amount)


@dataclass
class Execution:
    """One trade. `figures` are all that were ever in force, as (since, signed quantity, price); a bust leaves zero.

    `spent` are fees, and when they were charged, that were refunded later since the trade was fixed when it was busted.
    `contract` is what its symbol meant when it was reported, or what that contract has become a name of since; `coin`
    is the one that its fees are taken from.
    """

    id: str
    contract: str
    held: str
    at: int
    timed: bool
    log: int
    streams: list[str]
    trading_day: str | None
    figures: list[tuple[int, Decimal, Decimal]]
    fees: list[Fee] = field(default_factory=list)
    spent: list[tuple[int, Fee]] = field(default_factory=list)
    stated_fee: Fee | None = None
    fee_conflict: bool = False
    conflicts: list[int] = field(default_factory=list)
    coin: str = ""

    @property
    def quantity(self) -> Decimal:
        return self.figures[-1][1]

    @property
    def price(self) -> Decimal:
        return self.figures[-1][2]

    @property
    def busted(self) -> bool:
        return not self.quantity

    @property
    def taken(self) -> Decimal:
        """What its fees in the coin bought take from it; fees of as much as was bought, or more, are not taken."""
        mine = sum((fee.amount for fee in self.fees if self.coin and fee.currency == self.coin), ZERO)
        return mine if self.quantity > 0 and mine < self.quantity else ZERO

    @property
    def costs(self) -> list[Fee]:
        """Return its fees as they count: what is taken from the coin bought as money, at the trade's price."""
        if not self.taken:
            return self.fees
        return [
            replace(fee, currency="", amount=fee.amount * self.price) if fee.currency == self.coin else fee
            for fee in self.fees
        ]

    @property
    def order(self) -> str | None:
        """The order it was first reported for."""
        return next((stream.removeprefix("order/") for stream in self.streams if stream.startswith("order/")), None)

    def charge(self, fee: Fee) -> None:
        """Add a fee; the fees of a busted trade are gone with it."""
        if not self.busted:
            self.fees.append(fee)

    def doubts(self, again: Execution) -> list[str]:
        """Return what is marked when it is reported again; ask before the report is taken over."""
        found = []
        if self.busted and again.stated_fee and not self.stated_fee:
            found.append("FEE_OF_BUSTED")
        if not same_fee(self, again) and not self.busted:
            found.append("CONFLICTING_FEE")
        if again.timed and not self.timed and self.at - again.at >= SECOND:
            found.append("MOVED")
        return [*found, "DAYS_APART"] if days_apart(self, again) else found

    def is_superseded(self, fact: Fact) -> bool:
        """Return whether a correction was made before what it has been changed to since."""
        return fact.kind == "CORRECT" and len(self.figures) > 1 and fact.at < self.figures[-1][0]

    def change(self, fact: Fact) -> tuple[tuple[Decimal, Decimal], tuple[Decimal, Decimal]]:
        """Bust or correct it by what the fact states; return the figures before and after. This ends any conflict."""
        before = (self.quantity, self.price)
        size = ZERO if fact.kind == "BUST" else abs(self.quantity) if fact.quantity is None else fact.quantity
        sign = fact.side or (1 if self.quantity > 0 else -1)
        after = (sign * size, self.price if fact.kind == "BUST" or fact.price is None else fact.price)
        self.figures.append((fact.at, *after))
        self.conflicts.clear()
        self.fee_conflict &= fact.kind != "BUST"
        return before, after


def inherited(twin: Execution, known: Execution, log: int) -> list[Fact]:
    """Return the busts and corrections of an execution as those of the one that it turned out to be."""
    about = Fact("BUST", log, 0, id=known.id, symbol=known.contract, stream=known.streams[0])
    return [
        replace(about, at=since)
        if not quantity
        else replace(
            about, kind="CORRECT", at=since, side=1 if quantity > 0 else -1, quantity=abs(quantity), price=price
        )
        for since, quantity, price in twin.figures[1:]
    ]


def state_terms(fees: list[Fee], terms: Fact) -> None:
    """State the terms of fees that were recorded before there were any."""
    for fee in fees:
        fee.terms = fee.terms or terms


def completed(known: Execution, again: Execution) -> bool:
    """Take over what was missing from a repeated report; return whether anything was."""
    before = (bool(known.stated_fee), known.timed, known.trading_day, known.order)
    known.streams += [stream for stream in again.streams if stream not in known.streams]
    known.trading_day = known.trading_day or again.trading_day
    if not known.busted:
        known.fee_conflict |= again.fee_conflict or not same_fee(known, again)
    if again.stated_fee and not known.stated_fee:
        known.stated_fee = again.stated_fee
        for fee in [*again.fees, *(spent for _, spent in again.spent)]:
            known.charge(fee)
    if again.timed and not known.timed and known.at - again.at >= SECOND:
        known.at, known.timed = again.at, True
    return before != (bool(known.stated_fee), known.timed, known.trading_day, known.order)


def same_fee(known: Execution, again: Execution) -> bool:
    """Return whether two reports may state the same fee: neither a fee nor its currency need be stated."""
    one, other = known.stated_fee, again.stated_fee
    if one is None or other is None:
        return True
    return one.amount == other.amount and ("" in {one.currency, other.currency} or one.currency == other.currency)


def days_apart(known: Execution, again: Execution) -> bool:
    """Return whether two reports are more than a day apart in time: the id may have been used twice.

    What states no time happened when it was recorded, or before. A trading day that both state decides.
    """
    if known.trading_day is not None and known.trading_day == again.trading_day:
        return False
    return again.timed and (known.timed or again.at > known.at) and abs(again.at - known.at) > DAY
