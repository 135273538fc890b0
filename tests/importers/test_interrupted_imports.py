"""An import that is killed, finds the disk full, or runs twice at once, and is repeated: the same log as of one."""

from __future__ import annotations

import os
import random
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import eventstore
from eventstore import StoreError
from eventstore.trading import ContractDefined, ProtectionMode
from gateways.importers import import_file, preview_file, runner
from tests.proving import rounds

FILLED, TROUBLE = 0, 3
Content = list[tuple[str, int, str, bytes, bytes, int]]


def fills(count: int) -> str:
    lines = ["trade_id,symbol,side,quantity,price,fee,time,account"]
    for n in range(count):
        # Newest first, with ties.
        side, at = ("buy", "sell")[n % 2], 1_759_330_000 - n // 3
        lines.append(f"T{n},{('ESZ5', 'MNQZ5')[n % 3 % 2]},{side},{1 + n % 4},6650.25,0.5,{at},A{n % 2}")
    return "\n".join(lines) + "\n"


def trips(count: int) -> str:
    lines = ["Id,ContractName,EnteredAt,ExitedAt,EntryPrice,ExitPrice,Fees,PnL,Size,Type,TradeDay,TradeDuration"]
    for n in range(count):
        moment = f"07/21/2025 17:{n // 60 % 60:02}:{n % 60:02} +00:00"
        lines.append(f"{n + 100},MNQU5,{moment},{moment},23300.25,23301.25,1.48,2.00,1,Long,,")
    return "\n".join(lines) + "\n"


FILES = {"fills": fills(120), "topstepx-trades": trips(60)}


@pytest.fixture(params=list(FILES))
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / f"{request.param}.csv"
    path.write_text(FILES[request.param])
    return path


@pytest.fixture(autouse=True)
def _many_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    # Children inherit it: a short file takes several batches.
    monkeypatch.setattr(runner, "BATCH", 16)
    monkeypatch.setattr(runner, "BATCH_ALONE", 24)


def run_import(path: Path, data: Path) -> None:
    account = "A" if path.stem == "topstepx-trades" else None
    with eventstore.open(data) as store:
        import_file(store, path, path.stem, account=account)


def content(data: Path) -> Content:
    with eventstore.open(data) as store:
        assert store.verify().ok
        records = list(store.read())
        types = [record.type for record in records]
        assert types.count(ContractDefined.__name__) == len({r.stream for r in records if r.type == "ContractDefined"})
        assert types.count(ProtectionMode.__name__) == len({r.account for r in records if r.type == "TradeExecuted"})
        return [(r.stream, r.version, r.type, r.id, r.data, r.occurred_at) for r in records]


def in_child(run: Callable[[], None]) -> int:
    """Run something in a child process; return its exit code, below zero for the signal that ended it."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            run()
            code = FILLED
        except StoreError:
            code = TROUBLE
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def dying_after(calls: int, run: Callable[[], None]) -> Callable[[], None]:
    """Return what runs until so many functions were called, those of C included, and then kills its process."""

    def counted() -> None:
        left = calls

        def count(_frame: object, event: str, _argument: object) -> None:
            nonlocal left
            if event in {"call", "c_call", "c_return"}:
                left -= 1
                if left <= 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.setprofile(count)
        run()
        sys.setprofile(None)

    return counted


def calls_of(path: Path, data: Path) -> int:
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call", "c_return"}

    sys.setprofile(count)
    try:
        run_import(path, data)
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.untraced
def test_an_import_that_was_killed_anywhere_continues(file: Path, tmp_path: Path) -> None:
    calls = calls_of(file, tmp_path / "whole")
    expected = content(tmp_path / "whole")
    killed = 0
    for seed in rounds(f"killed import of {file.stem}", test=12, prove=500):
        chance, data = random.Random(seed), tmp_path / f"data{seed}"
        # It may be killed again while it continues.
        for _ in range(chance.randint(1, 3)):
            at = chance.randint(1, calls)
            code = in_child(dying_after(at, lambda data=data: run_import(file, data)))  # type: ignore[misc]
            assert code in {FILLED, -signal.SIGKILL}, (seed, at, code)
            killed += code != FILLED
        run_import(file, data)
        assert content(data) == expected, seed
    assert killed, "no child was killed"


@pytest.mark.untraced
def test_an_import_that_was_killed_while_it_was_looked_at_has_written_nothing(file: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    account = "A" if file.stem == "topstepx-trades" else None

    def look() -> None:
        with eventstore.open(data) as store:
            preview_file(file, file.stem, account=account)
            store.close()

    assert in_child(dying_after(20_000, look)) in {FILLED, -signal.SIGKILL}
    assert content(data) == []
    assert sorted(each.name for each in tmp_path.iterdir()) == ["data", file.name]


@pytest.mark.slow
@pytest.mark.untraced
def test_an_import_that_found_the_disk_full_continues(file: Path, tmp_path: Path) -> None:
    run_import(file, tmp_path / "whole")
    expected = content(tmp_path / "whole")
    refused = 0
    for seed in rounds(f"full disk of {file.stem}", test=8, prove=200):
        chance, data = random.Random(seed), tmp_path / f"data{seed}"
        size = chance.randint(1_000, 250_000)

        def limited(size: int = size, data: Path = data) -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
            try:
                run_import(file, data)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

        code = in_child(limited)
        assert code in {FILLED, TROUBLE}, (seed, size, code)
        refused += code == TROUBLE
        run_import(file, data)
        assert content(data) == expected, (seed, size)
    assert refused, "the disk was never full"


@pytest.mark.slow
@pytest.mark.untraced
def test_two_imports_of_a_file_at_once_add_nothing_twice(file: Path, tmp_path: Path) -> None:
    run_import(file, tmp_path / "whole")
    expected = content(tmp_path / "whole")
    for seed in rounds(f"two imports of {file.stem}", test=3, prove=200):
        data = tmp_path / f"data{seed}"
        eventstore.open(data).close()
        ready, go = os.pipe()
        children = []
        for _ in range(2):
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    os.close(go)
                    os.read(ready, 1)
                    run_import(file, data)
                    code = FILLED
                finally:
                    os._exit(code)
            children.append(child)
        os.close(ready)
        os.close(go)
        assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [FILLED, FILLED]
        found = content(data)
        # The two take turns, so that only what is in the log is the same, and in each stream the order.
        assert sorted(found) == sorted(expected), seed
