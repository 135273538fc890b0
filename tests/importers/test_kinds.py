"""Each kind of row: what becomes of a round trip, a matched pair, an order, a snapshot and a movement of cash."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

import projections
from eventstore import EventStore, InvalidEvent
from eventstore.clock import parse_time
from eventstore.trading import (
    AccountUpdated,
    CashKind,
    CashMoved,
    OrderFilled,
    OrderReported,
    OrderStatus,
    PairStateSaved,
    PortfolioSaved,
    PositionReported,
    Side,
    TradeExecuted,
)
from gateways.importers import BadRow, MissingChoices, format_of, import_file
from tests.importers.mappings import BOT, JOURNAL, ORDERS, PAIRS, SECTIONS, executions, figures, mapping

Write = Callable[..., Path]

ORDER_HEADER = (
    "orderId,Account,Order ID,B/S,Contract,Product,avgPrice,filledQty,Fill Time,Status,Timestamp,Date,Quantity,Text,"
    "Type,Limit Price,Stop Price,Filled Qty,Avg Fill Price,Notional Value,Currency"
)
ORDER_ROWS = (
    (
        "7001,ACCX,7001, Buy,MNQH6,MNQ,21000.25,2,03/02/2026 09:30:01, Filled,03/02/2026 09:30:00,3/2/26,2,Chart,"
        ' Limit,21000.25,,2,21000.25,"84,001.00",USD'
    ),
    "7002,ACCX,7002, Sell,MNQH6,MNQ,,,, Canceled,03/02/2026 09:31:00,3/2/26,2,Chart, Stop,,20990.00,,,,USD",
    "7003,ACCX,7003, Sell,MNQH6,MNQ,,,, Rejected,03/02/2026 09:32:00,3/2/26,9,Chart, Market,,,,,,USD",
    "7004,ACCX,7004, Sell,MNQH6,MNQ,,,, Working,03/02/2026 09:33:00,3/2/26,2,Chart, Limit,21010.00,,,,,USD",
)
PAIR_HEADER = (
    "symbol,_priceFormat,_priceFormatType,_tickSize,buyFillId,sellFillId,qty,buyPrice,sellPrice,pnl,boughtTimestamp,"
    "soldTimestamp,duration"
)
PAIR_ROWS = (
    "MNQH6,-2,0,0.25,9001,9000,1,21001.00,21000.50,$(1.00),03/02/2026 09:33:05,03/02/2026 09:19:49,13min 16sec",
    "MNQH6,-2,0,0.25,9002,9000,2,20900.50,21000.50,$400.00,03/02/2026 09:34:05,03/02/2026 09:19:49,14min 16sec",
    'NQH6,-2,0,0.25,9010,9011,3,20900.00,20920.00,"$1,200.00",03/02/2026 10:00:00,03/02/2026 10:05:00,5min',
)


class TestOrders:
    def test_each_row_is_an_order_and_what_was_filled_one_execution(self, store: EventStore, write: Write) -> None:
        path = write("orders.csv", ORDER_HEADER, *ORDER_ROWS)
        with pytest.raises(MissingChoices) as caught:
            import_file(store, path, mapping=mapping(ORDERS))
        assert [question.key for question in caught.value.questions] == ["time.zone"]
        import_file(store, path, mapping=mapping(ORDERS), zone="America/Chicago")
        with projections.open(store, snapshots=False) as book:
            found = {name: book.orders.get("ACCX", name) for name in ("7001", "7002", "7003", "7004")}
            statuses = [order.status for order in found.values() if order is not None]
            assert statuses == ["FILLED", "CANCELED", "REJECTED", "PENDING_NEW"]
            assert [order.order_id for order in book.orders.open("ACCX")] == ["7004"]
            position = book.positions.get("ACCX", "MNQH6")
            assert (position.quantity, position.average_price) == (Decimal(2), Decimal("21000.25"))
        (fill,) = store.read(types=OrderFilled)
        assert fill.occurred_at == parse_time("2026-03-02T15:30:01Z")

    def test_what_was_filled_before_an_order_was_cancelled_counts(self, store: EventStore, write: Write) -> None:
        row = ORDER_ROWS[1].replace("MNQ,,,,", "MNQ,20991,1,03/02/2026 09:31:05,")
        import_file(store, write("orders.csv", ORDER_HEADER, row), mapping=mapping(ORDERS), zone="America/Chicago")
        with projections.open(store, snapshots=False) as book:
            order = book.orders.get("ACCX", "7002")
            assert order is not None
            assert (str(order.status), int(order.cumulative), order.anomalies) == ("CANCELED", 1, ())
        assert figures(store, "ACCX", "MNQH6")[0] == -1

    @pytest.mark.parametrize(
        ("old", "new", "column"),
        [
            (",2,03/02", ",3,03/02", "filledQty"),
            (",2,03/02", ",0,03/02", "filledQty"),
            ("21000.25,2,03", ",2,03", "avgPrice"),
        ],
    )
    def test_a_contradiction_is_refused(
        self, store: EventStore, write: Write, *, old: str, new: str, column: str
    ) -> None:
        path = write("orders.csv", ORDER_HEADER, ORDER_ROWS[0].replace(old, new, 1))
        with pytest.raises(BadRow) as caught:
            import_file(store, path, mapping=mapping(ORDERS), zone="America/Chicago")
        assert (caught.value.line, caught.value.column) == (2, column)
        assert store.head() == 0

    def test_a_bots_orders_without_their_quantity(self, store: EventStore, tmp_path: Path) -> None:
        order = {
            "ft_pair": "ABC/USDT",
            "filled": 38.4,
            "average": None,
            "order_filled_date": "2026-03-02 09:08:57.924451",
        }
        rows = [
            {"order_id": "1", "side": "buy", "status": "closed", "price": 0.52, **order},
            {
                **order,
                "order_id": "2",
                "side": "sell",
                "status": "canceled",
                "filled": 0.0,
                "price": 0.4,
                "order_filled_date": None,
            },
            {
                "order_id": "3",
                "side": "sell",
                "status": "closed",
                "price": 0.53,
                **order,
                "average": 0.54,
                "order_filled_date": "2026-03-02 19:08:57.924451",
            },
        ]
        path = tmp_path / "orders.json"
        path.write_text(json.dumps(rows))
        assert format_of(path) == "freqtrade-orders"
        import_file(store, path, mapping=mapping(BOT), account="A")
        assert figures(store, "A", "ABC/USDT") == (0, Decimal("0.768"), 0)
        with projections.open(store, snapshots=False) as book:
            canceled = book.orders.get("A", "2")
            assert canceled is not None
            assert canceled.status == "CANCELED"
        assert [event.price for event in executions(store)] == [Decimal("0.52"), Decimal("0.54")]


class TestMatchedPairs:
    def test_the_rows_of_one_execution_add_up(self, store: EventStore, write: Write) -> None:
        path = write("performance.csv", PAIR_HEADER, *PAIR_ROWS)
        report = import_file(store, path, mapping=mapping(PAIRS), account="A", zone="America/Chicago")
        found = {event.trade_id: (event.side, int(event.quantity)) for event in executions(store)}
        assert found == {
            "9000": (Side.SELL, 3),
            "9001": (Side.BUY, 1),
            "9002": (Side.BUY, 2),
            "9010": (Side.BUY, 3),
            "9011": (Side.SELL, 3),
        }
        assert figures(store, "A", "MNQH6")[:2] == (0, 399)
        assert figures(store, "A", "NQH6")[:2] == (0, 1200)
        assert (report.rows, sum(row.reported for row in report.pnl), report.differing) == (3, 1599, ())

    def test_the_same_id_with_another_price_is_refused(self, store: EventStore, write: Write) -> None:
        path = write("performance.csv", PAIR_HEADER, PAIR_ROWS[0], PAIR_ROWS[1].replace("21000.50", "21000.75"))
        with pytest.raises(BadRow, match="line 3, column sellFillId: '9000' is the id of another execution on line 2"):
            import_file(store, path, mapping=mapping(PAIRS), account="A", zone="America/Chicago")
        assert store.head() == 0

    def test_one_execution_cannot_buy_and_sell(self, store: EventStore, write: Write) -> None:
        path = write("performance.csv", PAIR_HEADER, PAIR_ROWS[0].replace("9001,9000", "9000,9000"))
        with pytest.raises(BadRow, match="cannot be both"):
            import_file(store, path, mapping=mapping(PAIRS), account="A", zone="America/Chicago")


def test_trades_and_cash_of_one_table_with_the_zone_in_a_column(store: EventStore, write: Write) -> None:
    header = (
        "Timezone,Date,Time,Type,Currency,Amount,Quote Currency,Quote Price,Received / Paid Currency,"
        "Received / Paid Amount,Fee currency,Fee amount,Status,Transaction ID"
    )
    day = "Europe/Amsterdam,2026-03-02"
    rows = (
        f"{day},11:36:46.620,sell,ETH,-0.005,EUR,1900,EUR,9.50,EUR,0.02,Completed,t4",
        f"{day},11:30:00,staking,ETH,0.001,,,,,,,Distributed,t3",
        f"{day},11:24:44.529,buy,ETH,0.010,EUR,1800,EUR,-18.00,EUR,0.04,Completed,t2",
        f"{day},11:15:55,deposit,EUR,25,,,,,EUR,0,Completed,t1",
    )
    path = write("journal.csv", header, *rows)
    assert format_of(path) == "bitvavo"
    report = import_file(store, path, mapping=mapping(JOURNAL), account="A")
    assert (report.types["TradeExecuted"], report.types["CashMoved"], report.ignored) == (2, 2, {})
    assert figures(store, "A", "ETH/EUR") == (Decimal("0.005"), Decimal("0.50"), Decimal("0.06"))
    times = [record.occurred_at for record in store.read(types=TradeExecuted)]
    assert times == [parse_time("2026-03-02T10:24:44.529Z"), parse_time("2026-03-02T10:36:46.620Z")]
    cash = [record.event for record in store.read(types=CashMoved)]
    assert cash == [
        CashMoved(amount=Decimal(25), currency="EUR", kind=CashKind.DEPOSIT, reference="t1"),
        CashMoved(amount=Decimal("0.001"), currency="ETH", kind=CashKind.INTEREST, reference="t3"),
    ]


@pytest.mark.parametrize(("kind", "added"), [("staking", 1), ("airdrop", None)])
def test_a_kind_of_row_that_the_preset_does_not_know_stops_the_import(
    store: EventStore, write: Write, kind: str, added: int | None
) -> None:
    header = (
        "Timezone,Date,Time,Type,Currency,Amount,Quote Currency,Quote Price,Received / Paid Currency,"
        "Received / Paid Amount,Fee currency,Fee amount,Status,Transaction ID"
    )
    path = write("journal.csv", header, f"UTC,2026-03-02,11:30:00,{kind},ETH,0.001,,,,,,,Distributed,t3")
    if added is None:
        with pytest.raises(BadRow, match="line 2, column Type: 'airdrop' is in neither list"):
            import_file(store, path, account="A")
        assert store.head() == 0
    else:
        assert import_file(store, path, account="A").added == added


def test_the_sections_of_a_statement_with_costs_by_matched_lots(store: EventStore, write: Write) -> None:
    lines = (
        "Statement,Header,Field Name,Field Value",
        "Statement,Data,Title,Activity Statement",
        (
            "Trades,Header,DataDiscriminator,Asset Category,Currency,Symbol,Date/Time,Quantity,T. Price,Proceeds,"
            "Comm/Fee,Realized P/L,Code"
        ),
        'Trades,Data,Order,Stocks,USD,XYZ,"2026-03-02, 09:35:00","1,000",10.00,-10000,-5,0,O',
        'Trades,Data,Order,Stocks,USD,XYZ,"2026-03-02, 10:35:00",-400,10.50,4200,-2,196.00,C',
        "Trades,SubTotal,,Stocks,USD,XYZ,,600,,-5800,-7,196.00,",
        "Cash Report,Header,Currency Summary,Currency,Total",
        "Cash Report,Data,Commissions,USD,-7",
    )
    path = write("statement.csv", *lines)
    report = import_file(store, path, mapping=mapping(SECTIONS), account="A", zone="America/New_York")
    assert figures(store, "A", "XYZ") == (600, 200, 7)
    assert [(row.reported, row.differs) for row in report.pnl] == [(Decimal(196), False)]


class TestSnapshots:
    def test_positions_and_balances_are_reports_and_no_executions(self, store: EventStore, write: Write) -> None:
        text = '[rows]\nkind = "snapshot"\nof = "positions"\n[columns]\nsymbol = "symbol"\nquantity = "size"\n'
        own = mapping(f'{text}side = "side"\naverage_price = "entry"\ntime = "at"\n')
        path = write("positions.csv", "symbol,side,size,entry,at", "MNQH6,short,2,21000,2026-03-02T15:00:00Z")
        import_file(store, path, mapping=own, account="A")
        text = (
            '[rows]\nkind = "snapshot"\nof = "balances"\n[columns]\nbalance = "cash"\ncurrency = "cur"\ntime = "at"\n'
        )
        path = write("balances.csv", "cash,cur,at", "50000.25,USD,2026-03-02T15:00:00Z")
        import_file(store, path, mapping=mapping(text), account="A")
        (position,) = store.read(types=PositionReported)
        assert (position.stream, position.event) == (
            "position/A/MNQH6",
            PositionReported(symbol="MNQH6", quantity=Decimal(-2), average_price=Decimal(21000)),
        )
        (balance,) = store.read(types=AccountUpdated)
        assert balance.event == AccountUpdated(balance=Decimal("50000.25"), currency="USD")
        assert executions(store) == []

    def test_an_unknown_status_of_a_reported_order_is_kept(self, store: EventStore, write: Write) -> None:
        text = '[rows]\nkind = "snapshot"\nof = "orders"\n[columns]\norder_id = "id"\nstatus = "status"\ntime = "at"\n'
        path = write("orders.csv", "id,status,at", "7,Working,2026-03-02T15:00:00Z", "8,Parked,2026-03-02T15:00:00Z")
        import_file(store, path, mapping=mapping(text), account="A")
        found = [
            (event.status, event.raw_status)
            for r in store.read(types=OrderReported)
            if isinstance(event := r.event, OrderReported)
        ]
        assert found == [(OrderStatus.NEW, "Working"), (OrderStatus.UNKNOWN, "Parked")]

    @pytest.mark.parametrize(
        ("of", "cls", "member"), [("pairs", PairStateSaved, "pair"), ("portfolios", PortfolioSaved, "portfolio")]
    )
    def test_a_strategys_state_is_what_was_saved(
        self, store: EventStore, tmp_path: Path, of: str, cls: type[PairStateSaved | PortfolioSaved], member: str
    ) -> None:
        rows = [{"name": "AB", "z": {"entry": 2.5}, "legs": ["A", "B"], "at": "2026-03-02T15:00:00Z"}]
        path = tmp_path / "state.json"
        path.write_text(json.dumps(rows))
        text = f'[rows]\nkind = "snapshot"\nof = "{of}"\n[columns]\nname = "name"\ntime = "at"\nstate = "legs"\n'
        import_file(store, path, mapping=mapping(text), account="A")
        (record,) = store.read(types=cls)
        assert (record.event.state, getattr(record.event, member)) == (["A", "B"], "AB")  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("kind", "amount", "expected"),
    [
        ("DEPOSIT", "10", (CashKind.DEPOSIT, "10")),
        ("DEPOSIT", "-10", (CashKind.WITHDRAWAL, "10")),
        ("WITHDRAWAL", "-10", (CashKind.WITHDRAWAL, "10")),
        ("FUNDING", "-0.5", (CashKind.FUNDING, "-0.5")),
        ("FEE", "-3", (CashKind.FEE, "3")),
    ],
)
def test_an_amount_is_above_zero_when_received(
    store: EventStore, write: Write, kind: str, amount: str, expected: tuple[CashKind, str]
) -> None:
    text = (
        f'[rows]\nkind = "cash"\n[cash]\nkind = "{kind}"\ncurrency = "USD"\n[columns]\namount = "amount"\ntime = "at"\n'
    )
    import_file(
        store, write("cash.csv", "amount,at", f"{amount},2026-03-02T15:00:00Z"), mapping=mapping(text), account="A"
    )
    (record,) = store.read(types=CashMoved)
    event = record.event
    assert isinstance(event, CashMoved)
    assert (event.kind, event.amount) == (expected[0], Decimal(expected[1]))


def test_a_cost_in_the_bought_coin_is_refused_unless_the_mapping_says_so(store: EventStore, write: Write) -> None:
    path = write(
        "spot.csv",
        "time,symbol,side,quantity,price,fee,fee_currency",
        "2026-03-02T15:00:00Z,SOL/USDT,buy,2,100,0.002,SOL",
    )
    answers = {"contract.default.asset": "CRYPTO"}
    with pytest.raises(BadRow, match=r"has a cost of 0.002 SOL, the coin that was traded"):
        import_file(store, path, "fills", account="A", answers=answers)
    import_file(store, path, "fills", account="A", answers={**answers, "fees.in-kind": "true"})
    assert figures(store, "A", "SOL/USDT")[0] == Decimal("1.998")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('[rows]\nkind = "fills"\n', "Invalid enum value 'fills'"),
        ('[rows]\nkind = "snapshot"\n', "rows.of says what a snapshot is about"),
        ('[columns]\nsymbole = "x"\n', "columns.symbole: unknown field 'symbole'; the fields are trade_id"),
        ('[row]\nkind = "order"\n', "unknown field `row`"),
        ('[sides]\nbuy = ["B"]\nsell = ["b"]\n', "the same words stand in sides.buy and sides.sell"),
        ("[rows\n", "is not TOML"),
        ('tables = ["x"]\n', "write each further table as"),
    ],
)
def test_a_mapping_that_means_nothing_is_refused(text: str, why: str) -> None:
    with pytest.raises(InvalidEvent, match=why):
        mapping(text)


@pytest.mark.parametrize("key", ["time.zonee", "rows.where", "colums.price", "time.zone.x", "tables.1.rows.order"])
def test_an_answer_that_no_member_takes_is_refused(store: EventStore, write: Write, key: str) -> None:
    path = write("fills.csv", "time,symbol,side,quantity,price", "2026-03-02T15:00:00Z,MNQH6,buy,1,21000")
    with pytest.raises(InvalidEvent, match=key.partition(".")[0]):
        import_file(store, path, "fills", account="A", answers={key: "x"})
    assert store.head() == 0
