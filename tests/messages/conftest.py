"""A book on a log in memory, with one account opened, and a recorder of a gateway's messages."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

import projections
from eventstore import EventStore, ManualClock
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import AccountOpened, ContractDefined
from gateways.messages import Recorder
from gateways.messages.projectx import ProjectX
from projections import Book
from tests.messages.projectx_messages import ACCOUNT, CONTRACT_ID


@pytest.fixture
def store() -> Iterator[EventStore]:
    clock = ManualClock("2026-12-01T00:00:00Z")
    with EventStore(MemoryJournal(clock=clock), clock=clock) as store:
        yield store


@pytest.fixture
def book(store: EventStore) -> Iterator[Book]:
    with projections.open(store, snapshots=False) as book:
        book.append(f"account/{ACCOUNT}/-", AccountOpened(starting_balance=Decimal(50_000), currency="USD"))
        definition = ContractDefined(
            symbol="MNQZ6", multiplier=Decimal(2), tick_size=Decimal("0.25"), currency="USD", broker_ids=(CONTRACT_ID,)
        )
        book.append("contract/-/MNQZ6", definition)
        yield book


@pytest.fixture
def recorder(book: Book) -> Recorder:
    return Recorder(book, ProjectX())
