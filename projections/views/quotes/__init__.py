"""The quotes view: the prices of each symbol, which of them may be believed, and how a position is valued at them."""

from projections.views.quotes.bounds import Bounds, BoundSettings
from projections.views.quotes.queries import Quotes, StaleQuote, UnknownQuote
from projections.views.quotes.state import QuotesState
from projections.views.quotes.values import Price, Quote, Tick
from projections.views.quotes.view import QuotesView

__all__ = [
    "BoundSettings",
    "Bounds",
    "Price",
    "Quote",
    "Quotes",
    "QuotesState",
    "QuotesView",
    "StaleQuote",
    "Tick",
    "UnknownQuote",
]
