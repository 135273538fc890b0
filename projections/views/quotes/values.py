"""What is known of a symbol's prices: values as received, the prices accepted of them, and what queries return."""

from decimal import Decimal

import msgspec

from eventstore import Instant
from eventstore.readable import Readable
from eventstore.trading import QuoteReceived, QuoteUsed
from projections.valuation import Standing

LAST, PAIR, MARK, FILL = 1, 2, 4, 8
"""The kinds of prices that one observation may bring; a fill is a last price as well."""


class Value(msgspec.Struct, frozen=True, gc=False):
    """One price, its own time, and the feed it is from. `fill`: the account and the id of one's own fill.

    A price whose feed sent something newer that is not a price has no source any more: nothing keeps it fresh.
    """

    price: Decimal
    at: Instant
    source: str | None = None
    fill: tuple[str, str] | None = None


class Unconfirmed(msgspec.Struct, frozen=True, gc=False):
    """A price too far from the accepted ones, until a second one or a fill confirms it: low and high of a spread.

    `at` is when it was observed; `values` are what is accepted with it: last, bid, ask, mark.
    """

    low: Decimal
    high: Decimal
    at: Instant
    values: tuple[Value | None, Value | None, Value | None, Value | None]


class Prices(msgspec.Struct, frozen=True, gc=False):
    """The accepted prices after an observation, which brought the kinds in `seen` at `at`, never later than received.

    `low` and `high` are the newest accepted price, or the spread that it lies in; `why` says why there is none.
    """

    at: Instant
    seen: int
    last: Value | None
    bid: Value | None
    ask: Value | None
    mark: Value | None
    low: Decimal | None = None
    high: Decimal | None = None
    pending: Unconfirmed | None = None
    why: str = ""


NO_PRICES = Prices(0, 0, None, None, None, None)


class Observed(msgspec.Struct, frozen=True, gc=False):
    """A quote as it was received, and why it is not a price."""

    at: Instant
    event: QuoteReceived
    ignored: str = ""


class Received(msgspec.Struct, frozen=True, gc=False):
    """The newest values of a symbol as they were received; the newest event's time; what was accepted.

    Of the sizes it has the quotes that brought them.
    """

    last: Value | None
    bid: Value | None
    ask: Value | None
    mark: Value | None
    last_sized: Observed | None
    bid_sized: Observed | None
    ask_sized: Observed | None
    updated_at: Instant
    prices: Prices


class Tick(msgspec.Struct, frozen=True, gc=False):
    """One event as it was received; what it left out is None. `ignored` says why it was not used as a price."""

    occurred_at: Instant
    last: Decimal | None = None
    bid: Decimal | None = None
    ask: Decimal | None = None
    last_size: Decimal | None = None
    bid_size: Decimal | None = None
    ask_size: Decimal | None = None
    mark: Decimal | None = None
    source: str | None = None
    ignored: str = ""


class Quote(Readable, msgspec.Struct, frozen=True, gc=False):
    """What is known of a symbol: the accepted prices. Times are UNIX ns; what was never received is None.

    `price` is what a position is valued at, by `last-within-spread` unless another valuation was asked for, and
    `quoted_at` the time of the values that it is made of, of the older one if there are two: a new bid does not make an
    old last fresh. `age` is that of the price, or of what its feed sent since; it is negative if its time lies in the
    future. `stale` is every price that is not KNOWN, and `why` says why. `last_at`, `bid_at`, `ask_at` and `mark_at`
    are each value's own time, `updated_at` that of the newest event.
    """

    symbol: str
    last: Decimal | None
    bid: Decimal | None
    ask: Decimal | None
    last_size: Decimal | None
    bid_size: Decimal | None
    ask_size: Decimal | None
    price: Decimal | None
    quoted_at: Instant
    age: int
    stale: bool
    last_at: Instant | None
    bid_at: Instant | None
    ask_at: Instant | None
    updated_at: Instant
    mark: Decimal | None = None
    mark_at: Instant | None = None
    why: str = ""


class Price(Readable, msgspec.Struct, frozen=True, gc=False):
    """The price that a position is valued at, None if there is none; its time; its status, and why.

    `last_good` is the newest price that was good when it came, with its time: it is shown, and never used in a figure.
    """

    price: Decimal | None
    at: Instant
    standing: Standing
    last_good: QuoteUsed | None
