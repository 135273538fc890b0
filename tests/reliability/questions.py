"""What the tests of a restart ask a book about each state."""

from __future__ import annotations

from datetime import date

from eventstore import UnknownContract
from projections import Book
from projections.views.timers import UnknownTimer

SECOND = 10**9
HOUR = 3_600 * SECOND
NOON = 1_753_099_200 * SECOND
WRITTEN_AT, REOPENED_AT = NOON + HOUR, NOON + HOUR + 60 * SECOND
MONDAY = date(2025, 7, 21)


def pending(book: Book) -> object:
    return [each.request_id for each in book.enforcement.pending("A")]


def answer(book: Book) -> object:
    request = book.enforcement.get("A", "E1")
    return pending(book), request and request.success


def locked(book: Book) -> object:
    return {lockout.rule_id: lockout.until for lockout in book.lockouts.active("A", WRITTEN_AT)}


def locked_and_asked(book: Book) -> object:
    return sorted(each.rule_id for each in book.lockouts.active("A", WRITTEN_AT)), pending(book)


def limit(book: Book) -> object:
    limit = book.limits.get("A", "daily-loss", REOPENED_AT)
    return limit and limit.parameters, [each.parameters for each in book.limits.pending("A", REOPENED_AT)]


def breaches(book: Book) -> object:
    return [breach.figure for breach in book.limits.breaches("A")]


def days(book: Book) -> object:
    return [(str(session.trading_day), session.closed, session.balance) for session in book.sessions.history("A")]


def turned(book: Book) -> object:
    mark = book.equity.get("A")
    return days(book), mark and (mark.equity, mark.floor), book.sessions.next_reset("A", NOON + 10 * HOUR)


def account_reported(book: Book) -> object:
    account = book.accounts.get("A")
    return account and (account.broker_balances["USD"].balance, account.can_trade)


def may_trade(book: Book) -> object:
    account = book.accounts.get("A")
    return account and account.can_trade, sorted(each.rule_id for each in book.lockouts.active("A", WRITTEN_AT))


def balance(book: Book) -> object:
    return book.accounts.balance("A")


def made(book: Book) -> object:
    return [(made.realized, made.fees, made.trades) for made in book.pnl.day("A", trading_day=MONDAY)]


def traded(book: Book) -> object:
    return [(trade.trade_id, trade.busted) for trade in book.trades.of("A")], book.positions.get("A", "ESZ5").quantity


def pnl_reported(book: Book) -> object:
    return [(each.realized, each.currency) for each in book.pnl.reported("A")]


def marked(book: Book) -> object:
    mark = book.equity.get("A")
    return mark and (mark.equity, mark.high_water, mark.floor, book.bests.highs("A").equity)


def contract(book: Book) -> object:
    try:
        return book.contracts.get("NQZ5").multiplier
    except UnknownContract as unknown:
        return unknown.symbol


def counts(book: Book) -> object:
    today = book.counters.of("A", WRITTEN_AT).day
    return today.orders, today.fills, today.round_trips


def positions(book: Book) -> object:
    return [(each.symbol, each.quantity, each.reported) for each in book.positions.of("A")]


def order(book: Book) -> object:
    order = book.orders.get("A", "O1")
    return order and (order.status, order.leaves, order.reported_filled)


def new_order(book: Book) -> object:
    order = book.orders.get("A", "O2")
    return order and (order.status, order.broker_order_id, len(book.orders.open("A")))


def pair(book: Book) -> object:
    saved = book.pairs.get("A", "es-nq")
    return saved and (saved.state, saved.version)


def portfolio(book: Book) -> object:
    saved = book.pairs.portfolio("A", "main")
    return saved and (saved.state, saved.version)


def blackouts(book: Book) -> object:
    return [blackout.name for blackout in book.blackouts.scheduled("A", WRITTEN_AT)]


def timer(book: Book) -> object:
    try:
        return book.timers.known("A", "cooldown", WRITTEN_AT).remaining
    except UnknownTimer as unknown:
        return "unknown", unknown.known_since, book.timers.lost(WRITTEN_AT)


def quote(book: Book) -> object:
    quote = book.quotes.get("ESZ5", WRITTEN_AT)
    return quote and quote.price, [each.amount for each in book.pnl.unrealized("A", WRITTEN_AT)]
