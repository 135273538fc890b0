"""Since when prices mean what they do: by splits and definitions, known after a restart, from a cut or the log.

What may be wrong: the name was not defined yet, or means something else by now; the price comes after the change but is
from before it; the change is recorded late, or stated for a time to come; there are more changes than are kept.
"""

# A Decimal equals the int that stands for it here, which mypy does not know of members of a tuple.
# mypy: disable-error-code="comparison-overlap"

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

import eventstore
import projections
from eventstore import ManualClock
from eventstore.trading import AdjustmentReason, ContractDefined, Payoff, PositionAdjusted, Side, TradeExecuted
from projections.view import SHARED
from projections.views.contracts import view as contracts
from projections.views.contracts.view import ContractsState
from tests.views.market import KNOWN, START, UNKNOWN, Market, at_second
from tests.views.position_folding import round_tripped

Change = Callable[[Market], None]

FULL: dict[str, Any] = {"multiplier": Decimal(50), "tick_size": Decimal("0.25"), "currency": "USD"}


@pytest.fixture
def market(tmp_path: Path) -> Market:
    """A market whose log is in a directory: a book is opened from a cut where there is one."""
    found = Market()
    found.book.close()
    found.clock = ManualClock(START)
    found.book = projections.open(eventstore.open(tmp_path, clock=found.clock))
    return found


def split(market: Market, name: str = "ESZ5", reason: AdjustmentReason = AdjustmentReason.SPLIT) -> None:
    market.book.append(f"position/A/{name}", PositionAdjusted(symbol=name, quantity=Decimal(1), reason=reason))


def split_under_an_alias(market: Market) -> None:
    market.define("ESZ5", "@ES")
    market.clock.set(at_second(5))
    split(market, "@ES")


def split_before_the_name_was_known(market: Market) -> None:
    market.clock.set(at_second(5))
    split(market, "@ES")
    market.clock.set(at_second(6))
    market.define("ESZ5", "@ES")


def redefined(**members: Any) -> Change:  # noqa: ANN401 - a definition's own
    def change(market: Market) -> None:
        market.define(**FULL)
        market.clock.set(at_second(5))
        market.define(**{**FULL, **members})
        # What follows changes no price.
        market.clock.set(at_second(9))
        market.define(**{**FULL, **members}, name="E-mini")

    return change


def taken_from_another_contract(market: Market) -> None:
    market.define("ESU5", "ESZ5")
    market.clock.set(at_second(5))
    market.define("ESZ5")


def unlisted_and_listed_by_another(market: Market) -> None:
    market.define("ESU5", "ESZ5")
    market.define("ESU5")
    market.clock.set(at_second(5))
    market.define("ESH6", "ESZ5")
    market.clock.set(at_second(5))
    market.define("ESH6")
    market.define("ESZ5")


CHANGES = {
    "split": split_under_an_alias,
    "split before it was defined": split_before_the_name_was_known,
    "multiplier": redefined(multiplier=Decimal(5)),
    "tick size": redefined(tick_size=Decimal("0.5")),
    "currency": redefined(currency="EUR"),
    "payoff": redefined(payoff=Payoff.INVERSE, base_currency="BTC"),
    "not stated any more": redefined(multiplier=None),
    "taken from another": taken_from_another_contract,
    "listed by another in between": unlisted_and_listed_by_another,
}


@pytest.mark.parametrize("reopened", ["not", "from the log", "from a cut"])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_price_from_before_a_change_is_none_also_after_a_restart(
    market: Market, change: Change, reopened: str
) -> None:
    if reopened == "not":
        market.quote(1, last=100, bid=99, ask=101)
    change(market)
    if reopened == "from a cut":
        assert market.book.snapshot()
    if reopened != "not":
        market.reopen()
    market.quote(4, source="F", now=20, last=100, bid=99, ask=101)
    market.alive(20, "F")
    assert market.price(20) == (None, UNKNOWN)
    assert "its prices are from before" in market.priced(20).standing.why
    market.quote(21, source="F", last=50, bid=49, ask=51)
    assert market.price(21) == (50, KNOWN)


def reconciled(market: Market) -> None:
    market.define(**FULL)
    market.clock.set(at_second(5))
    split(market, reason=AdjustmentReason.RECONCILED)


def completed(market: Market) -> None:
    market.define(multiplier=Decimal(50))
    market.clock.set(at_second(5))
    market.define(**FULL)


def another_one_split(market: Market) -> None:
    market.define(**FULL)
    market.define("NQZ5", "@NQ")
    market.clock.set(at_second(5))
    split(market, "@NQ")


@pytest.mark.parametrize("reopened", [False, True])
@pytest.mark.parametrize("change", [reconciled, completed, another_one_split])
def test_what_changes_no_price_leaves_earlier_ones(market: Market, change: Change, *, reopened: bool) -> None:
    change(market)
    if reopened:
        market.reopen()
    market.quote(4, source="F", now=6, last=100)
    assert market.price(6) == (100, KNOWN)


def test_of_two_changes_the_later_instant_counts(market: Market) -> None:
    """A split that is recorded late does not bring back prices from before the redefinition."""
    redefined(multiplier=Decimal(5))(market)
    event = PositionAdjusted(symbol="ESZ5", quantity=Decimal(1), reason=AdjustmentReason.SPLIT)
    market.book.append("position/A/ESZ5", event, occurred_at=at_second(1))
    market.reopen()
    market.quote(4, now=10, last=100)
    assert market.price(10) == (None, UNKNOWN)
    market.quote(10, now=10, last=50)
    assert market.price(10) == (50, KNOWN)


def test_a_change_stated_for_a_time_to_come_keeps_out_no_price_after_it_was_recorded(market: Market) -> None:
    market.clock.set(at_second(5))
    event = PositionAdjusted(symbol="ESZ5", quantity=Decimal(1), reason=AdjustmentReason.SPLIT)
    market.book.append("position/A/ESZ5", event, occurred_at=at_second(6))
    market.reopen()
    market.quote(5.5, last=50)
    assert market.price(5.5) == (50, KNOWN)


@pytest.mark.parametrize("quoted_at", [0.5, 1.5, 2.5, 3.5])
def test_changes_of_a_log_that_is_read_late_are_applied_where_they_stand(
    market: Market, tmp_path: Path, quoted_at: float
) -> None:
    """A page's definitions are folded before its fills, which may lie between them."""
    market.define(**FULL)
    with eventstore.open(tmp_path, clock=market.clock) as other:
        for second, multiplier in ((2, 5), (4, 6)):
            market.clock.set(at_second(second - 1))
            # One of them has a time to come.
            trade = TradeExecuted(
                trade_id=f"T{second}", symbol="ESZ5", side=Side.BUY, quantity=Decimal(1), price=Decimal(100)
            )
            other.append(f"trade/A/T{second}", trade, occurred_at=at_second(second - 1 if second == 2 else 30))
            market.clock.set(at_second(second))
            definition = ContractDefined(symbol="ESZ5", **{**FULL, "multiplier": Decimal(multiplier)})
            other.append("contract/-/ESZ5", definition)
    market.book.refresh()
    assert market.price(5) == (None, UNKNOWN)
    market.quote(quoted_at, now=5, last=100)
    assert market.price(5) == (None, UNKNOWN)
    market.fill(6, 101, "T6")
    assert market.price(6) == (101, KNOWN)


@pytest.mark.parametrize("change", [split_under_an_alias, redefined(multiplier=Decimal(5))], ids=["split", "redefined"])
def test_a_change_of_a_contract_is_one_of_all_its_names(market: Market, change: Change) -> None:
    change(market)
    market.define("ESZ5", "@ES", **{**FULL, "multiplier": Decimal(5)})
    market.reopen()
    market.quote(4, "@ES", now=20, source="F", last=100)
    market.alive(20, "F")
    assert market.price(20) == (None, UNKNOWN)


def test_a_split_under_a_name_counts_for_the_contract_that_lists_it_next(market: Market) -> None:
    """Also where that contract was defined again after it, for an earlier time."""
    market.quote(0, last=100)
    market.define(**FULL)
    market.clock.set(at_second(5))
    split(market, "@ES")
    market.clock.set(at_second(6))
    definition = ContractDefined(symbol="ESZ5", **{**FULL, "multiplier": Decimal(5)})
    market.book.append("contract/-/ESZ5", definition, occurred_at=at_second(1))
    market.quote(4, now=7, last=100)
    assert market.price(7) == (100, KNOWN)
    market.define("ESZ5", "@ES", **{**FULL, "multiplier": Decimal(5)})
    assert market.price(7) == (None, UNKNOWN)


def test_a_split_under_a_name_that_a_contract_no_longer_has_leaves_its_prices(market: Market) -> None:
    market.define("ESZ5", "@1")
    market.define("NQZ5", "@1")
    market.define("NQZ5")
    market.clock.set(at_second(5))
    split(market, "@1")
    market.define("ESZ5")
    market.quote(4, now=6, last=100)
    assert market.price(6) == (100, KNOWN)


def test_a_name_that_meant_another_contract_takes_no_price_from_its_new_one(market: Market) -> None:
    market.define("NQZ5", "@1")
    market.clock.set(at_second(5))
    market.define("NQZ5")
    market.define("ESZ5", "@1")
    market.reopen()
    market.quote(4, now=6, last=100)
    assert market.price(6) == (100, KNOWN)


def test_an_adjustment_that_cannot_be_decoded_takes_no_contract_from_other_accounts(market: Market) -> None:
    """It parks the account's own views; the contracts are everybody's."""
    market.define(**FULL)
    split(market)
    store: Any = market.book.reader
    (record,) = store.read(after=1)
    book = projections.open(store)
    broken = msgspec.structs.replace(record, data=b"{", position=record.position + 1)
    book._fold.apply([broken])
    assert ("executions", "A") in book.parked
    assert not [pair for pair in book.parked if pair[1] == SHARED]
    assert book.contracts.get("ESZ5").multiplier == 50


def test_more_changes_than_are_kept_keep_out_prices_of_all_names_of_that_time(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was forgotten may have been of any name: none is believed."""
    monkeypatch.setattr(contracts, "REPRICINGS_MAX", 2)
    for number in range(4):
        market.clock.set(at_second(10 * number))
        split(market, f"S{number}")
    state: Any = market.book.state("contracts", SHARED)
    assert (len(state.repricings), state.forgotten.at) == (2, at_second(10))
    assert round_tripped(state, ContractsState) == state
    market.reopen()
    market.quote(9, "ESZ5", now=31, last=100)
    assert market.price(31) == (None, UNKNOWN)
    market.quote(11, "ESZ5", now=32, last=100, source="F")
    market.alive(32, "F")
    assert market.price(32) == (100, KNOWN)
