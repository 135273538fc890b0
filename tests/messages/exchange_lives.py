"""Random lives of an account at an exchange: what happened, and the messages that tell of it, in order."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from tests.messages import binance_messages as raw
from tests.messages import ccxt_structures as made
from tests.messages.exchange_model import Account, Executed, Terms, account_of

Message = dict[str, Any]
KINDS = ("spot", "linear", "inverse", "hedged")
RAW_NAMES = {"BTC/USDT:USDT": "BTCUSDT", "ETH/USDT:USDT": "ETHUSDT"}
_BARE = {
    "takerOrMaker": ("Trade", ("takerOrMaker", "cost", "type", "datetime")),
    "clientOrderId": ("Order", ("clientOrderId", "timeInForce", "cost", "stopPrice", "remaining", "average", "type")),
    "entryPrice": ("Position", ("notional", "leverage", "markPrice", "percentage", "datetime", "info")),
    "direction": ("LedgerEntry", ("account", "before", "after", "referenceId", "fee", "status", "datetime")),
    "code": ("FundingHistory", ("datetime", "info")),
}
"""By a member that only it has: the name of a structure, and members of it that may be missing."""
_SIGNS = {"buy": 1, "sell": -1}


@dataclass
class LifeOrder:
    id: str
    symbol: str
    side: str
    held: str
    amount: int
    placed_at: int
    filled: int = 0
    status: str = "open"


@dataclass
class Life:
    """One account. Amounts are thousandths of a coin, or contracts.

    `first` is recorded before all else: the markets, and in some lives executions after which no position is ever flat.
    Each message comes with whose it is: `ccxt` or `binance`.
    """

    kind: str
    chance: random.Random
    at: int = made.START
    first: list[tuple[str, Message]] = field(default_factory=list)
    messages: list[tuple[str, Message]] = field(default_factory=list)
    terms: dict[str, Terms] = field(default_factory=dict)
    executed: list[Executed] = field(default_factory=list)
    cash: dict[str, tuple[str, Fraction]] = field(default_factory=dict)
    orders: dict[tuple[str, str], LifeOrder] = field(default_factory=dict)
    balances: dict[str, float] = field(default_factory=dict)
    held: dict[tuple[str, str], int] = field(default_factory=dict)
    count: int = 0

    @property
    def expected(self) -> Account:
        return account_of(self.terms, self.executed, self.cash)

    @property
    def unit(self) -> int:
        return 1_000 if self.kind == "spot" else 1

    def tell(self, message: Message, source: str = "ccxt") -> None:
        if source == "ccxt" and self.chance.random() < 0.3:
            message = _bare(self.chance, message)
        self.messages.append((source, message))

    def later(self) -> int:
        self.at += self.chance.randint(1, 5_000)
        return self.at


def _bare(chance: random.Random, message: Message) -> Message:
    """Return a structure without some of the members that change nothing, and so with its name."""
    for mark, (kind, optional) in _BARE.items():
        if mark in message:
            left_out = {name for name in optional if chance.random() < 0.5 and message.get(name) != "pending"}
            if message.get("fee") is not None and message.get("fees"):
                left_out.add(chance.choice(("fee", "fees")))
            return {"kind": kind, "data": {name: each for name, each in message.items() if name not in left_out}}
    return message


def life(seed: int, kind: str) -> Life:
    """Return a life of one kind of account: two symbols, whose ids are counted from 1 each."""
    one = Life(kind, random.Random(f"{kind} {seed}"))
    _define(one)
    if one.chance.random() < 0.6:
        _opened(one)
    happenings = (_placed, _filled, _filled, _filled, _ended, _cash_moved, _reported, _unknown_status)
    for _ in range(one.chance.randint(8, 40)):
        one.later()
        one.chance.choice(happenings)(one)
    return one


def _define(one: Life) -> None:
    for base, size in (("BTC", 0.01), ("ETH", 10.0)):
        names: Message = {"base": base, "baseId": base}
        if one.kind == "spot":
            market = made.market(symbol=f"{base}/USDT", id=f"{base}USDT", **names)
            terms = Terms(Fraction(1), "USDT", bought_coin=base)
        elif one.kind == "inverse":
            market = made.inverse(
                symbol=f"{base}/USD:{base}", id=f"{base}USD_PERP", settle=base, contractSize=size * 1_000, **names
            )
            terms = Terms(Fraction(str(size)) * 1_000, base, is_inverse=True)
        else:
            market = made.linear(symbol=f"{base}/USDT:USDT", id=f"{base}USDT", contractSize=size, **names)
            terms = Terms(Fraction(str(size)), "USDT")
        one.first.append(("ccxt", market))
        one.terms[market["symbol"]] = terms


def _opened(one: Life) -> None:
    """Buy so much that no later sale makes a position flat: what precedes that is fixed, however late a fill comes."""
    for symbol in one.terms:
        for held, side in (("LONG", "buy"), ("SHORT", "sell")) if one.kind == "hedged" else (("NET", "buy"),):
            order = _order(one, symbol, side, held, 1_000)
            _fill(one, order, 1_000)
            one.later()
            _tell_order(one, order)
    one.first.extend(one.messages)
    one.messages.clear()


def _placed(one: Life) -> None:
    symbol, side = one.chance.choice(list(one.terms)), one.chance.choice(("buy", "sell"))
    held = one.chance.choice(("LONG", "SHORT")) if one.kind == "hedged" else "NET"
    _tell_order(one, _order(one, symbol, side, held, one.chance.randint(1, 20)))


def _order(one: Life, symbol: str, side: str, held: str, amount: int) -> LifeOrder:
    # Ids are counted for each symbol by itself: two symbols have the same ones.
    id_ = str(1 + sum(1 for known, _ in one.orders if known == symbol))
    one.orders[symbol, id_] = LifeOrder(id_, symbol, side, held, amount, one.at)
    return one.orders[symbol, id_]


def _open(one: Life) -> LifeOrder | None:
    working = [order for order in one.orders.values() if order.status == "open"]
    return one.chance.choice(working) if working else None


def _filled(one: Life) -> None:
    order = _open(one)
    if order is None:
        return
    _fill(one, order, one.chance.randint(1, order.amount - order.filled))


def _fill(one: Life, order: LifeOrder, quantity: int) -> None:
    key, signed = (order.symbol, order.held), quantity * _SIGNS[order.side]
    before = one.held.get(key, 0)
    if order.held != "NET" and (before + signed) * (1 if order.held == "LONG" else -1) < 0:
        return
    one.held[key] = before + signed
    order.filled += quantity
    order.status = "closed" if order.filled == order.amount else "open"
    id_ = str(1 + sum(1 for each in one.executed if each.symbol == order.symbol))
    price, fees = one.chance.randint(1_000, 70_000) / 8, _fees(one, order, quantity)
    executed = Executed(
        one.at, id_, order.id, order.symbol, order.held, Fraction(signed, one.unit), Fraction(price),
        tuple((currency, Fraction(str(amount))) for currency, amount in fees),
    )  # fmt: skip
    one.executed.append(executed)
    _tell_fill(one, order, (id_, quantity, price), fees)


def _fees(one: Life, order: LifeOrder, quantity: int) -> list[tuple[str, float]]:
    settled = one.terms[order.symbol].settled_in
    rebate = (settled, -one.chance.randint(1, 900) / 1_000)
    coin = (order.symbol.partition("/")[0], quantity / 1_000 / 1_024)
    own = [(settled, one.chance.randint(1, 900) / 1_000)]
    choices = [own, [rebate], [("BNB", 0.0125)], [("OP", 0.5)], [], [("BNB", 0.0125), *own]]
    if one.kind == "spot" and order.side == "buy":
        choices.append([coin])
    return one.chance.choice(choices)


def _tell_fill(one: Life, order: LifeOrder, fill: tuple[str, int, float], fees: list[tuple[str, float]]) -> None:
    id_, quantity, price = fill
    reported = [{"currency": currency, "cost": amount, "rate": None} for currency, amount in fees]
    common: Message = {
        "id": id_, "order": order.id, "symbol": order.symbol, "side": order.side, "price": price,
        "amount": quantity / one.unit, "timestamp": one.at, "takerOrMaker": one.chance.choice(("maker", "taker", "?")),
        "type": one.chance.choice(("limit", "market", None, "unexpected")),
        "info": {"positionSide": "BOTH" if order.held == "NET" else order.held},
    }  # fmt: skip
    trade = made.trade(**common, fee=reported[0] if len(reported) == 1 else None, fees=reported)
    way = one.chance.randrange(4)
    if way == 0 and order.symbol in RAW_NAMES and len(fees) <= 1:
        _tell_own_fill(one, order, fill, fees)
    elif way == 1:
        _tell_order(one, order, trades=[trade])
        return
    else:
        one.tell(trade)
    if one.chance.random() < 0.3:
        # Another request tells of it, without the fee.
        one.tell(made.trade(**common, fee=None, fees=None))
    if one.chance.random() < 0.8:
        one.later()
        _tell_order(one, order)


def _tell_own_fill(one: Life, order: LifeOrder, fill: tuple[str, int, float], fees: list[tuple[str, float]]) -> None:
    id_, quantity, price = fill
    currency, amount = fees[0] if fees else (None, None)
    status = "FILLED" if order.status == "closed" else "PARTIALLY_FILLED"
    one.tell(
        raw.fill_update(
            at=one.at, s=RAW_NAMES[order.symbol], S=order.side.upper(), i=int(order.id), q=f"{order.amount}.000",
            X=status, l=f"{quantity}.0", z=f"{order.filled}", L=str(price), t=int(id_), N=currency,
            n=None if amount is None else f"{amount:.8f}", ps="BOTH" if order.held == "NET" else order.held,
        ),
        "binance",
    )  # fmt: skip


def _ended(one: Life) -> None:
    order = _open(one)
    if order is not None:
        order.status = one.chance.choice(
            ("canceled", "expired", "canceled", "rejected" if not order.filled else "expired")
        )
        _tell_order(one, order)


def _tell_order(one: Life, order: LifeOrder, **members: object) -> None:
    # Some exchanges never say when an order was changed: all of its messages then have one time.
    changed = None if int(order.id) % 3 == 0 else one.at
    unit = one.unit
    one.tell(
        made.order(
            id=order.id, symbol=order.symbol, side=order.side, status=order.status, amount=order.amount / unit,
            filled=order.filled / unit, remaining=(order.amount - order.filled) / unit, timestamp=order.placed_at,
            lastUpdateTimestamp=changed, type=one.chance.choice(("limit", "market", "unexpected")),
            timeInForce=one.chance.choice(("GTC", "PO", None)),
            info={"positionSide": "BOTH" if order.held == "NET" else order.held}, **members,
        )
    )  # fmt: skip


def _unknown_status(one: Life) -> None:
    """A status with an unknown word, of an order in any state."""
    if one.orders:
        order = one.chance.choice(list(one.orders.values()))
        before, order.status = order.status, "liquidating"
        _tell_order(one, order)
        order.status = before


def _cash_moved(one: Life) -> None:
    one.count += 1
    id_, amount = str(one.count), one.chance.randint(1, 4_000) / 16
    settled = one.chance.choice(sorted({terms.settled_in for terms in one.terms.values()}))
    signed = one.chance.choice((amount, -amount))
    way = "out" if signed < 0 else "in"
    entry: Message = {"id": id_, "currency": settled, "amount": amount, "timestamp": one.at, "direction": way}
    word, message = one.chance.choice([
        ("funding", made.funding(id=id_, code=settled, amount=signed, timestamp=one.at)),
        ("FUNDING", made.ledger(**entry, type="fee", info={"incomeType": "FUNDING_FEE"})),
        ("transfer", made.ledger(**entry, type="transfer")),
        ("rebate", made.ledger(**entry, type="rebate")),
        ("", made.ledger(**entry, type="trade")),
        ("", made.ledger(**entry, type="commission", info={"incomeType": "COMMISSION"})),
        ("", made.ledger(**entry, type="transfer", status="pending")),
        ("", made.ledger(**entry, type="moonbeam")),
    ])  # fmt: skip
    one.tell(message)
    if word:
        one.cash[f"{word} {id_}"] = settled, Fraction(signed)
    if word == "funding" and one.chance.random() < 0.5:
        # The ledger tells of the same payment.
        one.tell(made.ledger(**entry, type="fee", info={"incomeType": "FUNDING_FEE"}))


def _reported(one: Life) -> None:
    coin = one.chance.choice(sorted({terms.settled_in for terms in one.terms.values()}))
    one.balances[coin] = one.chance.randint(1, 4_000) / 16
    reported: dict[str, Any] = {coin: (one.balances[coin], 0.0)}
    one.tell(made.balance(at=one.at, **reported))
    if one.kind != "spot":
        for (symbol, held), quantity in one.held.items():
            side = held.lower() if held != "NET" else "short" if quantity < 0 else "long"
            contracts: Message = {"contracts": abs(quantity), "side": side, "entryPrice": 2_000.0}
            if not quantity:
                contracts = {"contracts": 0.0, "side": side if held != "NET" else None, "entryPrice": None}
            one.tell(made.position(symbol=symbol, timestamp=one.at, hedged=held != "NET", **contracts))
