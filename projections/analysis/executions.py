"""An account's executions over a whole history, from the fold that keeps them: trades, days, contracts, tags."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, NamedTuple

from eventstore.streams import SEPARATOR
from projections.analysis.folding import accounts_in, folded, strategies_of
from projections.analysis.keeping import History, Keep, KeptExecutionsView, KeptHoldings, KeptLedger, KeptState, trades
from projections.analysis.tags import of_day, of_stream, tags_of, together
from projections.decimals import ZERO
from projections.views.accounts import AccountsView, account_rates
from projections.views.contracts.view import ContractsView
from projections.views.executions.ledger_entry import ledger_key
from projections.views.executions.state import VIEW, key_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from decimal import Decimal

    from eventstore import EventReader
    from projections.analysis.sources import Selection
    from projections.analysis.tags import Tags
    from projections.fold_reader import FoldReader
    from projections.views.executions.items import Item
    from projections.views.executions.pnl_totals import Rates
    from projections.views.executions.trip import RoundTrip


class Terms(NamedTuple):
    """What a point of a contract is worth: the money per unit, None if unknown, and in which currency."""

    symbol: str
    currency: str | None
    multiplier: Decimal | None


class TripResult(NamedTuple):
    """What a round trip made, in its contract's currency, None if unknown; `others` are fees in other currencies."""

    terms: Terms
    gross: Decimal | None
    fees: Decimal
    net: Decimal | None
    others: dict[str, Decimal]


class Executions:
    """One account's executions; to be asked in the context of projections.decimals.FIXED."""

    def __init__(self, book: FoldReader, account: str, tags: Tags, strategies: dict[str, str]) -> None:
        state = book.state(VIEW, account)
        assert isinstance(state, KeptState), "the fold is of the view that keeps"
        self.account, self.state = account, state
        self.rates: Rates = account_rates(book, account)
        self._tags, self._strategies = tags, strategies
        self._terms: dict[str, Terms] = {}
        self._dates: dict[str, date] = {}

    @property
    def history(self) -> History:
        """What the live state would have let go."""
        return self.state.history

    def trades(self) -> dict[int, Item]:
        """Return all trades as they stand now, busted ones included, by log position, sorted."""
        recent = trades(self.state)
        found = dict(recent.gone)
        for generation in (recent.older, recent.newer):
            found.update((each.log_position, each) for items in generation.values() for each in items)
        for window in self.state.windows.values():
            found.update(
                (each.log_position, each) for each in window.items if each.is_trade and each.ordinal <= recent.gone_to
            )
        return dict(sorted(found.items()))

    def anomalies(self) -> dict[int, list[str]]:
        """Return the kinds of all anomalies, by the log positions of their records."""
        holdings = self.state.holdings
        assert isinstance(holdings, KeptHoldings), "as it was made"
        found = {log_position: list(kinds) for log_position, kinds in holdings.gone.items()}
        present = [each for holding in holdings.values() for each in (*holding.anomalies, *holding.marks)]
        for each in (*present, *self.state.anomalies):
            kinds = found.setdefault(each.position, [])
            if each.kind.value not in kinds:
                kinds.append(each.kind.value)
        return found

    def terms(self, key: str) -> Terms:
        """Return what a point was worth under a key of the ledger, with the contract's symbol as it is now."""
        known = self._terms.get(key)
        if known is None:
            symbol, _, currency, multiplier = self.rates.of_key(key)
            known = self._terms[key] = Terms(self.rates.symbol(symbol), currency, multiplier)
        return known

    def terms_of(self, item: Item) -> Terms:
        """Return what a point of a trade's contract was worth then."""
        return self.terms(ledger_key(key_of(item), item.terms))

    def day_name(self, at: int, log_position: int) -> str:
        """Return the name of the day that an entry of an instant counts for: its date, after a `~` in no known day."""
        ledger = self.state.ledger
        moved = ledger.moved_by(at, log_position) if ledger.published.moved else None
        return ledger.name_at(at) if moved is None else ledger.published.moved[moved].into

    def day_of(self, at: int, log_position: int) -> date:
        """Return the trading day, or the date in UTC, that an entry of an instant counts for."""
        name = self.day_name(at, log_position)
        known = self._dates.get(name)
        if known is None:
            known = self._dates[name] = date.fromisoformat(name.removeprefix("~"))
        return known

    def realized(self) -> dict[int, Decimal | None]:
        """Return what each record realized first in, first out, in money; None where that is not known."""
        ledger = self.state.ledger
        assert isinstance(ledger, KeptLedger), "as it was made"
        sums: dict[int, Decimal | None] = {}
        for (log_position, key), points in ledger.realized.items():
            known = sums.get(log_position, ZERO)
            if not points or known is None:
                continue
            multiplier = self.terms(key).multiplier
            sums[log_position] = None if multiplier is None else known + points * multiplier
        for log_position, count in ledger.unpriced.items():
            if count:
                sums[log_position] = None
        return sums

    def trips(self) -> list[RoundTrip]:
        """Return all round trips since the account was reopened last, in the order in which they ended."""
        state = self.state
        windows = [trip for window in state.windows.values() for trip in window.trips]
        return sorted([*self.history.trips, *state.trips, *windows], key=lambda trip: (trip.ended_at, trip.position))

    def result_of(self, trip: RoundTrip) -> TripResult:
        """Return what a round trip made in money."""
        terms = self.terms(ledger_key(trip.symbol + SEPARATOR + trip.side, trip.terms))
        fees = ZERO
        others: dict[str, Decimal] = {}
        for named, amount in trip.fees:
            if not named or named == terms.currency:
                fees += amount
            elif amount:
                others[named] = amount
        gross = None if trip.points is None or terms.multiplier is None else trip.points * terms.multiplier
        return TripResult(terms, gross, fees, None if gross is None or others else gross - fees, others)

    def strategy_of(self, item: Item) -> str | None:
        """Return the strategy of a trade's order."""
        stream = item.order_stream
        return None if stream is None else self._strategies.get(stream)

    def tags_of(self, item: Item, day: date) -> tuple[str, ...]:
        """Return the tags of a trade: of its reports, the streams that these are in, and its trading day."""
        if not self._tags:
            return ()
        streams = [of_stream(self._tags, self.account, stream) for stream in item.streams]
        own = self.history.tags.get(item.log_position, ())
        return together(own, *streams, of_day(self._tags, self.account, day))

    def tags_of_day(self, day: date) -> tuple[str, ...]:
        """Return the tags of a trading day."""
        return of_day(self._tags, self.account, day)


def executions_of(
    reader: EventReader,
    selection: Selection,
    keep: Keep,
    *,
    progress: bool | None,
    accounts: frozenset[str] | None = None,
) -> Iterator[Executions]:
    """Fold a history, and yield the executions of each account, or of some."""
    tags = tags_of(reader, account=selection.account, until=selection.until)
    strategies = strategies_of(reader, selection) if keep >= Keep.ITEMS else {}
    views = (KeptExecutionsView(keep, tags), ContractsView(), AccountsView())
    book = folded(reader, selection, views, progress=progress, accounts=accounts)
    for account in accounts_in(book, VIEW):
        yield Executions(book, account, tags, strategies)
