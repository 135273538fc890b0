"""LOBSTER messages: what each type becomes, what identifies a message, and a complete real day."""

from __future__ import annotations

import csv
import io
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

import eventstore
from eventstore import EventStore, InvalidEvent
from eventstore.clock import parse_time
from eventstore.trading import (
    ContractDefined,
    Marked,
    OrderCanceled,
    OrderFilled,
    OrderReduced,
    OrderSubmitted,
    OrderType,
    Side,
    TradeExecuted,
)
from gateways.importers import BadRow, ImportReport, import_file

Write = Callable[..., Path]

NAME = "GOOG_2012-06-21_34200000_57600000_message_10.csv"
DAY = (
    "34200.015105074,1,16113575,18,5853300,1",
    "34200.015105075,2,16113575,3,5853300,1",
    "34200.1,4,16113575,5,5853300,1",
    "34200.2,5,0,1,5794900,-1",
    "34201,3,16113575,10,5853300,1",
)


def test_a_float_s_noise_is_rounded_to_the_nanosecond(store: EventStore, write: Write) -> None:
    noisy = (
        "43002.632812672004,1,1,18,5853300,1",
        "43002.9999999996,1,2,18,5853300,1",
        "43003.10000000009,1,3,18,5853300,1",
    )
    clean = ("43002.632812672,1,1,18,5853300,1", "43003,1,2,18,5853300,1", "43003.1,1,3,18,5853300,1")
    import_file(store, write(NAME, *noisy), "lobster", account="N1")
    midnight = parse_time("2012-06-21T04:00:00Z")
    times = [record.occurred_at - midnight for record in store.read(types=OrderSubmitted)]
    assert times == [43_002_632_812_672, 43_003_000_000_000, 43_003_100_000_000]
    again = import_file(store, write(NAME, *clean), "lobster", account="N1")
    assert (again.added, again.already_there) == (0, 4)


def test_each_type_becomes_its_event(store: EventStore, write: Write) -> None:
    report = import_file(store, write(NAME, *DAY), "lobster", account="N1")
    contract, *records = store.read()
    assert contract.event == ContractDefined(
        symbol="GOOG", multiplier=Decimal(1), currency="USD", exchange="NASDAQ", product="Share"
    )
    fill, trade = "GOOG-2012-06-21-34200.1-16113575-4-5-5853300", "GOOG-2012-06-21-34200.2-0-5-1-5794900"
    price = Decimal("585.33")
    assert [(record.stream, record.event) for record in records] == [
        (
            "order/N1/16113575",
            OrderSubmitted(
                symbol="GOOG", side=Side.BUY, quantity=Decimal(18), order_type=OrderType.LIMIT, limit_price=price
            ),
        ),
        ("order/N1/16113575", OrderReduced(by=Decimal(3))),
        (
            "order/N1/16113575",
            OrderFilled(trade_id=fill, symbol="GOOG", side=Side.BUY, quantity=Decimal(5), price=price),
        ),
        (
            f"trade/N1/{trade}",
            TradeExecuted(trade_id=trade, symbol="GOOG", side=Side.SELL, quantity=Decimal(1), price=Decimal("579.49")),
        ),
        ("order/N1/16113575", OrderCanceled(quantity=Decimal(10))),
    ]
    assert [record.occurred_at for record in records[:2]] == [
        parse_time("2012-06-21T09:30:00.015105074-04:00"),
        parse_time("2012-06-21T09:30:00.015105075-04:00"),
    ]
    assert (report.rows, report.events, report.added, report.ignored) == (5, 6, 6, {})


def test_a_winter_day_is_five_hours_behind(store: EventStore, write: Write) -> None:
    import_file(store, write("m.csv", DAY[0]), "lobster", account="N1", symbol="GOOG", date="2012-01-20")
    (record,) = store.read(types=OrderSubmitted)
    assert record.occurred_at == parse_time("2012-01-20T09:30:00.015105074-05:00")


def test_symbol_and_date_may_be_said_instead(store: EventStore, write: Write) -> None:
    path = write("messages.csv", *DAY)
    import_file(store, path, "lobster", account="N1", symbol="BRK/B", date=date(2012, 6, 21))
    assert store.version("contract/-/BRK%2FB") == 1
    assert [record.event.symbol for record in store.read(types=OrderSubmitted)] == ["BRK/B"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("given", "missing"),
    [({}, "account"), ({"account": "A"}, "symbol"), ({"account": "A", "symbol": "GOOG"}, "date")],
)
def test_what_neither_name_nor_caller_tells_is_asked_for(
    store: EventStore, write: Write, given: dict[str, str], missing: str
) -> None:
    with pytest.raises(InvalidEvent, match=f"--{missing}"):
        import_file(store, write("messages.csv", *DAY), "lobster", **given)  # type: ignore[arg-type]


def test_a_zip_is_read_in_place(store: EventStore, tmp_path: Path) -> None:
    path = zipped(tmp_path / "sample.zip", {NAME: DAY, NAME.replace("message", "orderbook"): ("1,2,3,4",)})
    report = import_file(store, path, "lobster", account="N1")
    assert (report.file, report.rows) == (f"sample.zip/{NAME}", 5)


def test_a_zip_s_file_may_begin_with_a_byte_order_mark_and_hold_empty_lines(store: EventStore, tmp_path: Path) -> None:
    path = zipped(tmp_path / "sample.zip", {NAME: ("\ufeff" + DAY[0], "", DAY[1])})
    assert import_file(store, path, "lobster", account="N1").rows == 2


def test_a_date_that_is_none_is_asked_for(store: EventStore, write: Write) -> None:
    with pytest.raises(InvalidEvent, match="'2012-13-41' is not a date: give one like 2012-06-21 with --date"):
        import_file(store, write(NAME.replace("06-21", "13-41"), *DAY), "lobster", account="N1")


def test_a_zip_that_expands_beyond_the_limit_is_refused(store: EventStore, tmp_path: Path) -> None:
    path = tmp_path / "sample.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(NAME, "\n" * 300_000)
    with pytest.raises(InvalidEvent, match=r"sample\.zip expands to more than 200,000 bytes"):
        import_file(store, path, "lobster", account="L1", bytes_max=200_000)


@pytest.mark.parametrize(("place", "value"), [(6, 1), (8, 98)])
def test_a_zip_that_asks_for_a_password_or_an_unknown_method_is_refused(
    store: EventStore, tmp_path: Path, place: int, value: int
) -> None:
    content = bytearray(zipped(tmp_path / "sample.zip", {NAME: DAY}).read_bytes())
    content[place] = value
    content[content.index(b"PK\x01\x02") + place + 2] = value
    (tmp_path / "sample.zip").write_bytes(content)
    with pytest.raises(InvalidEvent, match=r"cannot be read .*: unpack it"):
        import_file(store, tmp_path / "sample.zip", "lobster", account="L1")


def test_a_damaged_list_of_a_zip_s_files_is_refused(store: EventStore, tmp_path: Path) -> None:
    content = zipped(tmp_path / "sample.zip", {NAME: DAY}).read_bytes()
    (tmp_path / "sample.zip").write_bytes(content.replace(b"PK\x01\x02", b"PK\x01\x03"))
    with pytest.raises(InvalidEvent, match="cannot be read as a zip"):
        import_file(store, tmp_path / "sample.zip", "lobster", account="L1")


def test_a_zip_of_several_days_is_refused(store: EventStore, tmp_path: Path) -> None:
    path = zipped(tmp_path / "week.zip", {NAME: DAY, NAME.replace("21", "22"): DAY})
    with pytest.raises(InvalidEvent, match=r"week\.zip holds 2 message files"):
        import_file(store, path, "lobster", account="N1")


def test_a_halt_is_marked_and_a_cross_is_counted(store: EventStore, write: Write) -> None:
    path = write(NAME, "36000,7,0,0,-1,-1", "36300,7,0,0,1,-1", "57600.5,6,-2,900,5800000,1")
    report = import_file(store, path, "lobster", account="N1")
    assert [record.event for record in store.read(types=Marked)] == [
        Marked(name="GOOG halted 2012-06-21T10:00:00.000000000-04:00"),
        Marked(name="GOOG trading resumed 2012-06-21T10:05:00.000000000-04:00"),
    ]
    assert report.ignored == {"6: sum of a cross": 1}


def test_messages_that_say_the_same_are_distinguished_by_their_number(store: EventStore, write: Write) -> None:
    path = write(NAME, *["34200.2,5,0,1,5794900,-1"] * 3)
    report = import_file(store, path, "lobster", account="N1")
    assert report.types["TradeExecuted"] == 3
    assert import_file(store, path, "lobster", account="N1").added == 0


def test_another_window_of_the_day_adds_what_it_alone_has(store: EventStore, write: Write) -> None:
    import_file(store, write(NAME, *DAY[1:]), "lobster", account="N1")
    report = import_file(store, write(NAME.replace("10.csv", "50.csv"), *DAY), "lobster", account="N1")
    assert (report.added, report.already_there) == (1, 5)


def test_another_day_adds_all_of_its_own(store: EventStore, write: Write) -> None:
    import_file(store, write(NAME, *DAY), "lobster", account="N1")
    report = import_file(store, write(NAME.replace("-21_", "-22_"), *DAY), "lobster", account="N1")
    assert (report.added, report.already_there) == (5, 1)


@pytest.mark.parametrize(
    ("row", "column", "value"),
    [
        ("34200.0151050741234567,1,1,18,5853300,1", "time", "34200.0151050741234567"),
        ("-1,1,1,18,5853300,1", "time", "-1"),
        (".5,1,1,18,5853300,1", "time", ".5"),
        ("86400,1,1,18,5853300,1", "time", "86400"),
        ("34200,8,1,18,5853300,1", "type", "8"),
        ("34200,1,-1,18,5853300,1", "order id", "-1"),
        ("34200,1,1,0,5853300,1", "size", "0"),
        ("34200,1,1,1.5,5853300,1", "size", "1.5"),
        ("34200,1,1,18,585.33,1", "price", "585.33"),
        ("34200,1,1,18,0,1", "price", "0"),
        ("34200,1,1,18,5853300,0", "direction", "0"),
        ("34200,7,0,0,2,-1", "price", "2"),
        ("34200,1,1,18,5853300", "", ""),
    ],
)
def test_a_bad_cell_is_named_and_nothing_is_written(
    store: EventStore, write: Write, row: str, column: str, value: str
) -> None:
    with pytest.raises(BadRow) as caught:
        import_file(store, write(NAME, *DAY, row), "lobster", account="N1")
    bad = caught.value
    assert (bad.file, bad.line, bad.column, bad.value) == (NAME, 6, column, value)
    assert f"{NAME}, line 6" in str(bad)
    assert store.head() == 0


@pytest.fixture(scope="module")
def sample(real_data: Path) -> Path:
    return next((real_data / "lobster").glob("*.zip"))


@pytest.fixture(scope="module")
def real(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[EventStore, ImportReport]]:
    with eventstore.open(tmp_path_factory.mktemp("real") / "data") as store:
        yield store, import_file(store, sample, "lobster", account="N1")


@pytest.mark.slow
@pytest.mark.untraced
def test_every_message_of_a_real_day_is_one_event(real: tuple[EventStore, ImportReport]) -> None:
    _, done = real
    assert done.rows == 147_916
    assert done.types == {
        "ContractDefined": 1,
        "OrderSubmitted": 71_258,
        "OrderReduced": 19,
        "OrderCanceled": 64_961,
        "OrderFilled": 7_765,
        "TradeExecuted": 3_913,
    }
    assert (done.added, done.already_there, done.left_out, done.ignored) == (147_917, 0, (), {})


@pytest.mark.untraced
def test_the_real_day_s_volumes_and_remainders_are_the_known_ones(real: tuple[EventStore, ImportReport]) -> None:
    store, _ = real
    left: dict[str, Decimal] = {}
    volumes: Counter[str] = Counter()
    deletes: Counter[bool] = Counter()
    for record in store.read():
        event = record.event
        match event:
            case OrderSubmitted():
                left[record.stream] = event.quantity
            case OrderReduced():
                change(left, record.stream, event.by)
            case OrderFilled():
                change(left, record.stream, event.quantity)
                volumes["visible"] += int(event.quantity)
            case OrderCanceled() if record.stream in left:
                deletes[left.pop(record.stream) == event.quantity] += 1
            case TradeExecuted():
                volumes["hidden"] += int(event.quantity)
            case _:
                pass
    assert volumes == {"visible": 492_509, "hidden": 213_616}
    assert deletes == {True: 62_131}
    assert sum(quantity > 0 for quantity in left.values()) == 3_942


@pytest.mark.untraced
def test_the_real_day_s_records_stand_in_the_file_s_order(real: tuple[EventStore, ImportReport], sample: Path) -> None:
    store, _ = real
    with zipfile.ZipFile(sample) as archive:
        text = archive.read(NAME).decode()
    midnight = parse_time("2012-06-21T00:00:00-04:00")
    times = [midnight + int(Decimal(cells[0]) * 10**9) for cells in csv.reader(io.StringIO(text))]
    assert [record.occurred_at for record in store.read(after=1)] == times


@pytest.mark.slow
@pytest.mark.untraced
def test_the_same_real_day_again_adds_nothing(real: tuple[EventStore, ImportReport], sample: Path) -> None:
    store, done = real
    again = import_file(store, sample, "lobster", account="N1")
    assert (again.added, again.already_there) == (0, done.added)
    assert store.head() == done.added


def change(left: dict[str, Decimal], stream: str, by: Decimal) -> None:
    if stream in left:
        left[stream] -= by


def zipped(path: Path, members: dict[str, tuple[str, ...]]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, lines in members.items():
            archive.writestr(name, "\n".join(lines) + "\n")
    return path
