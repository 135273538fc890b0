"""Fixtures: a store with the module's clock, a book on it, an account's day; the processes that a fold starts."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import eventstore
import projections
from eventstore import EventStore, ManualClock, children
from projections import Book
from projections.risk import programs
from projections.sessions import Calendar
from tests.places import Place, within
from tests.projections.dividing import InThisProcess
from tests.projections.firm import Firm
from tests.projections.programs import ACCOUNT, Begin, BeginProgram, Program
from tests.projections.reconciling import NOON
from tests.projections.rules_day import Day, trading_day


@pytest.fixture
def clock() -> ManualClock:
    """Return the clock of a module that has none of its own."""
    return ManualClock(NOON)


@pytest.fixture
def store(place: Place, clock: ManualClock) -> Iterator[EventStore]:
    with eventstore.open(place, clock=clock) as store:
        yield store


@pytest.fixture(params=["file", "tables"])
def any_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EventStore]:
    """Return a store whose cuts lie in a file beside it, and one in PostgreSQL, where they lie in tables."""
    with eventstore.open(
        tmp_path / "data" if request.param == "file" else request.getfixturevalue("postgres_url")
    ) as store:
        yield store


@pytest.fixture
def book(store: EventStore) -> Iterator[Book]:
    with projections.open(store) as book:
        yield book


@pytest.fixture
def day(place: Place) -> Iterator[Day]:
    """Return a day of account A; account B is open too, and NQ defined, for checks of what is not about ES in A."""
    day = trading_day(place)
    day.open_account(account="B")
    day.define("NQ")
    yield day
    day.close()


@pytest.fixture
def most(day: Day) -> Day:
    """Return a day with at most five contracts in one symbol, quoted."""
    day.limit("maximum-position", limit="5", warn_at="2")
    day.quote("5000")
    return day


@pytest.fixture
def firm(place: Place) -> Iterator[Firm]:
    """Return a firm with a group of two of its three accounts."""
    firm = Firm(place, "A", "B", "C")
    firm.group("A", "B")
    yield firm
    firm.close()


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[InThisProcess]:
    """Answer in this process; return what was started."""
    found: list[InThisProcess] = []

    def start(*_: object, **__: object) -> InThisProcess:
        found.append(InThisProcess())
        return found[-1]

    monkeypatch.setattr(children, "start", start)
    return found


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """Return the processes that are started, real ones."""
    found: list[subprocess.Popen[bytes]] = []
    real = children.start

    def start(*arguments: str, stdout: int | None = None) -> subprocess.Popen[bytes]:
        found.append(real(*arguments, stdout=stdout))
        return found[-1]

    monkeypatch.setattr(children, "start", start)
    return found


@pytest.fixture
def begun() -> Iterator[list[Program]]:
    found: list[Program] = []
    yield found
    for each in found:
        each.close()


@pytest.fixture
def begin(place: Place, begun: list[Program]) -> Begin:
    def start(calendar: Calendar, balance: int) -> Program:
        begun.append(Program(within(place, len(begun)), calendar, balance))
        return begun[-1]

    return start


@pytest.fixture
def begin_program(place: Place, begun: list[Program]) -> BeginProgram:
    """Return what begins a shipped program: an account of its size, set up by its file alone."""

    def start(name: str) -> Program:
        plan = programs.load(name, ACCOUNT)
        balance = int(plan.accounts[ACCOUNT].starting_balance)
        program = Program(within(place, len(begun)), plan.calendars[ACCOUNT], balance, quantity=1)
        begun.append(program)
        plan.apply(program.book, "desk")
        return program

    return start
