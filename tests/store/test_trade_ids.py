"""Trade ids that stand for none: refused when appended, so that no second fill is lost as a repeated report."""

from decimal import Decimal

import pytest

from eventstore import EventStore, InvalidEvent, trading

NONE = [
    "",
    " ",
    "\t",
    "\u00a0",
    "-",
    "--",
    "?",
    "...",
    "N/A",
    "n/a",
    "NA",
    "NaN",
    "nil",
    "None",
    " null ",
    "<none>",
    "(null)",
]
SOME = ["0", "00", "1", "a", "na1", "N/A-1", "-1", "0-0", "½", "成交"]
STREAMS = {trading.OrderFilled: "order/A/O-1", trading.TradeExecuted: "trade/A/1"}


def report(
    cls: type[trading.OrderFilled | trading.TradeExecuted], trade_id: str
) -> trading.OrderFilled | trading.TradeExecuted:
    return cls(trade_id=trade_id, symbol="ESZ5", side=trading.Side.BUY, quantity=Decimal(1), price=Decimal(50))


@pytest.mark.parametrize("cls", STREAMS)
@pytest.mark.parametrize("trade_id", NONE)
def test_an_execution_needs_an_id(
    store: EventStore, cls: type[trading.OrderFilled | trading.TradeExecuted], trade_id: str
) -> None:
    with pytest.raises(InvalidEvent, match="identifies no trade"):
        store.append(STREAMS[cls], [report(cls, "T-1"), report(cls, trade_id)])
    assert store.head() == 0


@pytest.mark.parametrize("cls", STREAMS)
@pytest.mark.parametrize("trade_id", SOME)
def test_any_other_text_is_an_id(
    store: EventStore, cls: type[trading.OrderFilled | trading.TradeExecuted], trade_id: str
) -> None:
    event = report(cls, trade_id)
    (record,) = store.append(STREAMS[cls], event)
    assert record.event == event
