"""`why` of a figure: it is the book's, and the records listed add up to it, whatever the account's history is."""

# A Decimal equals the int that stands for it here, which mypy does not know of members of a tuple.
# mypy: disable-error-code="comparison-overlap"

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

import eventstore
import projections
from eventstore import EventStore, ManualClock, Record, StorageWarning, Unavailable
from eventstore.trading import (
    AccountOpened,
    AccountReopened,
    CashKind,
    CashMoved,
    ContractDefined,
    FeeCharged,
    LimitsSet,
    LockoutSet,
    PositionSide,
    Side,
    TradeBusted,
    TradeCorrected,
    TradeExecuted,
)
from projections import auditing
from projections.auditing import Role, Why
from projections.rotation import rotate
from projections.valuation import Status
from tests.projections.histories import history, store_of
from tests.projections.random_facts import ACCOUNTS
from tests.proving import rounds

START = "2025-11-19T14:00:00Z"
TOLERANCE = Decimal("1e-9")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    with eventstore.open(tmp_path / "data", clock=ManualClock(START)) as store:
        event = ContractDefined(symbol="ESZ5", multiplier=Decimal(50), currency="USD", broker_ids=("CON.ES",))
        store.append("contract/-/ESZ5", event)
        yield store


def trade(
    store: EventStore,
    trade_id: str,
    side: Side,
    price: int,
    *,
    quantity: int = 1,
    symbol: str = "ESZ5",
    position_side: PositionSide = PositionSide.NET,
) -> Record:
    event = TradeExecuted(
        trade_id=trade_id,
        symbol=symbol,
        side=side,
        quantity=Decimal(quantity),
        price=Decimal(price),
        position_side=position_side,
    )
    return store.append(f"trade/A/{trade_id}", event)[0]


def cash(store: EventStore, kind: CashKind, amount: int, currency: str = "USD") -> Record:
    event = CashMoved(kind=kind, amount=Decimal(amount), currency=currency)
    return store.append("account/A/-", event)[0]


def opened(store: EventStore) -> Record:
    return store.append("account/A/-", AccountOpened(starting_balance=Decimal(50_000), currency="USD"))[0]


def balance(store: EventStore) -> tuple[Decimal | None, Decimal | None, dict[int, Decimal]]:
    """Return the balance as `why` has it, what its records add up to, and what each of them added."""
    found = auditing.why(store, "balance", account="A")
    figure, *_ = found.figures
    book = projections.as_of(store, account="A")
    assert figure.amount == book.accounts.balance("A", "USD")
    assert found.unknown == ()
    return (
        figure.amount,
        figure.added,
        {each.record.position: each.amounts.get("USD", Decimal(0)) for each in found.causes},
    )


def named(found: Why) -> list[int]:
    return [each.record.position for each in found.causes if each.role is Role.NAMED]


def test_a_balance_rests_on_cash_from_outside_too(store: EventStore) -> None:
    start = opened(store)
    into, out = cash(store, CashKind.DEPOSIT, 500), cash(store, CashKind.WITHDRAWAL, 70)
    funding, foreign = cash(store, CashKind.FUNDING, -7), cash(store, CashKind.TRANSFER, 5, "EUR")
    amount, added, links = balance(store)
    assert (amount, added) == (50_423, 423)
    assert links == {
        start.position: 0,
        into.position: 500,
        out.position: -70,
        funding.position: -7,
        foreign.position: 0,
    }
    own, other = auditing.why(store, "balance", account="A").figures
    assert own.terms == {"starting_balance": "50000"}
    assert (other.amount, other.currency, other.added) == (5, "EUR", 5)


def test_a_balance_rests_on_all_since_the_account_began_not_since_its_program_started(store: EventStore) -> None:
    before, after = trade(store, "T1", Side.BUY, 5_000), trade(store, "T2", Side.SELL, 5_001)
    start = opened(store)
    trade(store, "T3", Side.BUY, 5_000)
    later = trade(store, "T4", Side.SELL, 5_002)
    opened(store)
    amount, added, links = balance(store)
    assert (amount, added) == (50_150, 150)
    assert [links[each.position] for each in (before, after, start, later)] == [0, 50, 0, 100]
    [mark] = [each for each in auditing.why(store, "balance", account="A").causes if each.role is Role.MARK]
    assert mark.record == start


def test_a_balance_of_a_reopened_account_rests_on_its_new_life_alone(store: EventStore) -> None:
    opened(store)
    cash(store, CashKind.DEPOSIT, 500)
    [again] = store.append("account/A/-", AccountReopened(starting_balance=Decimal(10_000)), actor="kim")
    funding = cash(store, CashKind.FUNDING, 3)
    assert balance(store) == (10_003, 3, {again.position: 0, funding.position: 3})


@pytest.mark.parametrize("is_limited", [False, True])
def test_results_of_an_account_that_nobody_opened_have_their_records(store: EventStore, is_limited: bool) -> None:
    first, second = trade(store, "T1", Side.BUY, 5_000), trade(store, "T2", Side.SELL, 5_001)
    if is_limited:
        store.append("limits/A/daily-loss", LimitsSet(rule_id="daily-loss", parameters={"limit": "1"}), actor="kim")
    found = auditing.why(store, "realized", account="A")
    assert (found.figures[0].amount, found.figures[0].added, found.unknown) == (50, 50, ())
    assert [(each.record, each.amounts) for each in found.causes] == [(first, {}), (second, {"USD": Decimal(50)})]
    assert balance(store)[:2] == (50, 50)


def test_both_sides_of_a_hedged_position_are_kept_apart(store: EventStore) -> None:
    long = trade(store, "T1", Side.BUY, 5_000, quantity=5, symbol="CON.ES", position_side=PositionSide.LONG)
    short = trade(store, "T2", Side.SELL, 5_000, quantity=2, position_side=PositionSide.SHORT)
    whole = auditing.why(store, "position/ESZ5", account="A")
    assert [(each.name, each.amount) for each in whole.figures] == [
        ("position/ESZ5/LONG", 5),
        ("position/ESZ5/SHORT", -2),
    ]
    assert whole.answer == "A: position/ESZ5/LONG 5; A: position/ESZ5/SHORT -2"
    assert [each.record for each in whole.causes] == [long, short]
    held = projections.as_of(store, account="A").positions
    for side, record in ((PositionSide.LONG, long), (PositionSide.SHORT, short)):
        one = auditing.why(store, held.get("A", "ESZ5", side))
        assert one == auditing.why(store, f"position/ESZ5/{side}", account="A")
        assert [each.amount for each in one.figures] == [held.get("A", "ESZ5", side).quantity]
        assert [each.record for each in one.causes] == [record]


def test_a_position_that_there_never_was_says_so_where_no_contract_has_its_name(store: EventStore) -> None:
    trade(store, "T1", Side.BUY, 1, symbol="BTC/USD")
    for name, amount, unknown in (
        ("position/ESZ5", 0, ()),
        ("position/CON.ES", 0, ()),
        ("position/BTC/USD", 1, ()),
        ("position/BTC%2FUSD", 1, ()),
        ("position/ESX5", 0, ("A has traded nothing by the name 'ESX5', and no contract has it",)),
    ):
        found = auditing.why(store, name, account="A")
        assert ([each.amount for each in found.figures], found.unknown) == ([amount], unknown)


def test_what_comes_later_of_a_trade_names_that_trade_alone(store: EventStore) -> None:
    first = trade(store, "T1", Side.BUY, 5_000, quantity=2)
    second = trade(store, "T1", Side.SELL, 6_000)
    other = trade(store, "T1", Side.SELL, 24_000, symbol="NQZ5")
    corrected = TradeCorrected(
        trade_id="T1", symbol="ESZ5", side=Side.BUY, quantity=Decimal(3), price=Decimal(5_000), correction_id="C1",
        previous_quantity=Decimal(2), previous_price=Decimal(5_000),
    )  # fmt: skip
    [correction] = store.append("trade/A/T1", corrected)
    bust = TradeBusted(trade_id="C1", symbol="CON.ES", side=Side.BUY, quantity=Decimal(3), price=Decimal(5_000))
    [busted] = store.append("trade/A/T1", bust)
    [fee] = store.append("fee/A/T1", FeeCharged(trade_id="T1", amount=Decimal(1), symbol="NQZ5"))
    [unknown] = store.append("fee/A/T1", FeeCharged(trade_id="T1", amount=Decimal(1), symbol="CLZ5"))
    assert named(auditing.why(store, correction)) == [first.position]
    assert named(auditing.why(store, busted)) == [first.position]
    assert named(auditing.why(store, fee)) == [other.position]
    none = auditing.why(store, unknown)
    assert (named(none), none.unknown) == (
        [],
        (f"no trade 'T1' in CLZ5 is known before position {unknown.position}",),
    )
    assert second.position not in named(auditing.why(store, busted))


def test_a_bust_by_the_id_of_a_correction_is_among_what_made_the_result(store: EventStore) -> None:
    opened(store)
    trade(store, "T1", Side.BUY, 5_000)
    trade(store, "T2", Side.SELL, 5_010)
    corrected = TradeCorrected(trade_id="T2", quantity=Decimal(1), price=Decimal(5_020), correction_id="C2")
    [correction] = store.append("trade/A/T2", corrected)
    [bust] = store.append("trade/A/T2", TradeBusted(trade_id="C2"))
    found = auditing.why(store, "realized", account="A")
    assert [each.record for each in found.causes if each.role is Role.AMENDMENT] == [correction, bust]


def test_every_balance_and_position_is_the_book_s_and_adds_up() -> None:
    for seed in rounds("figures that why explains", test=3, prove=1_000):
        store = store_of(history(random.Random(seed), 60))
        for position in (store.head() // 2, store.head()):
            book = projections.as_of(store, position=position)
            [last] = store.read(after=position - 1, until=position)
            for account in ACCOUNTS:
                if book.accounts.get(account) is None and not book.positions.of(account):
                    continue
                found = auditing.why(store, "balance", account=account, at=last.recorded_at)
                for figure in found.figures:
                    if figure.status is not Status.KNOWN:
                        continue
                    assert figure.amount is not None
                    assert figure.added is not None
                    assert figure.amount == book.accounts.balance(account, figure.currency)
                    started = Decimal(figure.terms.get("starting_balance", 0))
                    assert abs(figure.amount - started - figure.added) < TOLERANCE, (seed, position, account)
                for held in book.positions.of(account):
                    of = auditing.why(store, held, at=last.recorded_at)
                    assert held.quantity in {each.amount for each in of.figures}, (seed, position, held)


def test_results_of_before_a_rotation_have_their_records_where_that_log_is_here(tmp_path: Path) -> None:
    path = tmp_path / "rotated"
    with eventstore.open(path, clock=ManualClock(START)) as store:
        store.append("contract/-/ESZ5", ContractDefined(symbol="ESZ5", multiplier=Decimal(50), currency="USD"))
        trade(store, "T1", Side.BUY, 5_000)
        first = trade(store, "T2", Side.SELL, 5_001)
        rotate(store)
    with eventstore.open(path, clock=ManualClock("2025-11-20T14:00:00Z")) as store:
        trade(store, "T3", Side.BUY, 5_000)
        second = trade(store, "T4", Side.SELL, 5_002)
        amount, added, links = balance(store)
        assert (amount, added) == (150, 150)
        assert [links[each.position] for each in (first, second)] == [50, 100]
    shutil.move(path / "main", tmp_path / "elsewhere")
    with pytest.warns(StorageWarning):
        store = eventstore.open(path, log="main.2", read_only=True)
    with store:
        with pytest.raises(Unavailable, match="are in log main"):
            auditing.why(store, "balance", account="A")
        found = auditing.why(store, "realized", account="A")
        assert (found.figures[0].amount, found.figures[0].added) == (100, 0)
        assert any("add up to 0 instead of 100" in each for each in found.unknown)


def test_results_in_several_currencies_are_figures_of_their_own(store: EventStore) -> None:
    opened(store)
    store.append("contract/-/FDAX", ContractDefined(symbol="FDAX", multiplier=Decimal(25), currency="EUR"))
    limits = LimitsSet(rule_id="daily-loss", parameters={"limit": "500"})
    store.append("limits/A/daily-loss", limits, actor="kim")
    trade(store, "T1", Side.BUY, 100, symbol="FDAX")
    trade(store, "T2", Side.SELL, 90, symbol="FDAX")
    for name, own in (("realized", 0), ("balance", 50_000)):
        found = auditing.why(store, name, account="A")
        assert [(each.amount, each.currency) for each in found.figures] == [(own, "USD"), (-250, "EUR")]
        assert [each.added for each in found.figures] == [0, -250]
    [figure] = auditing.why(store, "daily-loss", account="A").figures
    assert figure.added is None
    details = {"realized": "-275", "currency": "USD", "trading_day": "2025-11-19", "figure": "-275", "limit": "500"}
    event = LockoutSet(rule_id="daily-loss", reason="loss", details=details)
    [lockout] = store.append("lockout/A/daily-loss", event, actor="policy:daily-loss")
    decided = auditing.why(store, lockout)
    assert [each.added for each in decided.figures] == [None]
    assert "A: its records added -250 EUR as well, and currencies are not added up here" in decided.unknown
    assert not any("the rest has no record here" in each for each in decided.unknown)
