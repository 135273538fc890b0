"""The bot of the examples against a recorded session: trading, disconnected, killed, and reconciled again."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

import eventstore
import projections
from eventstore.trading import AccountOpened, ContractDefined, NoteAdded, OrderStatus
from projections import Book
from projections.reconciliation import reconcile
from tests.memory import directory_in_memory
from tests.messages.projectx_hub import TOKEN, GatewayOfSession, RecordedSession

pytestmark = pytest.mark.untraced

BOT = Path(__file__).resolve().parents[2] / "examples" / "projectx_bot.py"
CONTRACT_ID = "CON.F.US.MNQ.Z26"
D = Decimal


class Desk:
    """A directory with a log, a gateway, and the bot as a process that a test can kill."""

    def __init__(self, directory: str) -> None:
        self.directory, self.session = directory, RecordedSession()
        self.gateway = GatewayOfSession(self.session)
        self.bot: subprocess.Popen[bytes] | None = None
        with self.book() as book:
            book.append("account/ACC1/-", AccountOpened(starting_balance=D(50_000), currency="USD"))
            definition = ContractDefined(
                symbol="MNQZ6", multiplier=D(2), tick_size=D("0.25"), currency="USD", broker_ids=(CONTRACT_ID,)
            )
            book.append("contract/-/MNQZ6", definition)

    @contextlib.contextmanager
    def book(self) -> Iterator[Book]:
        with eventstore.open(self.directory) as store, projections.open(store, snapshots=False) as book:
            yield book

    def start(self) -> None:
        port = self.gateway.server_port
        urls = f"http://127.0.0.1:{port} ws://127.0.0.1:{port}/hubs/user"
        environment = os.environ | {"PROJECTX": f"{urls} {TOKEN} {self.directory} ACC1 4711 {CONTRACT_ID}"}
        self.bot = subprocess.Popen([sys.executable, str(BOT)], env=environment)

    def kill(self) -> None:
        if self.bot is not None and self.bot.poll() is None:
            os.kill(self.bot.pid, signal.SIGKILL)

    def wait_for_end(self) -> None:
        assert self.bot is not None
        assert self.bot.wait(60) == -signal.SIGKILL

    def wait_until(self, is_so: Callable[[Book], bool]) -> None:
        """Wait until the log is as a test wants it, while the bot writes to it."""
        ends = time.monotonic() + 60
        with self.book() as book:
            while not is_so(book):
                assert time.monotonic() < ends, f"{book!r}: {[*book.orders.open()]}"
                assert self.bot is not None
                assert self.bot.poll() is None, "the bot has ended"
                book.reader.wait(book.position, 1)
                book.refresh()


@pytest.fixture
def desk() -> Iterator[Desk]:
    with directory_in_memory() as directory:
        desk = Desk(directory)
        try:
            yield desk
        finally:
            desk.kill()
            if desk.bot is not None:
                desk.bot.wait(60)
            desk.gateway.end()


def is_long(book: Book) -> bool:
    held = book.positions.get("ACC1", "MNQZ6")
    return (held.quantity, held.reported, len(notes(book))) == (D(1), D(1), 1)


def is_long_again(book: Book) -> bool:
    balances = book.accounts.balances("ACC1")
    return len(book.trades.of("ACC1")) == 4 and bool(balances) and balances[0].reported == D("50006.52")


def notes(book: Book) -> list[NoteAdded]:
    return [each.event for each in book.read(types=(NoteAdded,))]  # type: ignore[misc]


def check(book: Book, session: RecordedSession) -> None:
    """Compare the book with what the recording comes to."""
    held = book.positions.get("ACC1", "MNQZ6")
    # Bought at 21000.25 and 21001.5, sold at 21004.25: 4 points of 2 USD; a sale at 21100 was taken back.
    assert (held.quantity, held.average_price, held.realized, held.fees) == (D(1), D("21001.5"), D(8), D("1.11"))
    assert {each.trade_id: each.busted for each in book.trades.of("ACC1")} == {
        "101": False, "102": False, "103": True, "104": False,
    }  # fmt: skip
    assert book.orders.open() == ()
    for tag, broker_id in zip(session.tags, ("9001", "9002"), strict=True):
        order = book.orders.get("ACC1", tag)
        assert order is not None
        assert (order.status, order.cumulative, order.broker_order_id) == (OrderStatus.FILLED, D(1), broker_id)
    # What the platform did is reported, and was never submitted here; nothing else differs.
    assert {each.kind.value for each in reconcile(book, "ACC1")} <= {"UNKNOWN_ORDER"}
    assert session.refused == []
    assert not [each for each in book.read() if each.type == "PositionAdjusted"]


def test_the_bot_misses_nothing_when_it_is_disconnected_and_killed(desk: Desk) -> None:
    desk.start()
    desk.wait_until(is_long)
    assert desk.session.phase == 1
    desk.kill()
    desk.wait_for_end()
    desk.start()
    desk.wait_until(is_long_again)
    with desk.book() as book:
        check(book, desk.session)
        (note,) = notes(book)
        assert "the exchange opens" in note.text
    assert {*desk.session.calls} == {f"Subscribe{each}" for each in ("Accounts", "Orders", "Positions", "Trades")}


@pytest.mark.parametrize("when", ["before_place", "after_place"])
def test_an_order_whose_answer_a_kill_took_is_at_the_gateway_once(desk: Desk, when: str) -> None:
    """It is on record before it is sent: what was not sent is sent with its tag, what was sent is found by it."""

    def once() -> None:
        setattr(desk.session, when, lambda: None)
        desk.kill()

    setattr(desk.session, when, once)
    desk.start()
    desk.wait_for_end()
    desk.start()
    desk.wait_until(lambda book: bool(book.trades.of("ACC1")))
    with desk.book() as book:
        assert len(desk.session.tags) == 1
        assert desk.session.refused == []
        order = book.orders.get("ACC1", desk.session.tags[0])
        assert order is not None
        assert order.cumulative == D(1)


def test_the_bot_is_a_short_program() -> None:
    assert len(BOT.read_text("utf-8").splitlines()) <= 45
