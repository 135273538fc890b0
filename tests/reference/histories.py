"""Random histories of one account from a seed, as plain facts, and the project's events for them.

Without any of RULES, a history is reported in order, once and under one name, with full figures, and changes only
trades of orders that still work and of round trips that do not end by it.
"""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from eventstore import Event, trading
from eventstore.streams import stream_of
from tests.reference.facts import ZERO, Fact

START = 1_767_571_200 * 10**9  # 2026-01-05, a Monday, UTC
MINUTE = 60 * 10**9
DAY = 24 * 60 * MINUTE
CONTRACTS = {
    "ESH6": ("50", "USD"), "NQH6": ("20", "USD"), "FDAX": ("25", "EUR"), "BTCUSDT": ("1", "USD"),
    "XBTUSD": ("100", "BTC"), "ETHUSD": ("1", "USD"),
}  # fmt: skip
NAMES = {"ESH6": ("CON.ES", "@ES"), "NQH6": ("CON.NQ",), "FDAX": (), "BTCUSDT": (), "XBTUSD": (), "ETHUSD": ()}
HEDGED = "BTCUSDT"
INVERSE, SPOT = "XBTUSD", "ETHUSD"
COIN = "ETH"
RULES = {
    "late": "some facts are recorded later than others that happened after them",
    "repeated": "an execution is reported again: under the broker's order id, as a trade, with a fee that was missing",
    "identity": "ids are used again on another day or in another contract, figures conflict, times are missing",
    "names": "contracts have several names, some of which are learned late, in reports and in what comes later of them",
    "figures": "busts, corrections and fees state only an id, or only what is new",
    "changes": "any trade is busted or corrected, whatever became of it since, and busted twice",
    "missed": "a closing is reconciled without a price, maybe at its very instant; its fill comes later, or its price",
    "ahead": "some facts state a time that has not come when they are recorded",
}
"""What makes a history difficult."""
WORDS: dict[str, type[Event]] = {
    "ACCEPT": trading.OrderAccepted,
    "REJECT": trading.OrderRejected,
    "TRIGGER": trading.OrderTriggered,
    "CANCEL_REQUEST": trading.OrderCancelRequested,
    "CANCEL": trading.OrderCanceled,
    "CANCEL_REJECT": trading.OrderCancelRejected,
    "REPLACE_REJECT": trading.OrderReplaceRejected,
    "EXPIRE": trading.OrderExpired,
}


@dataclass
class Trade:
    """What the generator remembers of an execution: its report, and whether its order is closed."""

    report: Fact
    is_complete: bool
    has_late_fee: bool = False


class History:
    """One account's life, and how it is reported."""

    def __init__(self, seed: int, rules: Collection[str], symbols: Collection[str]) -> None:
        self.chance = random.Random(seed)
        self.rules = rules
        self.now = START + 9 * 60 * MINUTE
        self.reported: list[tuple[int, Fact]] = []
        self.trades: list[Trade] = []
        self.newest: Trade | None = None
        self.trips: dict[tuple[str, str], list[tuple[str, Decimal]]] = {}
        """Trade ids and quantities of each position's trip in progress."""
        self.closed: dict[tuple[str, str], list[str]] = {}
        """Trade ids of the trip that ended last, while the position is flat."""
        self.ended: dict[tuple[str, str], list[str]] = {}
        """Trade ids of earlier trips."""
        self.number = 0
        self.symbols = list(symbols)

    def facts(self, length: int) -> list[Fact]:
        """Return that many steps, in the order of the log."""
        kinds = [self._order, self._order, self._order, self._trade, self._fee, self._bust, self._correct, self._adjust]
        kinds += [self._split, self._restart, self._day] + [self._missed] * ("missed" in self.rules)
        for symbol in self.symbols:
            self._define(symbol, self.now + (self.chance.choice((0, 0, 2 * DAY)) if "names" in self.rules else 0))
        for _ in range(length):
            self.now += self.chance.choice((1, 5, 60, 7 * 60)) * MINUTE
            self.chance.choice(kinds)()
        self.reported.sort(key=lambda each: each[0])
        now, facts = START, list[Fact]()
        for log, (_, fact) in enumerate(self.reported, 1):
            now = max(now, fact.recorded or fact.at)
            # What states no time counts from when it is recorded.
            facts.append(replace(fact, log=log, at=fact.at if fact.timed else now))
        return facts

    def report(self, fact: Fact, at: int | None = None) -> None:
        """Report a fact at an instant, by default now, or late."""
        late = self.chance.randint(1, 2_000) * MINUTE if self._happens("late", 0.3) else 0
        recorded = (self.now if at is None else at) + late
        if self._happens("ahead", 0.05):
            fact = replace(fact, at=recorded + self.chance.randint(1, 4_000) * MINUTE // 2, recorded=recorded)
        self.reported.append((recorded, fact))

    def _happens(self, rule: str, often: float) -> bool:
        return rule in self.rules and self.chance.random() < often

    def _define(self, symbol: str, at: int) -> None:
        multiplier, currency = CONTRACTS[symbol]
        known = Fact("DEFINE", 0, at, symbol=symbol, multiplier=Decimal(multiplier), currency=currency)
        known = replace(known, inverse=symbol == INVERSE, coin=COIN if symbol == SPOT else "")
        self.reported.append((START, known))
        self.reported.append((at, replace(known, names=NAMES[symbol])))

    def _order(self) -> None:
        self.number += 1
        order, symbol, side = f"O-{self.number}", self.chance.choice(self.symbols), self.chance.choice((1, -1))
        about = Fact("SUBMIT", 0, self.now, stream=f"order/{order}", symbol=symbol, side=side)
        quantity = Decimal(self.chance.randint(1, 6))
        self.reported += [(self.now, replace(about, quantity=quantity)), (self.now, replace(about, kind="ACCEPT"))]
        held, left = self._side(symbol), quantity
        for _ in range(self.chance.randint(0, 3)):
            part = min(left, Decimal(self.chance.randint(1, 4)))
            if part:
                left -= part
                self.now += self.chance.randint(1, 3) * MINUTE
                fill = replace(about, kind="FILL", at=self.now, quantity=part, held=held)
                self._fill(fill, left)
        if left and self.chance.random() < 0.3:
            kinds = self.chance.choice((["CANCEL_REQUEST", "CANCEL"], ["REPLACE_REQUEST", "REPLACE"], ["EXPIRE"]))
            for kind in kinds:
                fact = replace(about, kind=kind, at=self.now)
                self.reported.append((self.now, replace(fact, quantity=quantity + 1) if "REPLACE" in kind else fact))
            for trade in self.trades:
                if trade.report.stream == about.stream:
                    trade.is_complete = True

    def _trade(self) -> None:
        symbol, quantity = self.chance.choice(self.symbols), Decimal(self.chance.randint(1, 6))
        fact = Fact("TRADE", 0, self.now, symbol=symbol, side=self.chance.choice((1, -1)), quantity=quantity)
        self._fill(replace(fact, held=self._side(symbol)), ZERO)

    def _side(self, symbol: str) -> str:
        return self.chance.choice(("LONG", "SHORT")) if symbol == HEDGED else "NET"

    def _fill(self, fact: Fact, room: Decimal) -> None:
        self.number += 1
        fee, currency = self.chance.choice(((ZERO, ""), (Decimal("1.25"), "USD"), (Decimal("0.7"), "")))
        price = Decimal(self.chance.randint(400, 440)) / 4
        if fact.symbol == INVERSE and self.chance.random() < 1 / 50:
            price = ZERO
        if fact.symbol == SPOT and self.chance.random() < 2 / 3:
            # The last one is as much as was bought, or more.
            fee, currency = Decimal(self.chance.choice(("0.25", "-0.01", "0.003", "2"))), COIN
        fact = replace(fact, id=f"T{self.number}", price=price, fee=fee, currency=currency)
        fact = fact if fact.stream else replace(fact, stream=f"trade/{fact.id}")
        complete = fact.kind == "FILL" and not room
        for trade in self.trades:
            trade.is_complete |= complete and trade.report.stream == fact.stream
        self.newest = Trade(fact, complete)
        self.trades.append(self.newest)
        self._hold((str(fact.symbol), fact.held), fact.id, (fact.side or 0) * (fact.quantity or ZERO))
        names = (str(fact.symbol), *(NAMES[str(fact.symbol)] if "names" in self.rules else ()))
        if self._happens("repeated", 0.3):
            again = self.chance.choice((f"order/B-{self.number}", f"trade/{fact.id}", fact.stream))
            twice = replace(fact, kind="TRADE" if again.startswith("trade") else "FILL", stream=again)
            self.report(replace(twice, symbol=self.chance.choice(names)), self.now + MINUTE)
            fact = replace(fact, fee=self.chance.choice((ZERO, fee)))
        fact = replace(fact, symbol=self.chance.choice(names))
        if self._happens("identity", 0.1):
            self._confuse(fact)
        if self._happens("identity", 0.1):
            self.report(replace(fact, at=self.now + MINUTE, timed=False), self.now + MINUTE)
            self.report(fact, self.now + 9 * MINUTE)
        else:
            self.report(fact)

    def _confuse(self, fact: Fact) -> None:
        """Report something else under the id of a trade."""
        days = [(datetime(2026, 1, day, tzinfo=UTC)).date().isoformat() for day in (5, 6)]
        other = self.chance.choice([name for name in self.symbols if name not in {fact.symbol, HEDGED}])
        match self.chance.randint(0, 4):
            case 0:
                self.report(replace(fact, symbol=other, held="NET"), self.now + MINUTE)
            case 1:
                self.report(replace(fact, quantity=(fact.quantity or ZERO) + 1), self.now + MINUTE)
            case 2:
                fee = replace(fact, fee=fact.fee + 1, currency=self.chance.choice(("", "USD", "EUR")))
                self.report(fee, self.now + MINUTE)
            case 3:
                later = self.now + self.chance.choice((DAY // 2, 3 * DAY))
                self.report(replace(fact, at=later, kind="TRADE", stream=f"trade/{fact.id}"), later + MINUTE)
            case _:
                for day in days:
                    self.report(replace(fact, trading_day=day), self.now + MINUTE)

    def _hold(self, key: tuple[str, str], trade_id: str, quantity: Decimal) -> None:
        trip = self.trips.setdefault(key, [])
        before = sum((each for _, each in trip), ZERO)
        after = before + quantity
        if after and before * after >= 0:
            if not trip:
                self.ended.setdefault(key, []).extend(self.closed.pop(key, []))
            trip.append((trade_id, quantity))
            return
        # What reversed the position belongs to both trips: it is not changed any more.
        closed = self.ended if after else self.closed
        closed.setdefault(key, []).extend(i for i, _ in trip)
        self.trips[key] = [("", after)] if after else []

    def _some_trade(self, *, ended: bool) -> Trade | None:
        """Return a trade to change; unless it may be any, one of an order that still works.

        Its trip is in progress, or with `ended` an earlier one than the one before that.
        """
        if "changes" in self.rules:
            return self.chance.choice(self.trades[-8:]) if self.trades else None
        changeable = {i for trip in self.trips.values() for i, _ in trip}
        if ended:
            changeable = {i for key, ids in self.ended.items() if self.trips.get(key) for i in ids}
        known = [each for each in self.trades if each.report.id in changeable and not each.is_complete]
        return self.chance.choice(known[-8:]) if known else None

    def _changed(self, report: Fact, quantity: Decimal) -> bool:
        """Change what a trip holds; unless any change may be, only if the position was never flat in between then."""
        key = (str(report.symbol), report.held)
        before = self.trips.get(key, [])
        trip = [(i, quantity if i == report.id else each) for i, each in before]
        if report.id not in {i for i, _ in before}:
            trip.append(("", quantity - (report.side or 0) * (report.quantity or ZERO)))
        sums = [sum((each for _, each in trip[: n + 1]), ZERO) for n in range(len(trip))]
        keeps_side = all(each > 0 for each in sums) or all(each < 0 for each in sums)
        if keeps_side or "changes" in self.rules:
            self.trips[key] = [each for each in trip if each[1]]
        return keeps_side or "changes" in self.rules

    def _fee(self) -> None:
        trade = self.newest
        if trade is not None:
            trade.has_late_fee = True
            fee = Decimal(self.chance.randint(1, 9)) / 10
            named = None if self._happens("figures", 0.5) else trade.report.symbol
            self.report(self._renamed(replace(trade.report, kind="FEE", at=self.now, fee=fee, symbol=named)))

    def _bust(self) -> None:
        trade = self._some_trade(ended=self.chance.random() < 0.4)
        if trade is None or (trade.has_late_fee and "changes" not in self.rules):
            return
        if not self._changed(trade.report, ZERO):
            return
        self.trades.remove(trade)
        self.newest = None
        fact = replace(trade.report, kind="BUST", at=self.now)
        if self._happens("figures", 0.6):
            fact = replace(fact, side=None, quantity=None, price=None, symbol=self.chance.choice((None, fact.symbol)))
        fact = self._renamed(fact)
        self.report(fact)
        if self._happens("changes", 0.2):
            self.report(fact, self.now + MINUTE)

    def _correct(self) -> None:
        trade = self._some_trade(ended=False)
        if trade is None:
            return
        report, price = trade.report, Decimal(self.chance.randint(400, 440)) / 4
        before = report.quantity or ZERO
        quantity = Decimal(self.chance.randint(1, int(before)))
        if not self._changed(report, (report.side or 0) * quantity):
            return
        trade.report = replace(report, quantity=quantity, price=price)
        fact = replace(trade.report, kind="CORRECT", at=self.now, before=(before, report.price or ZERO))
        if self._happens("figures", 0.6):
            fact = replace(fact, side=None, before=None, symbol=self.chance.choice((None, fact.symbol)))
        self.report(self._renamed(fact))

    def _renamed(self, fact: Fact) -> Fact:
        """Return what comes later of a trade, under any name of its contract: maybe one that nothing else went by."""
        names = next(((symbol, *more) for symbol, more in NAMES.items() if fact.symbol in {symbol, *more}), ())
        return replace(fact, symbol=self.chance.choice(names)) if names and self._happens("names", 0.4) else fact

    def _adjust(self) -> None:
        symbol = self.chance.choice(self.symbols)
        reason = self.chance.choice(("OPENING", "TRANSFER", "EXPIRY", "RECONCILED"))
        quantity = Decimal(self.chance.choice((-2, -1, 1, 2)))
        price = self.chance.choice((None, Decimal(self.chance.randint(400, 440)) / 4))
        fact = Fact("ADJUST", 0, self.now, symbol=symbol, quantity=quantity, price=price, reason=reason)
        fact = replace(fact, stream=f"position/{symbol}", held=self._side(symbol))
        self._hold((symbol, fact.held), "", quantity)
        self.newest = None
        self.report(fact)

    def _split(self) -> None:
        """Split two for one; unless any change may be, no trade before it is changed any more."""
        symbol = self.chance.choice(self.symbols)
        held = self._side(symbol)
        quantity = sum((each for _, each in self.trips.get((symbol, held), [])), ZERO)
        if quantity:
            self.trips[symbol, held] = [("", quantity * 2)]
            self.ended[symbol, held] = []
            self.newest = None
            fact = Fact("ADJUST", 0, self.now, symbol=symbol, quantity=quantity, reason="SPLIT", held=held)
            self.report(replace(fact, stream=f"position/{symbol}"))

    def _missed(self) -> None:
        """Close a position while nobody listens: it is reconciled; a day later the fill comes, or only its price."""
        self._trade()
        _, fact = self.reported.pop()
        self.now += self.chance.choice((0, MINUTE, MINUTE))
        signed = (fact.side or 0) * (fact.quantity or ZERO)
        stream = f"position/{fact.symbol}"
        gap = replace(fact, kind="ADJUST", at=self.now, quantity=signed, price=None, reason="RECONCILED", stream=stream)
        self.reported.append((self.now, replace(gap, side=None)))
        later = fact if self.chance.random() < 0.7 else replace(gap, quantity=ZERO, price=fact.price)
        self.reported.append((self.now + DAY, later))

    def _restart(self) -> None:
        self.reported.append((self.now, Fact("RESTART", 0, self.now)))

    def _day(self) -> None:
        """State the trading day from 17:00 to 17:00 that is in progress."""
        begun = self.now - (self.now - 17 * 60 * MINUTE) % DAY
        name = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=begun // DAY + 1)).date().isoformat()
        self.reported.append(
            (self.now, Fact("DAY", 0, begun, until=begun + DAY, trading_day=name, stream=f"session/{name}"))
        )


def history(
    seed: int, length: int = 60, rules: Collection[str] = tuple(RULES), symbols: Collection[str] = tuple(CONTRACTS)
) -> list[Fact]:
    """Return the facts of a random history, in the order of the log; the same for the same seed."""
    return History(seed, rules, symbols).facts(length)


def event_of(fact: Fact) -> Event | None:
    """Return the project's event for a fact; None for a restart."""
    side = None if fact.side is None else trading.Side.BUY if fact.side > 0 else trading.Side.SELL
    figures: dict[str, Any] = {"quantity": fact.quantity, "price": fact.price}
    of_trade: dict[str, Any] = {"trade_id": fact.id, "symbol": fact.symbol, "position_side": fact.held}
    before, fee = fact.before or (None, None), {"fee": fact.fee, "fee_currency": fact.currency or None}
    match fact.kind:
        case "FILL" | "TRADE":
            day = None if fact.trading_day is None else date.fromisoformat(fact.trading_day)
            kind = trading.OrderFilled if fact.kind == "FILL" else trading.TradeExecuted
            return kind(**of_trade, side=side, **figures, **fee, trading_day=day)  # type: ignore[arg-type]
        case "FEE":
            return trading.FeeCharged(**of_trade, amount=fact.fee, currency=fact.currency or None)
        case "BUST":
            return trading.TradeBusted(**of_trade, side=side, **figures, **fee)  # type: ignore[arg-type]
        case "CORRECT":
            previous: dict[str, Any] = {"previous_quantity": before[0], "previous_price": before[1]}
            return trading.TradeCorrected(**of_trade, side=side, **figures, **previous)
        case "RESTART":
            return None
        case _:
            return _other_event(fact, side, figures)


def _other_event(fact: Fact, side: trading.Side | None, figures: dict[str, Any]) -> Event:
    match fact.kind:
        case "ADJUST":
            reason, held = trading.AdjustmentReason(fact.reason), trading.PositionSide(fact.held)
            return trading.PositionAdjusted(symbol=str(fact.symbol), **figures, reason=reason, position_side=held)
        case "DEFINE":
            return _definition(fact)
        case "DAY":
            day = date.fromisoformat(str(fact.trading_day))
            return trading.SessionReset(trading_day=day, scheduled_for=fact.at, resets_at=fact.until)
        case "SUBMIT":
            return trading.OrderSubmitted(symbol=str(fact.symbol), side=side, quantity=fact.quantity)  # type: ignore[arg-type]
        case "REPLACE_REQUEST" | "REPLACE":
            kind = trading.OrderReplaced if fact.kind == "REPLACE" else trading.OrderReplaceRequested
            return kind(quantity=fact.quantity)
        case "REDUCE":
            return trading.OrderReduced(by=fact.quantity or ZERO)
        case "REPORT":
            return trading.OrderReported(status=trading.OrderStatus(fact.reason), quantity=fact.quantity)
        case _:
            return WORDS[fact.kind]()


def _definition(fact: Fact) -> trading.ContractDefined:
    known: dict[str, Any] = {"multiplier": fact.multiplier, "currency": fact.currency, "broker_ids": fact.names}
    if fact.inverse:
        known["payoff"] = trading.Payoff.INVERSE
    if fact.coin:
        known |= {"base_currency": fact.coin, "asset": trading.Asset.CRYPTO}
    return trading.ContractDefined(symbol=str(fact.symbol), **known)


def place_of(fact: Fact, account: str) -> str:
    """Return the stream that a fact is recorded in."""
    if fact.kind == "DEFINE":
        return stream_of("contract", "-", str(fact.symbol))
    category, _, entity = fact.stream.partition("/")
    return stream_of(category, account, entity)
