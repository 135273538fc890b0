"""Planned events in a temporary file: found by id, read in order, gone at the end; against a model in plain lists."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from eventstore import StorageFull
from eventstore.events import encode
from eventstore.ids import keyed_id
from eventstore.trading import OrderFilled, Side, TradeExecuted
from gateways.importers import places_of_ids
from gateways.importers import staging as module
from gateways.importers.base import PlannedEvent
from gateways.importers.staging import StagedEvent, Staging
from tests.proving import rounds
from tests.reference.planned_order import PlainStaging

START = 1_759_329_000_000_000_000


@pytest.fixture
def staging() -> Iterator[Staging]:
    opened = Staging()
    yield opened
    opened.close()


def planned(number: int, at: int = START, *, line: int = 2, price: str = "6700.50") -> PlannedEvent:
    kind, stream = (OrderFilled, "order/A1/O-1") if number % 2 else (TradeExecuted, f"trade/A1/T{number}")
    event = kind(
        trade_id=f"T{number}", symbol="ESZ5", side=Side.BUY, quantity=Decimal(number + 1), price=Decimal(price)
    )
    reported = Decimal("-1.50") if number % 3 == 0 else None
    return PlannedEvent(stream, event, key=f"fill:T{number}", occurred_at=at, line=line, reported=reported)


def add(staging: Staging, item: PlannedEvent, *, latest: int | None = None, row: int = 1) -> bytes:
    kind, data = encode(item.event)
    id_ = keyed_id(item.stream, item.key)
    stored = StagedEvent(kind.name, kind.schema, data, item.line)
    staging.add(id_, item, stored, latest=item.occurred_at if latest is None else latest, row=row)
    return id_


def test_what_was_added_comes_back_as_it_was(staging: Staging) -> None:
    items = [planned(number, START + number, line=number) for number in range(7)]
    for number, item in enumerate(items):
        add(staging, item, row=number)
    staging.sort(is_newest_first=False)
    assert list(staging) == items == list(staging)
    assert (len(staging), staging[0], staging[-1]) == (7, items[0], items[6])
    for found in (slice(2, 5), slice(5, 90), slice(None, None, 3), slice(None, None, -2), slice(4, 4), slice(-2, None)):
        assert staging[found] == items[found]
    for outside in (7, -8):
        with pytest.raises(IndexError):
            staging[outside]


def test_nothing_added_is_nothing(staging: Staging) -> None:
    assert staging.find(b"x" * 16) is None
    staging.sort(is_newest_first=True)
    assert (list(staging), len(staging), bool(staging), list(staging[:5])) == ([], 0, False, [])


def test_an_id_is_found_from_when_it_was_added(staging: Staging, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCH", 3)
    # Few bits, so that other ids have the same.
    monkeypatch.setattr(places_of_ids, "_TAGS", 3)
    for number in range(20):
        item = planned(number, line=number)
        id_ = keyed_id(item.stream, item.key)
        assert staging.find(id_) is None
        add(staging, item)
        for earlier in range(number + 1):
            known = planned(earlier, line=earlier)
            kind, data = encode(known.event)
            expected = StagedEvent(kind.name, kind.schema, data, earlier)
            assert staging.find(keyed_id(known.stream, known.key)) == expected
        assert staging.find(keyed_id("order/A1/O-1", "fill:other")) is None


@pytest.mark.untraced
def test_random_files_are_in_the_order_of_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCH", 5)
    monkeypatch.setattr(places_of_ids, "_TAGS", 31)
    for seed in rounds("staging", test=200, prove=20_000):
        chance = random.Random(seed)
        staging, model = Staging(), PlainStaging()
        is_newest_first = chance.random() < 0.5
        for row in range(chance.randrange(20)):
            latest, events = 0, []
            for _ in range(chance.randrange(4)):
                item = planned(chance.randrange(30), START + chance.randrange(6), line=row)
                id_ = keyed_id(item.stream, item.key)
                events.append((id_, item.occurred_at, item))
                assert (staging.find(id_) is not None) == (id_ in model.by_id or id_ in {e[0] for e in events[:-1]})
                if staging.find(id_) is None:
                    latest = max(latest, item.occurred_at)
                    add(staging, item, latest=latest, row=row)
            model.add_row(events)
        staging.sort(is_newest_first=is_newest_first)
        expected = model.in_order(is_newest_first=is_newest_first)
        assert list(staging) == expected
        start, stop = chance.randrange(-5, 40), chance.randrange(-5, 40)
        assert staging[start:stop] == expected[start:stop]
        staging.close()


def test_it_takes_no_memory(staging: Staging) -> None:
    item = planned(1)
    kind, data = encode(item.event)
    stored = StagedEvent(kind.name, kind.schema, data, 1)
    tracemalloc.start()
    for number in range(4_000):
        staging.add(number.to_bytes(4, "little") * 4, item, stored, latest=START - number, row=number)
    staging.sort(is_newest_first=False)
    count = sum(1 for _ in staging)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (count, peak < 3_000_000) == (4_000, True), peak


@pytest.mark.parametrize("end", ["", "os.kill(os.getpid(), 9)"])
def test_no_file_is_left_behind(tmp_path: Path, end: str) -> None:
    program = f"""
import os
from gateways.importers.staging import Staging
staging = Staging()
staging._connection.execute("PRAGMA cache_size = 5")
staging._connection.execute("CREATE TABLE filling AS SELECT zeroblob(2000000) AS z")
assert any("{tmp_path}" in os.readlink(f"/proc/self/fd/{{n}}") for n in os.listdir("/proc/self/fd") if n > "2")
{end}
"""
    # The folder is named in the variable that SQLite looks at first.
    environment = {**os.environ, "SQLITE_TMPDIR": str(tmp_path), "TMPDIR": str(tmp_path)}
    ended = subprocess.run([sys.executable, "-c", program], env=environment, check=False, capture_output=True)
    assert (ended.returncode in {0, -9}, ended.stderr) == (True, b"")
    assert list(tmp_path.iterdir()) == []


def test_no_room_is_said_with_what_to_do(staging: Staging) -> None:
    staging._connection.execute("PRAGMA max_page_count = 20").fetchall()
    for number in range(module.BATCH - 1):
        add(staging, planned(number))
    with pytest.raises(StorageFull, match=r"no room for the temporary file of an import .* in SQLITE_TMPDIR"):
        add(staging, planned(module.BATCH))
