"""The import: everything validated before anything is written, atomic batches, nothing twice."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path

import pytest
from typing_extensions import override

from eventstore import Batch, EventStore, InvalidEvent, Record, StorageFull
from eventstore.clock import parse_time
from eventstore.trading import ContractDefined, Marked, TradeExecuted
from gateways.importers import APPENDING, READING, SURVEYING, BadRow, import_file, plan, runner, texts
from gateways.importers.runner import BATCH

Write = Callable[..., Path]

HEADER = "trade_id,symbol,quantity,price,time"
START = 1_759_329_000


def rows(first: int, last: int) -> list[str]:
    return [f"T{number},ESZ5,1,{6000 + number},{START + number}" for number in range(first, last + 1)]


class Failing:
    """A store that fails after so many appends, as a full disk or a killed process does."""

    def __init__(self, store: EventStore, appends: int) -> None:
        self._store, self._left = store, appends
        self.sizes: list[int] = []

    def append_many(self, batches: Sequence[Batch]) -> list[Record]:
        if self._left == 0:
            msg = "no room"
            raise StorageFull(msg)
        self._left -= 1
        self.sizes.append(len(batches))
        return self._store.append_many(batches)

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)


def trade_ids(store: EventStore) -> list[str]:
    return [r.event.trade_id for r in store.read(types=TradeExecuted) if isinstance(r.event, TradeExecuted)]


def test_the_same_file_twice_adds_nothing(store: EventStore, write: Write) -> None:
    path = write("fills.csv", HEADER, *rows(1, 2_500))
    first = import_file(store, path, "fills", account="A1")
    again = import_file(store, path, "fills", account="A1")
    assert (first.rows, first.events, first.added, first.already_there) == (2_500, 2_501, 2_501, 0)
    assert (again.rows, again.events, again.added, again.already_there) == (2_500, 2_501, 0, 2_501)
    # And the account's protection mode.
    assert store.head() == 2_502


@pytest.mark.parametrize("appends", [0, 1, 2, 3])
def test_an_interrupted_import_is_completed_by_running_it_again(store: EventStore, write: Write, appends: int) -> None:
    path = write("fills.csv", HEADER, *rows(1, 2_500))
    failing = Failing(store, appends)
    with pytest.raises(StorageFull):
        import_file(failing, path, "fills", account="A1")  # type: ignore[arg-type]
    # The protection mode follows the definitions.
    assert store.head() == sum(failing.sizes) + bool(failing.sizes)
    report = import_file(store, path, "fills", account="A1")
    assert (report.added, report.already_there) == (2_501 - sum(failing.sizes), sum(failing.sizes))
    assert trade_ids(store) == [f"T{number}" for number in range(1, 2_501)]


def test_a_longer_export_adds_what_is_new_at_its_end_and_start(store: EventStore, write: Write) -> None:
    import_file(store, write("fills.csv", HEADER, *rows(1_001, 2_500)), "fills", account="A1")
    later = import_file(store, write("fills.csv", HEADER, *rows(1_001, 3_700)), "fills", account="A1")
    assert (later.added, later.already_there) == (1_200, 1_501)
    earlier = import_file(store, write("fills.csv", HEADER, *rows(501, 3_700)), "fills", account="A1")
    assert (earlier.added, earlier.already_there) == (500, 2_701)
    assert sorted(trade_ids(store)) == sorted(f"T{number}" for number in range(501, 3_701))


def test_a_partly_known_batch_is_halved_and_not_taken_one_by_one(store: EventStore, write: Write) -> None:
    import_file(store, write("fills.csv", HEADER, *rows(1, 300)), "fills", account="A1")
    counting = Failing(store, 1_000)
    import_file(counting, write("fills.csv", HEADER, *rows(1, BATCH)), "fills", account="A1")  # type: ignore[arg-type]
    assert 1 < len(counting.sizes) < 50


class Shared(Failing):
    """A store in which somebody else appends after each of the first appends of an import."""

    def __init__(self, store: EventStore, others: int) -> None:
        super().__init__(store, 1_000)
        self._others = others

    @override
    def append_many(self, batches: Sequence[Batch]) -> list[Record]:
        records = super().append_many(batches)
        if len(self.sizes) <= self._others:
            self._store.append("mark/-/other", Marked(name=f"other {len(self.sizes)}"))
        return records


@pytest.mark.parametrize(
    ("others", "sizes"),
    [(0, [2, 2, 6, 6, 4]), (2, [2, 2, 2, 6, 6, 2]), (5, [2, 2, 2, 2, 2, 2, 6, 2]), (100, [2] * 10)],
)
def test_batches_are_small_while_others_append(
    store: EventStore, write: Write, monkeypatch: pytest.MonkeyPatch, others: int, sizes: list[int]
) -> None:
    monkeypatch.setattr(runner, "BATCH", 2)
    monkeypatch.setattr(runner, "BATCH_ALONE", 6)
    shared = Shared(store, others)
    import_file(shared, write("fills.csv", HEADER, *rows(1, 20)), "fills", account="A1")  # type: ignore[arg-type]
    definitions, *of_rows = shared.sizes
    assert (definitions, of_rows) == (1, sizes)
    assert trade_ids(store) == [f"T{number}" for number in range(1, 21)]


def test_events_go_in_by_time_and_then_by_row(store: EventStore, write: Write) -> None:
    late, early = f"L,ESZ5,1,1,{START + 1}", [f"E{number},ESZ5,1,1,{START}" for number in range(3)]
    import_file(store, write("fills.csv", HEADER, late, *early), "fills", account="A1")
    assert trade_ids(store) == ["E0", "E1", "E2", "L"]


def test_nothing_is_written_when_the_last_row_is_bad(store: EventStore, write: Write) -> None:
    path = write("fills.csv", HEADER, *rows(1, 1_500), "T,ESZ5,1,1 000,1")
    with pytest.raises(BadRow, match=r"fills\.csv, line 1502, column price: '1 000' is not a plain number"):
        import_file(store, path, "fills", account="A1")
    assert store.head() == 0


def test_keep_going_leaves_bad_rows_out_and_lists_them(store: EventStore, write: Write) -> None:
    lines = rows(1, 4)
    lines[1] = lines[1].replace(",1,", ",one,")
    lines[2] = lines[2] + ",more"
    path = write("fills.csv", HEADER, *lines)
    report = import_file(store, path, "fills", account="A1", keep_going=True)
    assert trade_ids(store) == ["T1", "T4"]
    assert [(bad.line, bad.column, bad.value) for bad in report.left_out] == [(3, "quantity", "one"), (4, "", "")]
    assert (report.rows, report.events) == (4, 3)
    assert report.as_json()["left_out"] == [
        {"line": bad.line, "column": bad.column, "value": bad.value, "why": bad.why} for bad in report.left_out
    ]
    assert json.loads(json.dumps(report.as_json()))["added"] == 3


def test_an_event_that_the_log_could_not_hold_is_a_bad_row_too(store: EventStore, write: Write) -> None:
    path = write("fills.csv", HEADER, *rows(1, 1), f"{'T' * 200},ESZ5,1,1,{START}")
    with pytest.raises(BadRow, match=r"line 3: .*128 bytes"):
        import_file(store, path, "fills", account="A1")
    assert store.head() == 0


def test_a_row_said_twice_counts_once(store: EventStore, write: Write) -> None:
    report = import_file(store, write("fills.csv", HEADER, *rows(1, 2), *rows(1, 1)), "fills", account="A1")
    assert (report.rows, report.repeated, report.types["TradeExecuted"]) == (3, 1, 2)


def test_one_id_with_two_contents_is_a_bad_row(store: EventStore, write: Write) -> None:
    path = write("fills.csv", HEADER, *rows(1, 2), f"T1,ESZ5,1,7000,{START}")
    with pytest.raises(BadRow, match="line 4: repeats fill:T1 of trade/A1/T1 with other content than line 2"):
        import_file(store, path, "fills", account="A1")


def test_a_row_that_contradicts_the_log_stops_the_import_or_is_left_out(store: EventStore, write: Write) -> None:
    import_file(store, write("fills.csv", HEADER, *rows(1, 3)), "fills", account="A1")
    changed = write("fills.csv", HEADER, *rows(1, 1), f"T2,ESZ5,1,7000,{START + 2}", *rows(3, 4))
    with pytest.raises(BadRow, match=r"line 3: contradicts the log, .* at position 4"):
        import_file(store, changed, "fills", account="A1")
    report = import_file(store, changed, "fills", account="A1", keep_going=True)
    assert [bad.line for bad in report.left_out] == [3]
    assert (report.added, report.already_there) == (1, 3)
    assert trade_ids(store) == ["T1", "T2", "T3", "T4"]


def test_a_definition_in_the_log_stands_and_only_gains_names(store: EventStore, write: Write) -> None:
    mine = ContractDefined(symbol="ESZ5", multiplier=Decimal(50), currency="USD", name="mine")
    store.append("contract/-/ESZ5", mine)
    import_file(store, write("fills.csv", HEADER, *rows(1, 2)), "fills", account="A1")
    assert store.version("contract/-/ESZ5") == 1
    named = write("named.csv", HEADER, rows(3, 3)[0].replace("ESZ5", "CON.F.US.EP.Z25"))
    report = import_file(store, named, "fills", account="A1")
    *_, last = store.read(stream="contract/-/ESZ5")
    assert last.event == ContractDefined(
        symbol="ESZ5", multiplier=Decimal(50), currency="USD", name="mine", broker_ids=("CON.F.US.EP.Z25",)
    )
    assert report.added == 2
    assert import_file(store, named, "fills", account="A1").added == 0
    assert import_file(store, write("fills.csv", HEADER, *rows(1, 2)), "fills", account="A1").added == 0


def test_a_definition_of_an_earlier_import_gains_names_too(store: EventStore, write: Write) -> None:
    import_file(store, write("fills.csv", HEADER, *rows(1, 2)), "fills", account="A1")
    named = write("named.csv", HEADER, rows(3, 3)[0].replace("ESZ5", "CON.F.US.EP.Z25"))
    assert import_file(store, named, "fills", account="A1").added == 2
    assert store.version("contract/-/ESZ5") == 2


def test_a_file_of_too_many_rows_is_refused(store: EventStore, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "ROWS_MAX", 2)
    with pytest.raises(InvalidEvent, match="more than 2 rows: split it"):
        import_file(store, write("fills.csv", HEADER, *rows(1, 3)), "fills", account="A1")
    assert store.head() == 0


def test_a_definition_with_another_worth_stops_the_import(store: EventStore, write: Write) -> None:
    store.append("contract/-/ESZ5", ContractDefined(symbol="ESZ5", multiplier=Decimal(5), currency="USD"))
    with pytest.raises(InvalidEvent, match="ESZ5 is worth 5 USD a point in this log, but 50 USD in this import"):
        import_file(store, write("fills.csv", HEADER, *rows(1, 2)), "fills", account="A1")
    assert store.head() == 1


def test_a_record_says_which_file_it_came_from(store: EventStore, write: Write) -> None:
    import_file(store, write("fills.csv", HEADER, *rows(1, 1)), "fills", account="A1")
    assert {record.note for record in store.read()} == {"import fills fills.csv"}


def test_progress_is_reported_row_by_row_and_batch_by_batch(store: EventStore, write: Write) -> None:
    steps: list[tuple[str, int, int | None]] = []
    path = write("fills.csv", HEADER, *rows(1, 2_500))
    import_file(store, path, "fills", account="A1", progress=lambda *step: steps.append(step))
    assert steps == [
        (SURVEYING, 1_000, None),
        (SURVEYING, 2_000, None),
        (READING, 1_000, 2_500),
        (READING, 2_000, 2_500),
        (APPENDING, 1_000, 2_500),
        (APPENDING, 2_000, 2_500),
        (APPENDING, 2_500, 2_500),
    ]


def test_a_file_with_a_header_alone_imports_nothing(store: EventStore, write: Write) -> None:
    report = import_file(store, write("fills.csv", HEADER, ""), "fills", account="A1")
    assert (report.rows, report.events, report.contracts, store.head()) == (0, 0, (), 0)


def test_a_gzipped_file_is_read_in_place(store: EventStore, tmp_path: Path) -> None:
    path = tmp_path / "fills.csv.gz"
    path.write_bytes(gzip.compress("\n".join([HEADER, *rows(1, 3)]).encode()))
    assert import_file(store, str(path), "fills", account="A1").rows == 3


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfet\x00r\x00",
        (HEADER + "\nT1,ESZ5,1,1,\xe9\n").encode("latin-1"),
        (HEADER + '\nT1,ESZ5,1,1,"17593').encode(),
        b"trade_id,symbol,quantity,price,price,time\n",
    ],
)
def test_a_file_that_is_not_a_table_is_refused(store: EventStore, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "fills.csv"
    path.write_bytes(content)
    with pytest.raises(InvalidEvent, match=r"fills\.csv"):
        import_file(store, path, "fills", account="A1", keep_going=True)
    assert store.head() == 0


def test_a_damaged_archive_is_refused(store: EventStore, tmp_path: Path) -> None:
    path = tmp_path / "fills.csv.gz"
    path.write_bytes(gzip.compress("\n".join([HEADER, *rows(1, 300)]).encode())[:-400])
    with pytest.raises(InvalidEvent, match=r"fills\.csv\.gz cannot be read"):
        import_file(store, path, "fills", account="A1")


def expanding(path: Path, size: int, line: bytes) -> Path:
    """Write a small archive that expands to so many bytes of one line, again and again."""
    with gzip.open(path, "wb", compresslevel=1) as out:
        out.write(HEADER.encode() + b"\n")
        out.write(line * (size // len(line)))
    return path


def test_an_archive_that_expands_beyond_the_limit_is_refused(store: EventStore, tmp_path: Path) -> None:
    path = expanding(tmp_path / "fills.csv.gz", 300_000, b"\n")
    with pytest.raises(InvalidEvent, match=r"fills\.csv\.gz expands to more than 200,000 bytes: .*--bytes-max"):
        import_file(store, path, "fills", account="A1", keep_going=True, bytes_max=200_000)
    assert import_file(store, path, "fills", account="A1", bytes_max=400_000).rows == 0
    with pytest.raises(InvalidEvent, match="bytes_max is 0"):
        import_file(store, path, "fills", account="A1", bytes_max=0)


@pytest.mark.parametrize("line", [b"x", b",", b'"",', b'"\n",'])
def test_a_row_without_an_end_takes_no_memory(
    store: EventStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: bytes
) -> None:
    monkeypatch.setattr(texts, "ROW_CHARACTERS_MAX", 50_000)
    path = expanding(tmp_path / "fills.csv.gz", 10_000_000, line)
    tracemalloc.start()
    with pytest.raises(InvalidEvent, match=r"fills\.csv\.gz"):
        import_file(store, path, "fills", account="A1", keep_going=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8_000_000


def test_a_file_that_is_not_there_is_an_os_error(store: EventStore, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        import_file(store, tmp_path / "none.csv", "fills", account="A1")


def test_options_that_do_not_fit_are_refused(store: EventStore, write: Write) -> None:
    path = write("fills.csv", HEADER, *rows(1, 1))
    with pytest.raises(InvalidEvent, match="unknown format 'xls': choose one of lobster, topstepx-trades"):
        import_file(store, path, "xls", account="A1")
    with pytest.raises(InvalidEvent, match="format fills does not take date"):
        import_file(store, path, "fills", account="A1", date="2025-10-01")
    with pytest.raises(InvalidEvent, match="format pyfolio does not take mapping"):
        import_file(store, path, "pyfolio", account="A1", mapping={"a": "time"})
    with pytest.raises(InvalidEvent, match="is not a date"):
        import_file(store, path, "lobster", account="A1", date="21.06.2012")
    with pytest.raises(InvalidEvent, match="account"):
        import_file(store, path, "fills", account="A 1")
    assert parse_time("2025-10-01T14:30:00Z") == START * 10**9
