"""The same executions in another file: found whatever their ids, refused, and counted once if that is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path

import pytest

import projections
from eventstore import EventStore
from eventstore.clock import NANOSECONDS, parse_time
from eventstore.streams import stream_of
from eventstore.trading import (
    ContractDefined,
    FeeCharged,
    OrderCanceled,
    OrderFilled,
    OrderStatus,
    OrderSubmitted,
    OrderType,
    Side,
    TradeBusted,
    TradeCorrected,
    TradeExecuted,
)
from gateways.importers import BadRow, import_file, read_plan
from gateways.importers.alongside import Alongside, KnownElsewhere, counted_once, known_executions
from gateways.importers.base import PlannedEvent
from gateways.importers.contract_names import ContractNames
from gateways.importers.contracts import builtin_table
from gateways.importers.definitions import known_contracts
from gateways.importers.runner import append_plan

Write = Callable[..., Path]

TRADES = "Id,ContractName,EnteredAt,ExitedAt,EntryPrice,ExitPrice,Fees,PnL,Size,Type"
TRIPS = (
    "11,MNQH6,03/02/2026 09:30:00 -06:00,03/02/2026 09:35:00 -06:00,21000.00,21010.00,0.74,20.00,1,Long",
    "12,MNQH6,03/02/2026 09:30:00 -06:00,03/02/2026 09:35:01 -06:00,21000.00,21012.00,1.48,48.00,2,Long",
)
ORDERS = (
    "Id,AccountName,ContractName,Status,Type,Size,Side,CreatedAt,TradeDay,FilledAt,CancelledAt,StopPrice,LimitPrice,"
    "ExecutePrice,PositionDisposition,CreationDisposition,RejectionReason,ExchangeOrderId,PlatformOrderId"
)
OPENING, CLOSING = "Opening,Trader,,,", "Closing,Trader,,,"
ENTRY = f"91,A1,MNQH26,Filled,Market,3,Bid,03/02/2026 09:29:59 -06:00,,03/02/2026 09:30:00 -06:00,,,,21000.00,{OPENING}"
# 1 at 21010 and 2 at 21012 are 3 at 21011.333…
EXIT = (
    "92,A1,MNQH26,Filled,Limit,3,Ask,03/02/2026 09:34:00 -06:00,,03/02/2026 09:35:01 -06:00,,,21010,"
    f"21011.333333333,{CLOSING}"
)
CANCELED = (
    f"93,A1,MNQH26,Cancelled,Stop,3,Ask,03/02/2026 09:30:01 -06:00,,,03/02/2026 09:35:01 -06:00,20990,,,{CLOSING}"
)
AT = parse_time("2026-03-02T15:30:00Z")


def import_alongside(store: EventStore, path: Path, format: str, account: str | None = None) -> Alongside:
    known = known_contracts(store)
    plan = read_plan(path, format, known, account=account)
    found = known_executions(store, plan.items, ContractNames(builtin_table(), known), format)
    found.refuse_doubtful(path.name)
    plan.items = list(counted_once(plan.items, found))
    append_plan(store, plan)
    return found


def check_both_trips(store: EventStore) -> None:
    with projections.open(store) as book:
        position = book.positions.get("A1", "MNQH6")
        assert (position.quantity, position.realized, position.fees) == (Decimal(0), Decimal(68), Decimal("2.22"))
        assert not position.anomalies
        orders = [book.orders.get("A1", name) for name in ("91", "92", "93")]
        statuses = [None if order is None else order.status for order in orders]
        assert statuses == [OrderStatus.FILLED, OrderStatus.FILLED, OrderStatus.CANCELED]
        assert book.orders.open("A1") == ()


class TestTopstepx:
    def test_trades_beside_orders_are_refused_and_nothing_is_written(self, store: EventStore, write: Write) -> None:
        import_file(store, write("trades.csv", TRADES, *TRIPS), "topstepx-trades", account="A1")
        head, path = store.head(), write("orders.csv", ORDERS, ENTRY, EXIT, CANCELED)
        plan = read_plan(path, "topstepx-orders", known_contracts(store))
        names = ContractNames(builtin_table(), known_contracts(store))
        found = known_executions(store, plan.items, names, "topstepx-orders")
        with pytest.raises(KnownElsewhere) as caught:
            found.refuse(path.name)
        assert (caught.value.file, caught.value.line, caught.value.count) == ("orders.csv", 2, 2)
        assert "--alongside" in str(caught.value)
        assert "import topstepx-trades trades.csv" in str(caught.value)
        assert store.head() == head

    def test_orders_after_trades_are_counted_once_and_filled(self, store: EventStore, write: Write) -> None:
        import_file(store, write("trades.csv", TRADES, *TRIPS), "topstepx-trades", account="A1")
        path = write("orders.csv", ORDERS, ENTRY, EXIT, CANCELED)
        assert import_alongside(store, path, "topstepx-orders").count == 2
        check_both_trips(store)
        head = store.head()
        assert import_alongside(store, path, "topstepx-orders").count == 2
        assert store.head() == head

    def test_trades_after_orders_bring_the_costs(self, store: EventStore, write: Write) -> None:
        import_file(store, write("orders.csv", ORDERS, ENTRY, EXIT, CANCELED), "topstepx-orders")
        path = write("trades.csv", TRADES, *TRIPS)
        assert import_alongside(store, path, "topstepx-trades", "A1").count == 4
        with projections.open(store) as book:
            position = book.positions.get("A1", "MNQH6")
            assert (round(position.realized, 6), position.fees) == (Decimal(68), Decimal("2.22"))
            assert len(book.trades.of("A1")) == 2
        head = store.head()
        import_alongside(store, path, "topstepx-trades", "A1")
        assert store.head() == head

    def test_a_file_again_is_not_known_from_elsewhere(self, store: EventStore, write: Write) -> None:
        import_file(store, write("trades.csv", TRADES, *TRIPS), "topstepx-trades", account="A1")
        assert import_alongside(store, write("more.csv", TRADES, *TRIPS), "topstepx-trades", "A1") == Alongside()

    def test_another_account_or_day_is_not_the_same(self, store: EventStore, write: Write) -> None:
        import_file(store, write("trades.csv", TRADES, *TRIPS), "topstepx-trades", account="A2")
        assert not import_alongside(store, write("orders.csv", ORDERS, ENTRY), "topstepx-orders").matches
        later = ENTRY.replace("03/02/2026", "03/03/2026").replace("91,A1", "94,A2")
        assert not import_alongside(store, write("later.csv", ORDERS, later), "topstepx-orders").matches


class TestFound:
    """Executions of a plan against those of a log, built by hand: buy 1 at 21000 at AT if nothing else is said."""

    def known(
        self, store: EventStore, trade_id: str, quantity: str = "1", price: str = "21000", at: int = AT, **more: object
    ) -> None:
        note = str(more.pop("note", ""))
        event = trade(trade_id, quantity, price, **more)  # type: ignore[arg-type] # as the members of the event
        store.append(stream_of("trade", "A1", trade_id), event, key=trade_id, occurred_at=at, note=note)

    def found(self, store: EventStore, *items: PlannedEvent, format: str = "fills") -> Alongside:
        return known_executions(store, items, ContractNames(builtin_table(), known_contracts(store)), format)

    def test_one_by_one_by_second_quantity_price_contract_and_side(self, store: EventStore) -> None:
        contract = ContractDefined(symbol="MNQH26", multiplier=Decimal(2), currency="USD", broker_ids=("MNQH6",))
        store.append("contract/-/MNQH26", contract, occurred_at=AT)
        self.known(store, "K1", at=AT + 772_000_000, symbol="MNQH26")
        same = planned("F1")
        others = [
            *(planned("F2", quantity="2"), planned("F3", price="21000.25"), planned("F4", at=AT + 2 * NANOSECONDS)),
            *(planned("F5", side=Side.SELL), planned("F6", symbol="MNQM6"), planned("F7", account="A2")),
        ]
        assert ids(self.found(store, *others, same)) == [(["F1"], ["K1"])]
        assert self.found(store, *others).matches == ()

    def test_each_is_matched_once(self, store: EventStore) -> None:
        self.known(store, "K1")
        self.known(store, "K2")
        found = self.found(store, planned("K2"), planned("F1"), planned("F3"))
        assert sorted(ids(found)) == [(["F1"], ["K1"]), (["K2"], ["K2"])]
        assert found.doubtful == ()

    def test_a_time_that_was_rounded_up_to_the_second(self, store: EventStore) -> None:
        self.known(store, "K1", at=AT + 772_000_000)
        assert ids(self.found(store, planned("F1", at=AT + NANOSECONDS))) == [(["F1"], ["K1"])]
        assert ids(self.found(store, planned("F1", at=AT + NANOSECONDS + 1_000_000))) == []

    def test_parts_of_an_execution_at_one_price(self, store: EventStore) -> None:
        self.known(store, "K1", "3")
        assert ids(self.found(store, planned("F1", "1"), planned("F2", "2"))) == [(["F1", "F2"], ["K1"])]
        assert ids(self.found(store, planned("K1", "2"))) == [(["K1"], ["K1"])]
        assert ids(self.found(store, planned("F1", "1"), planned("F2", "2"), planned("F3", "4"))) == [
            (["F1", "F2"], ["K1"])
        ]

    def test_an_average_price_of_several(self, store: EventStore) -> None:
        self.known(store, "K0", "5", "20999", AT - 60 * NANOSECONDS)
        self.known(store, "K1", "1", "21000", AT - 2 * NANOSECONDS)
        self.known(store, "K2", "2", "21001", AT - NANOSECONDS)
        self.known(store, "K3", "3", "21002", AT)
        self.known(store, "K4", "1", "21003", AT + NANOSECONDS)
        assert ids(self.found(store, planned("F1", "6", "21001.33"))) == [(["F1"], ["K3", "K2", "K1"])]
        assert ids(self.found(store, planned("F1", "4", "21002.25"))) == [(["F1"], ["K3", "K4"])]
        assert ids(self.found(store, planned("F1", "6", "21001.35"))) == []
        assert ids(self.found(store, planned("F1", "6", "21001.33", at=AT + 5 * NANOSECONDS))) == []

    def test_an_average_price_of_some_of_a_second(self, store: EventStore) -> None:
        for trade_id, quantity, price in (("K1", "1", "21000"), ("K2", "2", "21005"), ("K3", "1", "21002")):
            self.known(store, trade_id, quantity, price)
        assert ids(self.found(store, planned("F1", "2", "21001"))) == [(["F1"], ["K1", "K3"])]

    def test_what_the_log_has_by_its_own_id_is_not_known_from_elsewhere(self, store: EventStore) -> None:
        item = planned("F1")
        store.append(item.stream, item.event, key=item.key, occurred_at=AT, note="import other file.csv")
        assert ids(self.found(store, item, planned("F2"))) == []

    def test_the_parts_of_an_average_price(self, store: EventStore) -> None:
        self.known(store, "K1", "3", "21001")
        parts = (
            planned("F1", "1", "21003", at=AT - NANOSECONDS),
            planned("F2", "2", "21000"),
            planned("F3", "7", "21000", at=AT + 9 * NANOSECONDS),
        )
        assert ids(self.found(store, *parts)) == [(["F2", "F1"], ["K1"])]

    def test_other_ids_of_the_same_source_are_other_executions(self, store: EventStore) -> None:
        self.known(store, "101", note="import fills first.csv")
        self.known(store, "row-0123456789abcdef01234567-1", price="1", note="import fills first.csv")
        assert ids(self.found(store, planned("102"))) == []
        assert ids(self.found(store, planned("102"), format="tradovate-fills")) == [(["102"], ["101"])]
        assert ids(self.found(store, planned("X102"))) == [(["X102"], ["101"])]
        assert ids(self.found(store, planned("102", price="1"))) == [(["102"], ["row-0123456789abcdef01234567-1"])]

    def test_what_was_undone_or_corrected_is_as_it_is_now(self, store: EventStore) -> None:
        self.known(store, "K1")
        self.known(store, "K2", price="21005")
        store.append("trade/A1/K1", TradeBusted(trade_id="K1", symbol="MNQH6"))
        store.append(
            "trade/A1/K2", TradeCorrected(trade_id="K2", quantity=Decimal(1), price=Decimal(21007), symbol="MNQH6")
        )
        store.append("trade/A1/K2", TradeBusted(trade_id="K2", symbol="ESH6"))
        assert ids(self.found(store, planned("F1"), planned("F2", price="21005"), planned("F3", price="21007"))) == [
            (["F3"], ["K2"])
        ]

    def test_an_execution_that_the_log_has_in_two_streams_is_one(self, store: EventStore) -> None:
        self.known(store, "K1")
        store.append(
            "order/A1/7",
            OrderFilled(trade_id="K1", symbol="MNQH6", side=Side.BUY, quantity=Decimal(1), price=Decimal(21000)),
            occurred_at=AT,
        )
        assert ids(self.found(store, planned("F1"), planned("F2"))) == [(["F1"], ["K1"])]

    def test_what_may_be_the_same_in_part_is_refused(self, store: EventStore) -> None:
        self.known(store, "K1")
        self.known(store, "K2", "2", "21000", AT + NANOSECONDS)
        found = self.found(store, planned("F1"), planned("F2", "3", "21001", at=AT + NANOSECONDS))
        assert [item.key for item, _ in found.doubtful] == ["F2"]
        with pytest.raises(BadRow, match="may be the same as the execution at position 2") as caught:
            found.refuse_doubtful("fills.csv")
        assert caught.value.line == 2
        # In a file that has nothing of the log's otherwise, it is a coincidence.
        alone = self.found(store, planned("F2", "3", "21001", at=AT + NANOSECONDS))
        alone.refuse("fills.csv")
        alone.refuse_doubtful("fills.csv")

    def test_costs_are_charged_once(self, store: EventStore) -> None:
        self.known(store, "K1")
        self.known(store, "K2", price="21001", fee=Decimal("0.50"))
        self.known(store, "K3", price="21002")
        store.append("trade/A1/K3", FeeCharged(trade_id="K3", amount=Decimal("0.50")))
        items = [
            planned(f"F{number}", price=price, fee=Decimal("0.74"))
            for number, price in enumerate(("21000", "21001", "21002"), 1)
        ]
        for _ in range(2):
            left = list(counted_once(items, self.found(store, *items)))
            assert [(item.stream, item.event) for item in left] == [
                ("trade/A1/K1", FeeCharged(trade_id="K1", amount=Decimal("0.74"), symbol="MNQH6"))
            ]
            for item in left:
                store.append(item.stream, item.event, key=item.key, occurred_at=item.occurred_at)

    def test_an_order_that_was_filled_in_part(self, store: EventStore) -> None:
        self.known(store, "K1")
        order = OrderSubmitted(
            symbol="MNQH6", side=Side.BUY, quantity=Decimal(3), order_type=OrderType.LIMIT, limit_price=Decimal(21000)
        )
        fill = planned("F1", stream="order/A1/7", kind=OrderFilled)
        items = [
            PlannedEvent("order/A1/7", order, "submitted", AT, 2),
            fill,
            PlannedEvent("order/A1/7", OrderCanceled(), "canceled", AT, 2),
        ]
        left = list(counted_once(items, self.found(store, *items)))
        assert [type(item.event).__name__ for item in left] == ["OrderSubmitted", "OrderReported", "OrderCanceled"]
        assert left[1].event.status is OrderStatus.PARTIALLY_FILLED  # type: ignore[attr-defined] # it is a report
        # A fill of an order that the file does not have reports nothing.
        assert list(counted_once([fill], self.found(store, fill))) == []

    def test_a_log_without_executions_of_the_account_is_not_asked_for_each_row(self, store: EventStore) -> None:
        class Unasked:
            read = store.read

        items = [planned(f"F{number}") for number in range(3)]
        assert known_executions(Unasked(), items, ContractNames(builtin_table()), "fills") == Alongside()  # type: ignore[arg-type] # it has what is asked


def trade(
    trade_id: str,
    quantity: str = "1",
    price: str = "21000",
    *,
    kind: type[OrderFilled | TradeExecuted] = TradeExecuted,
    **more: object,
) -> OrderFilled | TradeExecuted:
    given = {"symbol": "MNQH6", "side": Side.BUY, "quantity": Decimal(quantity), "price": Decimal(price), **more}
    return kind(trade_id=trade_id, **given)  # type: ignore[arg-type] # as the members of the event


def planned(
    trade_id: str,
    quantity: str = "1",
    price: str = "21000",
    at: int = AT,
    *,
    account: str = "A1",
    stream: str | None = None,
    **more: object,
) -> PlannedEvent:
    event = trade(trade_id, quantity, price, **more)  # type: ignore[arg-type] # the same
    return PlannedEvent(stream or stream_of("trade", account, f"file-{trade_id}"), event, trade_id, at, 2)


def ids(found: Alongside) -> list[tuple[Sequence[str], Sequence[str]]]:
    return [
        ([each.trade_id for each in match.fresh], [each.trade_id for each in match.known]) for match in found.matches
    ]
