"""What strategies keep of their own, opaque to the store: streams `pair/ACCOUNT/NAME`, `portfolio/ACCOUNT/NAME`."""

from typing import Any

from eventstore.events import Event, event


@event(categories=("pair",))
class PairStateSaved(Event, frozen=True, kw_only=True):
    """A pair's state as its strategy wants it back; `version` is the strategy's number for the state's form."""

    state: Any
    version: int = 1
    pair: str | None = None


@event(categories=("portfolio",))
class PortfolioSaved(Event, frozen=True, kw_only=True):
    """A portfolio's state as its strategy wants it back."""

    state: Any
    version: int = 1
    portfolio: str | None = None
