"""Exposure rules: working orders count with their worst case; blocks and blackouts lock as long as they last."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

import projections
from eventstore import EventStore, InvalidEvent, ManualClock
from eventstore.clock import to_ns
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import (
    AccountOpened,
    Allows,
    BlackoutCanceled,
    BlackoutScheduled,
    CashKind,
    CashMoved,
    ContractDefined,
    EnforcementAction,
    LimitsSet,
    LockoutCleared,
    LockoutSet,
    OrderCanceled,
    OrderFilled,
    OrderSubmitted,
    PositionSide,
    Side,
)
from eventstore.trading import lockouts as scopes
from projections import Book
from projections.risk.caches import risk_cache
from projections.risk.limits.while_in_breach import scopes_of
from projections.risk.policies import Policies
from projections.rules import shipped_rules
from projections.sessions import Calendar

SECOND = 1_000_000_000
HOUR = 3_600 * SECOND
RESET_TIME = datetime(2025, 1, 1, 17, tzinfo=UTC).time()
CHICAGO = Calendar(zone="America/Chicago", open=RESET_TIME, reset=RESET_TIME)
NOON = to_ns(datetime(2025, 7, 21, 17, tzinfo=UTC))
RESET = to_ns(datetime(2025, 7, 21, 22, tzinfo=UTC))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
def book(clock: ManualClock) -> Iterator[Book]:
    store = EventStore(MemoryJournal(clock=clock), clock=clock)
    with projections.open(store, calendars=CHICAGO) as book:
        book.append("account/A/-", AccountOpened(starting_balance=Decimal(50_000), currency="USD"))
        for symbol, root, worth in (("ESZ5", "ES", 50), ("MESZ5", "MES", 5)):
            contract = ContractDefined(
                symbol=symbol, root=root, multiplier=Decimal(worth), currency="USD", broker_ids=(f"B.{symbol}",)
            )
            book.append(f"contract/-/{symbol}", contract)
        yield book


@pytest.fixture
def policies(book: Book) -> Iterator[Policies]:
    policies = Policies(book, shipped_rules()).start(ticking=False)
    yield policies
    assert policies.is_caught_up
    policies.stop()


def limit(book: Book, rule_id: str, **parameters: Any) -> None:  # noqa: ANN401 - any parameters
    book.append(f"limits/A/{rule_id}", LimitsSet(rule_id=rule_id, parameters=parameters), actor="tester")


def order(book: Book, quantity: int, symbol: str = "ESZ5", **more: Any) -> str:  # noqa: ANN401 - any of an order's
    name = f"O{book.position}"
    side = Side.BUY if quantity > 0 else Side.SELL
    event = OrderSubmitted(symbol=symbol, side=side, quantity=Decimal(abs(quantity)), **more)
    book.append(f"order/A/{name}", event)
    return name


def hold(book: Book, quantity: int, symbol: str = "ESZ5", **more: Any) -> None:  # noqa: ANN401 - any of a fill's
    side = Side.BUY if quantity > 0 else Side.SELL
    event = OrderFilled(
        trade_id=f"T{book.position}",
        symbol=symbol,
        side=side,
        quantity=Decimal(abs(quantity)),
        price=Decimal(100),
        **more,
    )
    book.append(f"order/A/F{book.position}", event)


def locks(book: Book) -> list[tuple[str, int | None]]:
    return [(lockout.scope, lockout.until) for lockout in book.lockouts.active("A", book.now_ns())]


# Contracts


def worst_cases(book: Book) -> dict[str, Decimal]:
    worst = risk_cache(book, "A", book.now_ns()).confirmed_exposure.worst_case
    return {symbol: most for symbol, most in worst.items() if most}


@pytest.mark.parametrize(
    ("held", "orders", "worst"),
    [
        (0, [], None),
        (3, [], 3),
        (-3, [], 3),
        (0, [2, 3], 5),
        (0, [2, -3], 3),
        (3, [2, -4], 5),
        (3, [-8], 5),
        (-3, [-2], 5),
        (-3, [2], 3),
        (-3, [9], 6),
    ],
)
def test_working_orders_count_with_their_worst_case(
    book: Book, held: int, orders: list[int], worst: int | None
) -> None:
    if held:
        hold(book, held)
    for quantity in orders:
        order(book, quantity)
    assert worst_cases(book) == ({} if worst is None else {"ESZ5": Decimal(worst)})


def test_reduce_only_orders_and_closing_a_side_add_nothing(book: Book) -> None:
    hold(book, 2)
    order(book, -9, reduce_only=True)
    assert worst_cases(book) == {"ESZ5": Decimal(2)}
    hold(book, 3, "MESZ5", position_side=PositionSide.LONG)
    order(book, -3, "MESZ5", position_side=PositionSide.LONG)
    hold(book, -1, "MESZ5", position_side=PositionSide.SHORT)
    order(book, -4, "MESZ5", position_side=PositionSide.SHORT)
    assert worst_cases(book) == {"ESZ5": Decimal(2), "MESZ5": Decimal(8)}


def test_a_broker_s_symbol_is_the_same_contract(book: Book) -> None:
    hold(book, 2)
    order(book, 1, "B.ESZ5")
    assert worst_cases(book) == {"ESZ5": Decimal(3)}


def test_exceeding_the_limit_locks_and_requests_a_reduction(book: Book, policies: Policies) -> None:
    limit(book, "maximum-contracts", limit=5)
    hold(book, 5)
    assert locks(book) == []
    hold(book, 1)
    [lockout] = book.lockouts.active("A", NOON)
    assert (lockout.allows, lockout.until, lockout.revocable) == (Allows.REDUCE_ONLY, RESET, True)
    assert lockout.reason.startswith("maximum contracts 6 of 5, working orders counted, reached; locked until 2025-")
    [request] = book.enforcement.pending("A")
    assert (request.action, request.symbol, request.quantity) == (EnforcementAction.REDUCE_TO, "ESZ5", Decimal(5))


def test_the_lockout_is_cleared_once_the_limit_is_no_longer_exceeded(book: Book, policies: Policies) -> None:
    limit(book, "maximum-contracts", limit=5)
    hold(book, 4)
    working = order(book, 2)
    assert len(locks(book)) == 1
    book.append(f"order/A/{working}", OrderCanceled())
    assert locks(book) == []
    order(book, 2)
    assert len(locks(book)) == 1
    hold(book, -1)
    assert locks(book) == []


def test_an_irrevocable_lockout_lasts_until_the_reset(book: Book, policies: Policies, clock: ManualClock) -> None:
    limit(book, "maximum-contracts", limit=1, revocable=False)
    hold(book, 2)
    hold(book, -2)
    assert locks(book) == [("account", RESET)]
    assert [record.event for record in book.read(types=(LockoutCleared,))] == []
    clock.advance(RESET - NOON)
    policies.tick()
    assert locks(book) == []


@pytest.mark.parametrize("name", ["MES", "MESZ5", "B.MESZ5"])
def test_micros_weigh_a_tenth(book: Book, policies: Policies, name: str) -> None:
    limit(book, "maximum-contracts", limit=2, weights={name: "0.1"})
    hold(book, 20, "MESZ5")
    assert locks(book) == []
    hold(book, 1, "MESZ5")
    [request] = book.enforcement.pending("A")
    assert (request.symbol, request.quantity) == ("MESZ5", Decimal(20))


def test_several_symbols_are_summed_by_weight(book: Book, policies: Policies) -> None:
    limit(book, "maximum-contracts", limit=2, weights={"MES": "0.1"})
    hold(book, 2)
    hold(book, 1, "MESZ5")
    [request] = book.enforcement.pending("A")
    assert (request.symbol, request.quantity) == (None, Decimal(2))
    [lockout] = book.lockouts.active("A", NOON)
    assert isinstance(lockout.details, dict)
    assert (lockout.details["figure"], lockout.details["contracts"]) == ("2.1", {"ESZ5": "2", "MESZ5": "1"})


def test_the_limit_grows_and_shrinks_with_the_balance(book: Book, policies: Policies) -> None:
    limit(book, "maximum-contracts", limit=1, scaling=[["50000", "2"], ["52000", "3"]])
    hold(book, 2)
    assert locks(book) == []
    book.append("account/A/-", CashMoved(amount=Decimal(2_000), currency="USD", kind=CashKind.DEPOSIT))
    hold(book, 1)
    assert locks(book) == []
    book.append("account/A/-", CashMoved(amount=Decimal(1), currency="USD", kind=CashKind.WITHDRAWAL))
    assert locks(book) == [("account", RESET)]


def test_an_unknown_balance_allows_the_fewest_contracts(book: Book, policies: Policies) -> None:
    limit(book, "maximum-contracts", limit=2, scaling=[["0", "1"], ["50000", "3"]])
    for number, price in ((1, 100), (-1, 101)):
        side = Side.BUY if number > 0 else Side.SELL
        trade = OrderFilled(trade_id=side, symbol="XX", side=side, quantity=Decimal(1), price=Decimal(price))
        book.append("order/A/X", trade)
    hold(book, 1)
    assert locks(book) == []
    hold(book, 1)
    assert len(locks(book)) == 1


# Symbols


def test_a_blocked_symbol_is_locked_while_the_limit_names_it(
    book: Book, policies: Policies, clock: ManualClock
) -> None:
    for symbol in ("NQZ5", "MESZ5"):
        book.append(f"contract/-/{symbol}", ContractDefined(symbol=symbol, root=symbol[:-2]))
    limit(book, "symbol-block", symbols=["ESZ5", "NQ"])
    assert locks(book) == [("symbol:ESZ5", None), ("symbol:NQ", None), ("root:NQ", None)]
    assert [lockout.allows for lockout in book.lockouts.active("A", NOON, "B.ESZ5")] == [Allows.REDUCE_ONLY]
    assert len(book.lockouts.active("A", NOON, "NQZ5")) == 1
    assert book.lockouts.active("A", NOON, "MESZ5") == ()
    limit(book, "symbol-block", symbols=["NQ"])
    policies.tick()
    assert ("symbol:ESZ5", None) in locks(book)
    clock.advance(RESET - NOON)
    policies.tick()
    policies.tick()
    assert locks(book) == [("symbol:NQ", None), ("root:NQ", None)]
    [cleared] = book.read(types=(LockoutCleared,))
    assert (cleared.event.by, cleared.event.scope) == ("symbol-block", "symbol:ESZ5")  # type: ignore[attr-defined]


def test_a_block_cleared_by_hand_is_set_again(book: Book, policies: Policies) -> None:
    limit(book, "symbol-block", symbols=["ESZ5"])
    for _ in range(2):
        book.append("lockout/A/symbol-block", LockoutCleared(by="somebody"))
        assert locks(book) == [("symbol:ESZ5", None)]


def test_a_lockout_set_by_hand_is_left_alone(book: Book, policies: Policies) -> None:
    book.append("lockout/A/symbol-block", LockoutSet(rule_id="symbol-block", scope="symbol:ESZ5"))
    limit(book, "symbol-block", symbols=["NQ"])
    policies.tick()
    assert locks(book) == [("symbol:ESZ5", None), ("symbol:NQ", None), ("root:NQ", None)]


@pytest.mark.parametrize(
    ("name", "scopes"),
    [
        ("ESZ5", ["symbol:ESZ5"]),
        ("B.ESZ5", ["symbol:B.ESZ5"]),
        ("ES", ["symbol:ES", "root:ES"]),
        ("NQH26", ["symbol:NQH26", "root:NQH26"]),
        ("AAPL", ["symbol:AAPL", "root:AAPL"]),
    ],
)
def test_a_name_is_a_symbol_or_possibly_a_root(book: Book, name: str, scopes: list[str]) -> None:
    assert scopes_of(book, name) == scopes


# Blackouts


def blackout(start: int, stop: int, *symbols: str, reason: str = "FOMC") -> BlackoutScheduled:
    return BlackoutScheduled(start=start, stop=stop, symbols=symbols, source="calendar", reason=reason)


@pytest.mark.parametrize("account", ["A", "-"])
def test_a_blackout_locks_from_its_start_until_its_stop(
    book: Book, policies: Policies, clock: ManualClock, account: str
) -> None:
    limit(book, "blackout")
    book.append(f"blackout/{account}/fomc", blackout(NOON + HOUR, NOON + 2 * HOUR))
    clock.advance(HOUR - 1)
    policies.tick()
    assert locks(book) == []
    clock.advance(1)
    policies.tick()
    policies.tick()
    [lockout] = book.lockouts.active("A", book.now_ns())
    assert (lockout.scope, lockout.until, lockout.allows) == ("account", NOON + 2 * HOUR, Allows.REDUCE_ONLY)
    assert lockout.reason == "blackout FOMC reached; locked until 2025-07-21 14:00 CDT"
    clock.advance(HOUR)
    policies.tick()
    assert locks(book) == []
    assert len(list(book.read(types=(LockoutSet,)))) == 1


def test_a_blackout_of_symbols_locks_only_these(book: Book, policies: Policies) -> None:
    limit(book, "blackout")
    book.append("blackout/A/eia", blackout(NOON, NOON + HOUR, "CL", "ESZ5"))
    assert locks(book) == [(scope, NOON + HOUR) for scope in ("symbol:CL", "root:CL", "symbol:ESZ5")]


def test_one_of_an_old_log_that_names_no_symbol_stops_nothing(
    book: Book, policies: Policies, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit(book, "blackout")
    with monkeypatch.context() as earlier:
        earlier.setattr(scopes, "is_instrument", lambda _name: True)
        book.append("blackout/A/old", blackout(NOON, NOON + HOUR, "", "CL "))
    assert (locks(book), dict(policies.stopped)) == ([], {})
    book.append("blackout/A/new", blackout(NOON, NOON + HOUR, "CL"))
    assert locks(book) == [(scope, NOON + HOUR) for scope in ("symbol:CL", "root:CL")]


@pytest.mark.parametrize("name", ["", " ", "ES ", " ES", "ES\n"])
def test_a_block_of_what_can_be_no_symbol_is_refused(book: Book, name: str) -> None:
    with pytest.raises(InvalidEvent, match="expected the name of a symbol or root"):
        limit(book, "symbol-block", symbols=["NQ", name])


def test_a_canceled_blackout_no_longer_locks(book: Book, policies: Policies, clock: ManualClock) -> None:
    limit(book, "blackout")
    book.append("blackout/A/fomc", blackout(NOON, NOON + HOUR))
    assert len(locks(book)) == 1
    clock.advance(SECOND)
    book.append("blackout/A/fomc", BlackoutCanceled())
    assert locks(book) == []


@pytest.mark.parametrize("names", [["short", "long"], ["long", "short"]])
def test_of_two_blackouts_the_remaining_one_still_locks(
    book: Book, policies: Policies, clock: ManualClock, names: list[str]
) -> None:
    limit(book, "blackout")
    for name in names:
        book.append(f"blackout/A/{name}", blackout(NOON, NOON + {"short": 1, "long": 2}[name] * HOUR))
    assert locks(book) == [("account", NOON + 2 * HOUR)]
    clock.advance(SECOND)
    book.append("blackout/A/long", BlackoutCanceled())
    policies.tick()
    assert locks(book) == [("account", NOON + HOUR)]


@pytest.mark.parametrize("account", ["A", "-"])
def test_a_blackout_scheduled_again_after_it_was_canceled_locks_again(
    book: Book, policies: Policies, clock: ManualClock, account: str
) -> None:
    limit(book, "blackout")
    for _ in range(3):
        book.append(f"blackout/{account}/fomc", blackout(NOON, NOON + HOUR))
        policies.tick()
        assert len(locks(book)) == 1
        clock.advance(SECOND)
        book.append(f"blackout/{account}/fomc", BlackoutCanceled())
        policies.tick()
        assert locks(book) == []


def test_without_a_blackout_limit_a_blackout_locks_nothing(book: Book, policies: Policies) -> None:
    book.append("blackout/A/fomc", blackout(NOON, NOON + HOUR))
    policies.tick()
    assert locks(book) == []


def test_the_shipped_rules_have_unique_names() -> None:
    names = [policy.name for policy in shipped_rules()]
    assert len(set(names)) == len(names) == 21
