"""Instruments and named instants: streams `contract/-/SYMBOL` and `mark/-/NAME`."""

from datetime import date
from decimal import Decimal

from eventstore.events import QUEUED, Currency, Event, Positive, event
from eventstore.trading.enums import Asset, Payoff


@event(categories=("contract",), durability=QUEUED)
class ContractDefined(Event, frozen=True, kw_only=True):
    """What one instrument is. `symbol` is its only name in a log; `broker_ids` are the names brokers have for it.

    `multiplier` is money per point and unit; where it is left out, it is tick_value ÷ tick_size. `base_currency` is
    what is bought: the coin of a spot pair or of a coin-margined contract, whose `payoff` is INVERSE.
    `may_be_negative`: a price below zero is a price.
    """

    symbol: str
    multiplier: Positive | None = None
    tick_size: Positive | None = None
    tick_value: Positive | None = None
    currency: Currency | None = None
    root: str | None = None
    name: str | None = None
    broker_ids: tuple[str, ...] = ()
    exchange: str | None = None
    product: str | None = None
    expiry: date | None = None
    may_be_negative: bool = False
    payoff: Payoff = Payoff.LINEAR
    base_currency: Currency | None = None
    asset: Asset | None = None

    @property
    def point_value(self) -> Decimal | None:
        """Money per point and unit, from whichever members say it."""
        if self.multiplier is not None:
            return self.multiplier
        if self.tick_size is not None and self.tick_value is not None:
            return self.tick_value / self.tick_size
        return None

    @property
    def result_currency(self) -> Currency | None:
        """The currency of its results: of an inverse contract the base currency, whatever it is quoted in."""
        if self.payoff is Payoff.INVERSE and self.base_currency is not None:
            return self.base_currency
        return self.currency

    @property
    def bought_coin(self) -> Currency | None:
        """The coin that a purchase of it brings, so that a fee in that coin is taken from what was bought; else None.

        Only of a spot pair: what a future or an inverse contract is bought with stays in the account.
        """
        return self.base_currency if self.asset is Asset.CRYPTO and self.payoff is Payoff.LINEAR else None


@event(categories=("mark",))
class Marked(Event, frozen=True, kw_only=True):
    """A named instant, for example an end of day: the log as it was just here can be asked for by this name."""

    name: str
