"""An import appends what it encoded: the same records as appending the planned events one by one, whatever is there."""

from __future__ import annotations

import random
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

import eventstore
from eventstore import EventStore, ManualClock
from eventstore.trading import FeeCharged, TradeBusted, TradeCorrected
from gateways.importers import BadRow, import_file, read_plan, runner
from gateways.importers.notes import note_of
from tests.memory import directory_in_memory
from tests.proving import rounds

Write = Callable[..., Path]

START = 1_759_329_000
AT = START * 1_000_000_000
HEADER = "trade_id,symbol,side,quantity,price,fee,time,order_id"
ELSEWHERE = "something else of this trade"


def written(chance: random.Random, count: int) -> list[str]:
    """Return rows of trades and of fills of a few orders, in any order of time, some of them twice."""
    rows = []
    for number in range(count):
        order = chance.choice(["", "", f"O-{chance.randrange(4)}"])
        side, price = chance.choice(["buy", "sell"]), 6_000 + chance.randrange(40) * Decimal("0.25")
        seconds = START + chance.randrange(count)
        fee = chance.choice(["0.62", "0.62", "1.24", "0"])
        rows.append(f"T{number},{chance.choice(['MNQZ5', 'ESZ5'])},{side},1,{price},{fee},{seconds},{order}")
    return [*rows, *chance.sample(rows, count // 10)]


def stored(store: EventStore) -> list[tuple[object, ...]]:
    """Return what the log says, but for when it was recorded and the digests that follow from it."""
    return [
        (r.id, r.stream, r.version, r.type, r.schema, r.occurred_at, r.data, r.note, r.correlation_id, r.causation_id)
        for r in store.read()
    ]


def one_by_one(store: EventStore, path: Path) -> None:
    """Append the events that a file's plan has, each by itself, as `append` takes them."""
    plan = read_plan(path, "fills", account="A1")
    note = note_of("fills", path.name)
    for item in plan.items:
        store.append(item.stream, item.event, key=item.key, occurred_at=item.occurred_at, note=note)


def other_events(store: EventStore, chance: random.Random, count: int) -> None:
    """Append something to the streams of some of the trades, as a correction that came before the import."""
    for number in chance.sample(range(count), count // 20):
        event = chance.choice([
            TradeCorrected(trade_id=f"T{number}", symbol="ESZ5", quantity=Decimal(1), price=Decimal(6_001)),
            TradeBusted(trade_id=f"T{number}", symbol="ESZ5"),
            FeeCharged(trade_id=f"T{number}", symbol="ESZ5", amount=Decimal("0.10")),
        ])  # fmt: skip
        store.append(f"trade/A1/T{number}", event, key=ELSEWHERE, occurred_at=AT)


def test_random_files_become_the_records_of_their_events(monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in rounds("encoded imports", test=6, prove=500):
        chance = random.Random(seed)
        monkeypatch.setattr(runner, "BATCH", chance.choice([1, 7, 20, 1_000]))
        monkeypatch.setattr(runner, "BATCH_ALONE", chance.choice([3, 50, 5_000]))
        count = chance.choice([20, 60, 150])
        with directory_in_memory() as directory:
            clock = ManualClock(AT + 10**15)
            path = Path(directory) / "fills.csv"
            rows = written(chance, count)
            with (
                eventstore.open(Path(directory) / "imported", clock=clock) as imported,
                eventstore.open(Path(directory) / "appended", clock=clock) as appended,
            ):
                has_others = chance.random() < 0.5
                if has_others:
                    for store in (imported, appended):
                        other_events(store, random.Random(seed), count)
                # At first a part of the file, from its beginning or its end, as an earlier export has it.
                part = chance.choice([rows, rows[: count // 2], rows[count // 2 :]])
                for lines in (part, rows, rows):
                    path.write_text("\n".join([HEADER, *lines, ""]), encoding="utf-8")
                    import_file(imported, path, "fills", account="A1", alongside=has_others)
                    one_by_one(appended, path)
                found = [row for row in stored(imported) if row[3] not in {"ContractDefined", "ProtectionMode"}]
                assert sorted(found) == sorted(stored(appended))
                assert len({row[0] for row in found}) == len(found)
                assert imported.verify().ok
                if part is rows and not has_others:
                    assert found == stored(appended)


def test_a_trade_that_was_corrected_before_its_import_is_added_to_its_stream(store: EventStore, write: Write) -> None:
    store.append("trade/A1/T2", TradeBusted(trade_id="T2", symbol="ESZ5"), key=ELSEWHERE)
    rows = [f"T{number},ESZ5,buy,1,6000,0.62,{START + number}," for number in range(30)]
    report = import_file(store, write("fills.csv", HEADER, *rows), "fills", account="A1")
    assert (report.added, report.already_there) == (31, 0)
    assert [(record.version, record.type) for record in store.read(stream="trade/A1/T2")] == [
        (1, "TradeBusted"),
        (2, "TradeExecuted"),
    ]
    assert [record.stream for record in store.read(types="TradeExecuted")] == [f"trade/A1/T{n}" for n in range(30)]


def test_a_row_that_contradicts_the_log_is_refused_after_what_precedes_it(store: EventStore, write: Write) -> None:
    rows = [f"T{number},ESZ5,buy,1,6000,0.62,{START + number}," for number in range(30)]
    import_file(store, write("old.csv", HEADER, rows[20]), "fills", account="A1")
    rows[20] = rows[20].replace("6000", "6001")
    with pytest.raises(BadRow, match="line 22: contradicts the log, which has fill:T20 of trade/A1/T20"):
        import_file(store, write("new.csv", HEADER, *rows), "fills", account="A1")
    assert [record.stream for record in store.read(types="TradeExecuted")][1:] == [f"trade/A1/T{n}" for n in range(20)]
