"""A log with two accounts and a group for tests of audits: causes that lead from one account to the other."""

from __future__ import annotations

import datetime
from decimal import Decimal
from pathlib import Path

import eventstore
from eventstore import ManualClock, Record
from eventstore.clock import NANOSECONDS
from eventstore.trading import (
    AccountOpened,
    ContractDefined,
    DaySigned,
    EquityCorrected,
    GroupDefined,
    LimitsSet,
    LockoutSet,
    Marked,
    NoteAdded,
    OrderAccepted,
    OrderFilled,
    OrderSubmitted,
    RecordsRead,
    Side,
    TradeBusted,
)

AT = 1_763_560_800 * NANOSECONDS
OWN, SECRET = "ACC1", "SECRET9"
ANN = "Ann@desk/cli"


def audited_log(directory: Path) -> dict[str, Record]:
    """Write the log, a second between two records; return those that tests ask about, by name."""
    clock = ManualClock(AT)
    found: dict[str, Record] = {}
    with eventstore.open(directory, clock=clock) as store:

        def add(name: str, stream: str, event: eventstore.Event, **options: object) -> Record:
            clock.advance(NANOSECONDS)
            (found[name],) = store.append(stream, event, **options)  # type: ignore[arg-type]
            return found[name]

        add("contract", "contract/-/ESZ5", _contract())
        for account in (OWN, SECRET):
            add(f"opened {account}", f"account/{account}/-", _opened(), actor="desk")
        add("group", "group/-/firm", GroupDefined(accounts=(OWN, SECRET)), actor="risk")
        limit = LimitsSet(rule_id="daily-loss", parameters={"limit": "500"})
        add("limit", f"limits/{OWN}/daily-loss", limit, actor=ANN)
        signal = add("signal", f"order/{SECRET}/S-1", _order(), actor="copier")
        copied = add("copied", f"order/{OWN}/O-1", _order(), causation_id=signal.id, actor="copier")
        add("accepted", f"order/{OWN}/O-1", OrderAccepted(broker_order_id="B1"))
        fill = add("fill", f"order/{OWN}/O-1", _fill("T-1"))
        add("echo", f"order/{SECRET}/S-2", _order(), causation_id=copied.id)
        other = add("other fill", f"order/{SECRET}/S-2", _fill("T-2"))
        lockout = LockoutSet(rule_id="daily-loss", reason="daily loss reached")
        add("lockout", f"lockout/{OWN}/daily-loss", lockout, causation_id=fill.id)
        add("bust", f"trade/{OWN}/T-1", TradeBusted(trade_id="T-1", symbol="ESZ5", reason="erroneous"))
        add("note", f"note/{OWN}/1", NoteAdded(target=str(fill.uuid), text="the breakout", tags=("breakout",)))
        add("stream note", f"note/{OWN}/2", NoteAdded(target=f"order/{OWN}/O-1", tags=("watched",)))
        add("mark", "mark/-/noon", Marked(name="noon"))
        add("reads", "audit/-/reads", RecordsRead(question="why", account=SECRET), actor="spy")
        wrong = EquityCorrected(high_water=Decimal(50_100), wrong=other.uuid, reason="typo")
        add("wrong", f"account/{OWN}/-", wrong, actor=ANN)
        signed = DaySigned(trading_day=datetime.date(2025, 11, 19))
        add("signed", f"audit/{OWN}/2025-11-19", signed, actor=ANN)
        clock.advance(NANOSECONDS)
    return found


def _contract() -> ContractDefined:
    return ContractDefined(symbol="ESZ5", multiplier=Decimal(50), currency="USD", broker_ids=("CON.EP.Z25",))


def _opened() -> AccountOpened:
    return AccountOpened(starting_balance=Decimal(50_000), currency="USD")


def _order() -> OrderSubmitted:
    return OrderSubmitted(symbol="ESZ5", side=Side.BUY, quantity=Decimal(1))


def _fill(trade_id: str) -> OrderFilled:
    return OrderFilled(trade_id=trade_id, symbol="ESZ5", side=Side.BUY, quantity=Decimal(1), price=Decimal(5_000))
