"""Messages with members missing, swapped or absurd are mapped or refused as Unmapped: never another error."""

from __future__ import annotations

import datetime
import math
import random
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import ib_async
import pytest

from eventstore import InvalidEvent
from eventstore.events import encode
from eventstore.trading import OrderFilled, TradeCorrected, TradeExecuted
from gateways.messages import Unmapped
from gateways.messages.alpaca import Alpaca
from gateways.messages.fix import Fix
from gateways.messages.ib import InteractiveBrokers
from tests.messages import test_alpaca, test_ib
from tests.messages.fix_messages import cancel_reject, execution_report
from tests.messages.test_fix import fill
from tests.proving import rounds

pytestmark = pytest.mark.untraced

JUNK: Sequence[Any] = (
    None, "", " ", 0, -1, 1.5, True, math.nan, math.inf, 1.7976931348623157e308, 2**31 - 1, 10**400, "NaN", "1e9999",
    "0", "N/A", "null", "\x00", "\ud800", "x" * 5_000, [], [[]], {}, {"a": 1}, b"\xff", object(), Decimal("sNaN"),
    datetime.datetime(1, 1, 1, tzinfo=datetime.UTC), "20261130-14:30:00", "2026-11-30T14:30:00Z", "ACC1", "1", "8",
)  # fmt: skip
FIX_MESSAGES = [
    fill(t12="1", t13="1", t136=[{137: "2", 138: "EUR"}], t75="20261130", t200="202603", t202="5"),
    execution_report("0", "0", 1), execution_report("G", "1", 1, t19="E0", t32="1", t31="5"),
    execution_report("H", "0", 1, t19="E0"), execution_report("5", "0", 1, t41="C-0"), cancel_reject("1", "0", 1),
]  # fmt: skip
IB_MESSAGES = [
    test_ib.as_dict(each)
    for each in (
        test_ib.fill(report=test_ib.commission(1.24)), test_ib.fill(test_ib.execution("a.b.c.02")), test_ib.trade(),
        test_ib.commission(1.0), ib_async.Position("ACC1", test_ib.MNQ, 2.0, 400.0),
        ib_async.PortfolioItem(test_ib.MNQ, 1.0, 1.0, 2.0, 2.0, 1.0, 1.0, "ACC1"),
        ib_async.AccountValue("ACC1", "TotalCashValue", "5", "USD", ""), ib_async.PnL("ACC1", realizedPnL=5.0),
        ib_async.ContractDetails(contract=test_ib.MNQ, minTick=0.25), ib_async.OrderStatus(orderId=5, status="Filled"),
    )
]  # fmt: skip
CASES = [
    pytest.param(Fix(), FIX_MESSAGES, id="fix"),
    pytest.param(InteractiveBrokers(account="ACC1"), IB_MESSAGES, id="ib"),
    pytest.param(Alpaca(account="ACC1"), test_alpaca.SESSION, id="alpaca"),
]


def mutated(value: Any, chance: random.Random) -> Any:  # noqa: ANN401 - any part of a message
    """Return a message with some members gone, swapped or replaced by what cannot be."""
    if isinstance(value, list):
        return [mutated(each, chance) for each in value]
    if not isinstance(value, dict):
        return chance.choice(JUNK) if chance.random() < 0.05 else value
    kept = {name: mutated(each, chance) for name, each in value.items() if chance.random() > 0.03}
    if len(kept) > 1 and chance.random() < 0.1:
        one, other = chance.sample([*kept], 2)
        kept[one], kept[other] = kept[other], kept[one]
    return kept


@pytest.mark.parametrize(("mapping", "messages"), CASES)
def test_a_mutated_message_is_mapped_or_refused(mapping: Any, messages: list[Any]) -> None:  # noqa: ANN401 - three classes
    outcomes = set()
    for seed in rounds(f"mutated {mapping.source}", test=200, prove=20_000):
        chance = random.Random(seed)
        message = mutated(chance.choice(messages), chance)
        try:
            found = mapping.events(message)
        except Unmapped as refusal:
            outcomes.add("refused" if refusal.message is message else "refused without its message")
            continue
        assert mapping.events(message) == found
        outcomes.add("mapped")
        for mapped in found:
            assert mapped.occurred_at is None or mapped.occurred_at > 0
            if isinstance(mapped.event, OrderFilled | TradeExecuted | TradeCorrected):
                assert mapped.event.quantity > 0
                assert mapped.event.price.is_finite()
            try:
                encode(mapped.event)
            except InvalidEvent:
                outcomes.add("refused by the store")
    assert {"refused", "mapped"} <= outcomes <= {"refused", "mapped", "refused by the store"}
