"""Whatever comes twice, late, out of order or with unknown words: the same book, and that of a plain model."""

from __future__ import annotations

import random
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from gateways.messages import MessageMapping
from gateways.messages.binance import BinanceFutures, symbols_of
from gateways.messages.ccxt import Ccxt
from projections import Book
from projections.views.executions.anomalies import TradeAnomalyKind
from tests.messages.exchange_lives import KINDS, RAW_NAMES, Life, Message, life
from tests.messages.recording import recorded
from tests.proving import rounds

pytestmark = pytest.mark.untraced
_STATUSES = {"canceled": "CANCELED", "expired": "EXPIRED", "rejected": "REJECTED", "closed": "FILLED"}
_OUT_OF_PLACE = {TradeAnomalyKind.LATE}
_CLOSE_ENOUGH = Fraction(1, 10**12)
Delivered = list[tuple[str, Message]]


MAPPINGS: dict[str, MessageMapping] = {
    "ccxt": Ccxt(exchange="binance", account="A"),
    "binance": BinanceFutures(account="A", symbols={name: symbol for symbol, name in RAW_NAMES.items()}),
}


def figures(one: Life, delivered: Delivered) -> dict[str, Any]:
    """Return what a book says after these messages, all of which can be mapped."""
    with recorded(MAPPINGS, [*one.first, *delivered]) as (book, recorders):
        assert {name: each.counts.unmapped for name, each in recorders.items()} == dict.fromkeys(recorders, 0)
        return {**_positions(one, book), **_orders(one, book), **_account(book)}


def _positions(one: Life, book: Book) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for symbol in one.terms:
        for side in ("LONG", "SHORT") if one.kind == "hedged" else ("NET",):
            held = book.positions.get("A", symbol, side)
            lots = [(lot.quantity, lot.price, lot.trade_id) for lot in held.lots]
            is_late = any(each.kind in _OUT_OF_PLACE for each in held.anomalies)
            results = () if is_late else (held.realized, lots)
            reported = (held.quantity, held.fees_by_currency, held.reported, held.difference, *results)
            found[f"{symbol} {side}"] = reported
    found["trades"] = sorted((each.symbol, each.trade_id, each.quantity) for each in book.trades.of("A"))
    return found


def _orders(one: Life, book: Book) -> dict[str, Any]:
    orders = {key: book.orders.get("A", f"{key[0]}-{key[1]}") for key in one.orders}
    return {
        f"order {key}": order and (order.status.value, order.cumulative, order.quantity, order.leaves, order.differs)
        for key, order in orders.items()
    }


def _account(book: Book) -> dict[str, Any]:
    account = book.accounts.get("A")
    if account is None:
        return {}
    reported = {coin: (each.balance, each.available) for coin, each in account.broker_balances.items()}
    return {"cash": account.cash, "balances": reported, "notes": len(book.notes.of("A"))}


def differences(one: Life, found: dict[str, Any]) -> list[str]:
    """Return where a book differs from the plain model."""
    expected, wrong = one.expected, []
    for (symbol, side), held in expected.positions.items():
        quantity, fees, _, _, realized, _ = found[f"{symbol} {side}"]
        paid: dict[str, Fraction] = {}
        for currency, amount in fees:
            name = currency or held.terms.settled_in
            paid[name] = paid.get(name, Fraction(0)) + Fraction(amount)
        reported = {_coded(currency): amount for currency, amount in held.fees.items() if amount}
        is_wrong = Fraction(quantity) != held.quantity or paid != reported
        if is_wrong or abs(Fraction(realized) - held.realized) > _CLOSE_ENOUGH:
            wrong.append(
                f"{symbol} {side}: {found[f'{symbol} {side}']}, not {held.quantity} {held.realized} {reported}"
            )
    for key, order in one.orders.items():
        status, cumulative, *_ = found[f"order {key}"]
        filled = expected.filled.get(key, Fraction(0))
        working = "PARTIALLY_FILLED" if order.filled else "NEW"
        if (status, Fraction(cumulative)) != (_STATUSES.get(order.status, working), filled):
            wrong.append(f"order {key}: {status} {cumulative}, not {order}")
    cash = {coin: Fraction(amount) for coin, amount in found.get("cash", {}).items() if amount}
    if cash != {coin: amount for coin, amount in expected.cash.items() if amount}:
        wrong.append(f"cash: {cash}, not {expected.cash}")
    balances = {coin: Fraction(reported[0]) for coin, reported in found.get("balances", {}).items()}
    if balances != {coin: Fraction(amount) for coin, amount in one.balances.items()}:
        wrong.append(f"balances: {balances}, not {one.balances}")
    return wrong


def _coded(currency: str) -> str:
    return "OPCOIN" if currency == "OP" else currency


def redelivered(chance: random.Random, messages: Delivered) -> Delivered:
    """Return messages late, out of order, and some of them again."""
    again = [each for each in messages for _ in range(chance.choice((1, 1, 1, 2, 3)))]
    chance.shuffle(again)
    return again


@pytest.mark.parametrize("kind", KINDS)
def test_a_book_is_that_of_the_plain_model_however_its_messages_come(kind: str) -> None:
    for seed in rounds(f"{kind} messages against their model", test=50, prove=5_000):
        one = life(seed, kind)
        found = figures(one, one.messages)
        assert differences(one, found) == []
        chance = random.Random(seed)
        assert differing(found, figures(one, redelivered(chance, one.messages))) == {}


def differing(found: dict[str, Any], again: dict[str, Any]) -> dict[str, Any]:
    """Return what two books say otherwise.

    What happened before a position was last flat is fixed: a fill that comes later than that is marked, and changes no
    result of then. All other figures are the same even so.
    """
    assert found.keys() == again.keys()
    return {
        name: (value, again[name])
        for name, value in found.items()
        if (value[: len(again[name])] if isinstance(value, tuple) and "order" not in name else value) != again[name]
    }


def test_the_names_of_the_own_messages_are_those_of_the_markets() -> None:
    one = life(1, "linear")
    assert symbols_of([message for _, message in one.first[:1]]) == {"BTCUSDT": "BTC/USDT:USDT"}


def test_the_lives_have_what_they_are_for() -> None:
    reported = [message for kind in KINDS for seed in range(40) for _, message in life(seed, kind).messages]
    lives = [life(seed, kind) for kind in KINDS for seed in range(40)]
    ids = [{each.id for each in one.executed if each.symbol == symbol} for one in lives for symbol in one.terms]
    assert any(first & second for first, second in zip(ids[::2], ids[1::2], strict=True))
    assert any(message.get("trades") for message in reported)
    assert any(message.get("e") for message in reported)
    assert any(
        order.status in {"canceled", "expired"} and order.filled for one in lives for order in one.orders.values()
    )
    assert {currency for one in lives for each in one.executed for currency, _ in each.fees} >= {
        "BNB",
        "OP",
        "BTC",
        "USDT",
    }
    assert any(amount < 0 for one in lives for each in one.executed for _, amount in each.fees)
    assert Decimal("0.3") == Decimal(str(0.3))
