"""An account's value from what a book's views have."""

from typing_extensions import override

from projections.once import once
from projections.view import BookReader
from projections.views.account_value import AccountValue
from projections.views.accounts import capital, configuration_of, own_currency, starting_balance
from projections.views.balances import Balances, balances_of
from projections.views.configuration import Configuration
from projections.views.executions.pnl import quotes_of
from projections.views.quotes.queries import Quotes
from projections.views.rates import ExchangeRates, rates_of
from projections.views.valuing import Amounts, OpenHolding, open_holdings


class BookValue(AccountValue):
    """An account's value from what a book's views have now."""

    def __init__(self, book: BookReader, account: str, at: int) -> None:
        super().__init__(account, at)
        self._book = book

    @once
    @override
    def own(self) -> str | None:
        return own_currency(self._book, self.account)

    @once
    @override
    def configuration(self) -> Configuration:
        return configuration_of(self._book, self.account)

    @once
    @override
    def held(self) -> tuple[OpenHolding, ...]:
        return open_holdings(self._book, self.account)

    @once
    @override
    def balances(self) -> Balances:
        return balances_of(self._book, self.account)

    @property
    @override
    def capital_amounts(self) -> Amounts | None:
        opened = starting_balance(self._book, self.account) is not None
        return capital(self._book, self.account, self.own) if opened else None

    @property
    @override
    def quotes(self) -> Quotes:
        return quotes_of(self._book)

    @property
    @override
    def rates(self) -> ExchangeRates:
        return rates_of(self._book)
