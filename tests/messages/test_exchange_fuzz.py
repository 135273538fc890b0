"""Whatever a message of an exchange holds: events that the log takes, or Unmapped with the message; nothing else."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from eventstore.clock import to_ns
from eventstore.events import encode
from eventstore.ids import keyed_id
from eventstore.streams import account_of
from gateways.messages import MappedEvent, MessageMapping, Unmapped
from gateways.messages.binance import BinanceFutures
from gateways.messages.ccxt import Ccxt, LedgerFee, PrecisionMode
from tests.messages import binance_messages as raw
from tests.messages import ccxt_structures as made

pytestmark = pytest.mark.untraced

MAPPINGS: Mapping[str, MessageMapping] = {
    "plain": Ccxt(exchange="binance", account="A"),
    "configured": Ccxt(
        exchange="okx", account="A", precision_mode=PrecisionMode.DECIMAL_PLACES, spot=True, wallet="swap",
        ledger_fee=LedgerFee.FUNDING, oco_lists=True, client_ids=True, codes={"OP": "OPT"}, suffix="@okx",
    ),
    "binance": BinanceFutures(account="A"),
    "named": BinanceFutures(account="A", symbols={"BTCUSDT": "BTC/USDT:USDT"}, client_ids=True),
}  # fmt: skip
MESSAGES = [
    made.trade(), made.order(trades=[made.trade()]), made.position(), made.balance(USDT=(1.0, 2.0), OP=(1.0, None)),
    made.market(), made.linear(), made.inverse(), made.ledger(),
    made.ledger(type="fee", fee={"currency": "X", "cost": 1}), made.ledger(info={"incomeType": "FUNDING_FEE"}),
    made.funding(), made.funding(id=None), made.transaction(), made.transfer(), made.liquidation(),
    raw.order_update(), raw.fill_update(c="autoclose-1"), raw.account_update(balances=({},), positions=({}, {})),
    raw.income(), raw.income(incomeType="?"), {"kind": "Trade", "data": made.trade()},
    {"stream": "k", "data": raw.fill_update()},
]  # fmt: skip
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.decimals(allow_nan=True),
    st.sampled_from([
        "", "0", "-0", "NaN", "1e999999999", "-1", "\ud800", "\x00", "x" * 3_000, 10**400, -(10**400), 1e308, 5e-324,
        "closed", "FILLED", "in", "2026-01-01T00:00:00Z", "0001-01-01T00:00:00Z", 1_767_225_600, -1, 2**63,
    ]),
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
places = st.lists(st.tuples(st.integers(0, 200), values, st.booleans()), min_size=1, max_size=4)


def members(message: Any) -> list[tuple[Any, Any]]:  # noqa: ANN401 - any part of a message
    """Return each member of a message, at any depth: what holds it, and its name or index."""
    names = list(message) if isinstance(message, dict) else range(len(message)) if isinstance(message, list) else ()
    return [each for name in names for each in ((message, name), *members(message[name]))]


def changed(message: Mapping[str, Any], changes: list[tuple[int, object, bool]]) -> Any:  # noqa: ANN401 - as above
    """Return a message with other values in some of its members, or without them."""
    message = copy.deepcopy(dict(message))
    for index, value, is_missing in changes:
        found = members(message)
        if found:
            holder, name = found[index % len(found)]
            if is_missing and isinstance(holder, dict):
                del holder[name]
            else:
                holder[name] = value
    return message


def outcome(mapping: MessageMapping, message: Any) -> object:  # noqa: ANN401 - anything may come
    """Return the events of a message, each of which the log takes, or what was wrong with the message."""
    refused: Unmapped | None = None
    events: tuple[MappedEvent, ...] = ()
    try:
        events = mapping.events(message)
    except Unmapped as error:
        refused = error
    if refused is not None:
        assert refused.message is message
        return str(refused)
    for each in events:
        encode(each.event)
        assert account_of(each.stream) in {"A", "-"}
        if each.key is not None:
            keyed_id(each.stream, each.key)
        if each.occurred_at is not None:
            assert to_ns(each.occurred_at) == each.occurred_at
    return events


@pytest.mark.parametrize("name", MAPPINGS)
@settings(max_examples=150, derandomize=True)
@given(st.sampled_from(MESSAGES), places)
@example(MESSAGES[0], [(0, None, True)])
def test_a_changed_message_is_mapped_or_refused_and_always_in_the_same_way(
    name: str, message: dict[str, Any], changes: list[tuple[int, object, bool]]
) -> None:
    given_ = changed(message, changes)
    before = repr(given_)
    assert repr(outcome(MAPPINGS[name], given_)) == repr(outcome(MAPPINGS[name], given_))
    # It is the caller's.
    assert repr(given_) == before


@pytest.mark.parametrize("name", MAPPINGS)
@pytest.mark.parametrize(
    "message",
    [
        None,
        [],
        "text",
        5,
        {},
        {"e": []},
        {1: 2},
        {"kind": [], "data": {}},
        {"data": 1},
    ],
)
def test_what_is_not_a_message_is_refused(name: str, message: object) -> None:
    assert isinstance(outcome(MAPPINGS[name], message), str)
