"""The facts of random histories: one of a kind, drawn for an account."""

import random
import uuid
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from eventstore import Event, trading
from eventstore.streams import stream_of
from eventstore.trading import (
    AdjustmentReason,
    Allows,
    CashKind,
    ClockJumped,
    ContractDefined,
    EnforcementAction,
    EquityMarked,
    FeeCharged,
    LimitReported,
    LockoutCleared,
    LockoutExpired,
    LockoutExtended,
    LockoutSet,
    Marked,
    OrderFilled,
    OrderReported,
    OrderStatus,
    OrderSubmitted,
    PositionAdjusted,
    PositionReported,
    PositionSide,
    Protection,
    ProtectionMode,
    RateQuoted,
    SessionClosed,
    SessionOpened,
    SessionReset,
    Side,
    TradeBusted,
    TradeCorrected,
    TradeExecuted,
    WouldAsk,
    WouldClear,
    WouldLock,
)

Fact = tuple[str, Event]

START = 1_750_000_000_000_000_000
SECOND = 1_000_000_000
STRETCH = 20
ACCOUNTS = ("A", "B", "C")
SYMBOLS = ("ESZ5", "NQZ5")
ORDERS = ("O1", "O2", "O/3", "O4", "O5")
TRADES = ("T1", "T2", "T3", "T4")
GROUPS = ("desk", "all")
REQUESTS = ("E1", "E2", "E/3")
FIRST_DAY = date(2025, 6, 16)


def _instant(chance: random.Random) -> int:
    return START + chance.randint(0, 60) * SECOND


def _quantity(chance: random.Random) -> Decimal:
    return Decimal(chance.randint(1, 9))


def _price(chance: random.Random) -> Decimal:
    # A third of a cent: sums of such prices need more digits than a careless context keeps.
    return Decimal(chance.randint(300_000, 310_000)) / 300


def _side(chance: random.Random) -> Side:
    return chance.choice((Side.BUY, Side.SELL))


def _held(chance: random.Random) -> PositionSide:
    return chance.choice((PositionSide.NET, PositionSide.NET, PositionSide.LONG, PositionSide.SHORT))


def _order(chance: random.Random, account: str) -> Fact:
    quantity, symbol, side = _quantity(chance), chance.choice(SYMBOLS), _side(chance)
    event: Event
    match chance.randint(0, 10):
        case 0 | 1 | 2:
            event = OrderSubmitted(symbol=symbol, side=side, quantity=quantity, limit_price=_price(chance))
        case 3 | 4:
            event = trading.OrderAccepted(broker_order_id=chance.choice(("X1", "X2", None)))
        case 5:
            event = trading.OrderCanceled(quantity=chance.choice((quantity, None)))
        case 6:
            event = trading.OrderReplaced(quantity=quantity)
        case 7:
            event = trading.OrderReduced(by=quantity)
        case 8:
            event = chance.choice((trading.OrderCancelRequested(), trading.OrderReplaceRequested(quantity=quantity)))
        case 9:
            ends = (trading.OrderRejected(), trading.OrderExpired(), trading.OrderCancelRejected())
            event = chance.choice((*ends, trading.OrderReplaceRejected(), trading.OrderTriggered()))
        case _:
            status = chance.choice(list(OrderStatus))
            event = OrderReported(status=status, symbol=symbol, quantity=quantity, filled_quantity=_quantity(chance))
    return _order_stream(chance, account), event


def _order_stream(chance: random.Random, account: str) -> str:
    return stream_of("order", account, chance.choice(ORDERS))


def _fill(chance: random.Random, account: str) -> Fact:
    kind, stream = OrderFilled, _order_stream(chance, account)
    trade_id = chance.choice(TRADES)
    if chance.randint(0, 3) == 0:
        kind, stream = TradeExecuted, f"trade/{account}/{trade_id}"  # type: ignore[assignment] # of the same members
    return stream, kind(
        trade_id=trade_id,
        symbol=chance.choice(SYMBOLS),
        side=_side(chance),
        quantity=_quantity(chance),
        price=_price(chance),
        fee=Decimal(chance.randint(-1, 3)) / 7,
        fee_currency=chance.choice(("USD", "USD", None)),
        position_side=_held(chance),
    )


def _about_trade(chance: random.Random, account: str) -> Fact:
    trade_id = chance.choice(TRADES)
    stream = chance.choice((_order_stream(chance, account), f"trade/{account}/{trade_id}"))
    quantity, price = _quantity(chance), _price(chance)
    named: dict[str, Any] = {}
    if chance.randint(0, 1):
        named = {"symbol": chance.choice(SYMBOLS), "position_side": _held(chance)}
    match chance.randint(0, 4):
        case 0:
            return stream, FeeCharged(trade_id=trade_id, amount=price / 1000, currency="USD", **named)
        case 1:
            return stream, TradeBusted(trade_id=trade_id, **named)
        case 2:
            members: dict[str, Any] = {"side": _side(chance), "quantity": quantity, "price": price}
            return stream, TradeBusted(trade_id=trade_id, **members, **named)
        case 3:
            return stream, TradeCorrected(trade_id=trade_id, quantity=quantity, price=price, **named)
        case _:
            members = {"side": _side(chance), "previous_quantity": _quantity(chance), "previous_price": _price(chance)}
            return stream, TradeCorrected(trade_id=trade_id, quantity=quantity, price=price, **members, **named)


def _position(chance: random.Random, account: str) -> Fact:
    symbol, quantity = chance.choice(SYMBOLS), Decimal(chance.randint(-5, 5))
    stream, held = f"position/{account}/{symbol}", _held(chance)
    if chance.randint(0, 2) == 0:
        return stream, PositionReported(symbol=symbol, quantity=quantity, frozen=Decimal(1), position_side=held)
    reason = chance.choice(list(AdjustmentReason))
    price = None if reason is AdjustmentReason.SPLIT else chance.choice((_price(chance), None))
    if not quantity:
        # It states the price of those that had none.
        reason, price = chance.choice((AdjustmentReason.RECONCILED, AdjustmentReason.EXPIRY)), _price(chance)
    return stream, PositionAdjusted(symbol=symbol, quantity=quantity, reason=reason, price=price, position_side=held)


def _lockout(chance: random.Random, account: str) -> Fact:
    rule, scope = chance.choice(("loss", "news")), chance.choice(("account", "root:ES", "symbol:NQZ5"))
    until = chance.choice((None, START + chance.randint(1, 60) * SECOND))
    event: Event
    match chance.randint(0, 6):
        case 0 | 1 | 2:
            allows = chance.choice(list(Allows))
            revocable = bool(chance.randint(0, 3))
            event = LockoutSet(rule_id=rule, scope=scope, allows=allows, until=until, revocable=revocable)
        case 3:
            event = LockoutExtended(until=until, scope=chance.choice((scope, None)))
        case 4:
            event = LockoutCleared(by="desk", scope=chance.choice((scope, None)))
        case 5:
            event = ClockJumped(before=_instant(chance), after=_instant(chance))
        case _:
            event = LockoutExpired(scope=chance.choice((scope, None)))
    return f"lockout/{account}/{rule}", event


def _shared(chance: random.Random, _account: str) -> Fact:
    match chance.randint(0, 7):
        case 0 | 1:
            return "mark/-/eod", Marked(name="eod")
        case 2 | 3:
            base, quote = chance.choice((("EUR", "USD"), ("USD", "EUR"), ("GBP", "USD")))
            return f"rate/-/{base}{quote}", RateQuoted(base=base, quote=quote, rate=Decimal(chance.randint(9, 13)) / 10)
    symbol = chance.choice(SYMBOLS)
    alias = chance.choice((f"CON.{symbol}", "CON.ANY"))
    base_currency = chance.choice((None, "EUR", "GBP"))
    event = ContractDefined(
        symbol=symbol,
        multiplier=_quantity(chance),
        broker_ids=(alias,),
        currency="USD",
        base_currency=base_currency,
    )
    return f"contract/-/{symbol}", event


def _session(chance: random.Random, account: str) -> Fact:
    """Return the events of a trading day of twenty seconds: late, repeated, in any order, or wrong."""
    number = chance.randint(0, 5)
    day = FIRST_DAY + timedelta(days=number)
    stream, began_at = f"session/{account}/{day}", START + (20 * number + chance.choice((0, 0, 0, 3))) * SECOND
    resets_at = chance.choice((None, began_at + 20 * SECOND))
    week = chance.choice((None, FIRST_DAY, FIRST_DAY + timedelta(days=3)))
    stated: dict[str, Any] = {"week": week, "cash_at_reset": chance.choice((None, None, *trading.CashAtReset))}
    match chance.randint(0, 5):
        case 0 | 1:
            begun = chance.choice((None, began_at))
            opens_at = chance.choice((None, began_at + SECOND))
            opened = SessionOpened(trading_day=day, began_at=begun, opens_at=opens_at, resets_at=resets_at, **stated)
            return stream, opened
        case 2 | 3:
            late = bool(chance.randint(0, 1))
            reset = SessionReset(trading_day=day, scheduled_for=began_at, late=late, resets_at=resets_at, **stated)
            return stream, reset
        case _:
            closed = SessionClosed(balance=_price(chance), realized=_price(chance) / 7)
            return chance.choice((stream, f"session/{account}/-")), closed


def _limits(chance: random.Random, account: str) -> Fact:
    rule, amount = chance.choice(("maximum-position", "order-size:fast")), chance.randint(1, 5)
    if chance.randint(0, 4) == 0:
        members = tuple(chance.sample(ACCOUNTS, chance.randint(0, len(ACCOUNTS))))
        return f"group/-/{chance.choice(GROUPS)}", trading.GroupDefined(accounts=members)
    if chance.randint(0, 3) == 0:
        breached = trading.LimitBreached(rule_id=rule, figure=_price(chance), limit=Decimal(amount), currency="USD")
        return f"breach/{account}/{rule}", breached
    if chance.randint(0, 3) == 0:
        cls = chance.choice((trading.LimitUnjudged, trading.LimitJudged))
        return f"limits/{account}/{rule}", cls(rule_id=rule, why="no price", since=_instant(chance), limit_position=1)
    parameters = {"limit": str(amount), "limits": {chance.choice(SYMBOLS): chance.randint(1, 5)}}
    effective_from = chance.choice((None, None, _instant(chance)))
    if rule == "maximum-position":
        account = chance.choice((account, account, account, *(f"@{name}" for name in GROUPS)))
    return f"limits/{account}/{rule}", trading.LimitsSet(
        rule_id=rule, revision=amount, parameters=parameters, effective_from=effective_from
    )


def _account(chance: random.Random, account: str) -> Fact:
    stream, currency, amount = f"account/{account}/-", chance.choice(("USD", "EUR")), _price(chance) / 7
    match chance.randint(0, 8):
        case 8:
            high_water, floor = (chance.choice((None, _price(chance))) for _ in range(2))
            return stream, trading.EquityCorrected(reason="a wrong print", high_water=high_water, floor=floor)
        case 0 if int(amount) % 3 == 0:
            return stream, trading.AccountReopened(starting_balance=amount)
        case 0:
            return stream, trading.AccountOpened(starting_balance=amount, currency=currency)
        case 7:
            payout = chance.choice((None, "moves-floor", "keeps-floor", "floor-to=0", "floor-to=1000.5"))
            valuation = None if payout else chance.choice(list(trading.Valuation))
            return stream, trading.AccountConfigured(payout=payout, valuation=valuation)
        case 1 | 2:
            members: dict[str, Any] = {chance.choice(("balance", "available", "frozen", "margin")): amount}
            may = chance.choice((None, True, False))
            return stream, trading.AccountUpdated(**members, can_trade=may, currency=chance.choice((None, currency)))
        case 3 | 4:
            return stream, trading.CashMoved(amount=amount, currency=currency, kind=chance.choice(list(CashKind)))
        case _:
            symbol = chance.choice((None, *SYMBOLS))
            day = chance.choice((None, FIRST_DAY))
            reported = trading.PnlReported(realized=amount, currency=currency, symbol=symbol, trading_day=day)
            return f"pnl/{account}/{symbol or '-'}", reported


def _approval(chance: random.Random, account: str) -> Fact:
    """Return who must approve, or an approval: of which record is decided once it is appended."""
    if chance.randint(0, 2):
        return f"approval/{chance.choice((account, account, '-'))}/1", trading.Approved(record=uuid.UUID(int=0))
    approver = chance.choice(("second", "second", "*", "second,third", ""))
    # Of one account alone: where much waits, less becomes of it.
    return f"account/{ACCOUNTS[-1]}/-", trading.AccountConfigured(second_approver=approver)


def _enforcement(chance: random.Random, account: str) -> Fact:
    entity, request_id = chance.choice(REQUESTS).replace("/", "%2F"), chance.choice(REQUESTS)
    event: Event
    match chance.randint(0, 5):
        case 0 | 1:
            event = trading.EnforcementTaken(request_id=request_id, success=bool(chance.randint(0, 1)))
        case 2:
            claimant, until = chance.choice(("one", "two")), _instant(chance)
            event = trading.EnforcementClaimed(request_id=request_id, claimant=claimant, lease_until=until)
        case 3:
            event = trading.EnforcementEscalated(request_id=request_id, attempts=3, why="three attempts")
        case _:
            event = trading.EnforcementRequested(
                rule_id="loss",
                action=chance.choice(list(EnforcementAction)),
                request_id=chance.choice((None, request_id)),
                trading_day=chance.choice((None, FIRST_DAY)),
                attempt=chance.randint(1, 3),
            )
    return f"enforcement/{account}/{entity}", event


def _strategy(chance: random.Random, account: str) -> Fact:
    """Return a strategy's saved state, a blackout of it or of everybody, a note, or what became of a policy."""
    name, start = chance.choice(("one", "two", "a%2Fb")), _instant(chance)
    state = {"legs": [chance.randint(1, 9), {name: None}]}
    match chance.randint(0, 5):
        case 5:
            target = chance.choice((f"order/{account}/O-1", f"day/{account}/{FIRST_DAY}"))
            return f"note/{account}/{name}", trading.NoteAdded(target=target, text=name, tags=(name, "seen"))
        case 0:
            named = chance.choice((None, "one", "three"))
            return f"pair/{account}/{name}", trading.PairStateSaved(state=state, pair=named)
        case 1 if name == "two":
            return f"policy/{account}/one", trading.PolicyStopped(policy="one", why="broken")
        case 1 if name == "one":
            return f"policy/{account}/one", trading.PolicyResumed(policy="one")
        case 1:
            return f"portfolio/{account}/{name}", trading.PortfolioSaved(state=state, version=2)
        case 2 | 3:
            symbols = chance.choice(((), ("ES",), SYMBOLS))
            blackout = trading.BlackoutScheduled(start=start, stop=start + 9 * SECOND, symbols=symbols)
            return f"blackout/{chance.choice((account, '-'))}/{name}", blackout
        case _:
            return f"blackout/{chance.choice((account, '-'))}/{name}", trading.BlackoutCanceled()


def _marked(chance: random.Random, account: str) -> Fact:
    balance, unrealized = _price(chance), _price(chance) / 7
    mark = EquityMarked(
        balance=balance,
        equity=balance + unrealized,
        high_water=_price(chance),
        realized=_price(chance) / 3,
        unrealized=unrealized,
        fees=_price(chance) / 1_000,
        floor=chance.choice((None, _price(chance))),
        quotes={symbol: trading.QuoteUsed(_price(chance), START) for symbol in SYMBOLS},
        currency=chance.choice((None, "USD", "EUR")),
        trading_day=chance.choice((None, FIRST_DAY)),
    )
    return f"equity/{account}/-", mark


def _shadow(chance: random.Random, account: str) -> Fact:
    rule, scope = chance.choice(("loss", "news")), chance.choice(("account", "root:ES"))
    until = chance.choice((None, START + chance.randint(1, 60) * SECOND))
    event: Event
    match chance.randint(0, 6):
        case 0 | 1 | 2:
            event = WouldLock(rule_id=rule, scope=scope, until=until, revocable=bool(chance.randint(0, 2)))
        case 3:
            event = WouldClear(by="loss", scope=chance.choice((scope, None)))
        case 4:
            event = WouldAsk(rule_id=rule, action=chance.choice(list(EnforcementAction)))
        case 5:
            day = chance.choice((None, FIRST_DAY))
            at = _instant(chance)
            event = LimitReported(kind="daily-loss", figure=_price(chance), trading_day=day, reported_at=at)
            return f"limits/{account}/daily-loss", event
        case _:
            return f"account/{account}/-", ProtectionMode(mode=chance.choice(list(Protection)))
    return f"shadow/{account}/{rule}", event


MAKERS = [_order, _order, _order, _fill, _fill, _fill, _about_trade, _position, _lockout, _shared]
MAKERS += [_shadow, _lockout, _session, _limits, _account, _enforcement, _strategy, _marked, _marked]
MAKERS += [_approval]
