"""Alerts of one log: a thread for each receiver and for the heartbeat, in a trading process or one of its own."""

from __future__ import annotations

import contextlib
import os
import random
import threading
import time
from typing import TYPE_CHECKING

from typing_extensions import override

from eventstore import CorruptJournal, EventStore, ReadOnly, StoreError
from gateways.alerting.feeds import WantedQuotes
from gateways.alerting.heartbeat import Heartbeat, PricesLock
from gateways.alerting.receiving import Receiving
from gateways.alerting.sending import send
from gateways.alerting.settings import AlertSettings
from gateways.alerting.states import Sight
from gateways.alerting.verifying import TailCheck
from gateways.alerting.wellness import problems
from projections import Book
from projections import open as open_book

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from gateways.alerting.sending import Send
    from gateways.alerting.waiting import RetryPace
    from gateways.alerting.wellness import Problem
    from projections import Worker

PAUSE_SECONDS = 0.05
"""How long a receiver's thread rests at least, however much is appended."""
STOP_SECONDS = 15.0
HEARTBEAT_SECONDS = 1.0
"""How often it is looked whether the heartbeat is due, and nobody else's."""


class Alerts:
    """Alerts the receivers of a log about what its records say, and what this process sees.

    Each receiver has a thread; no lookup waits for one, and none holds the book's lock while it sends. `follow` keeps
    the book current, for a process that does nothing else with it.
    """

    def __init__(
        self,
        book: Book,
        settings: AlertSettings,
        *,
        workers: tuple[Worker, ...] = (),
        follow: bool = False,
        jitter: random.Random | None = None,
        pace: RetryPace | None = None,
        sender: Send = send,
        ping: Callable[[str], None] | None = None,
        report: Callable[[str], None] | None = None,
    ) -> None:
        store = book.reader
        if not isinstance(store, EventStore) or store.read_only:
            msg = "alerts are recorded in the log: open it on this machine, without read_only"
            raise ReadOnly(msg)
        self.error: BaseException | None = None
        """What ended a thread; None while all run."""
        self.heartbeat: Heartbeat | None = None
        self._book, self._store, self._workers, self._follows = book, store, workers, follow
        self._stop, self._abandoned = threading.Event(), threading.Event()
        self._wanted, self._tail = WantedQuotes(store), TailCheck(store)
        self._prices = PricesLock(store)
        # Drawn from the system, so that processes that lost one receiver do not all return at the same moment.
        jitter = jitter or random.Random(os.urandom(8))
        self.receivers = [
            Receiving(store, each, jitter, pace=pace, sender=sender, report=report) for each in settings.receivers
        ]
        if settings.heartbeat:
            self.heartbeat = Heartbeat(store, settings.heartbeat, self.problems, ping=ping, report=report)
        self._threads = [
            threading.Thread(target=self._run, args=(each,), name=f"alerts to {each.receiver.name}", daemon=True)
            for each in self.receivers
        ]
        if self.heartbeat is not None:
            self._threads.append(threading.Thread(target=self._beat, name="heartbeat", daemon=True))

    def start(self) -> Self:
        """Begin to alert: what is recorded from now on is sent, by this process or a later one."""
        for receiving in self.receivers:
            receiving.begin()
        for thread in self._threads:
            thread.start()
        return self

    def stop(self, timeout: float = STOP_SECONDS) -> None:
        """Attempt once more what is due, for at most `timeout` seconds, and end; the next process sends what waits."""
        self._stop.set()
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(deadline - time.monotonic(), 0))
        self._abandoned.set()
        self._prices.release()

    def run_once(self, timeout: float) -> None:
        """Alert about what is recorded and lasts now, without threads, until all is sent or given up."""
        deadline = time.monotonic() + timeout
        for receiving in self.receivers:
            receiving.begin()
        try:
            for receiving in self.receivers:
                self._step(receiving)
                if not receiving.is_keeper:
                    receiving.trouble = "another process alerts it: nothing was sent from here"
                while not receiving.is_idle and receiving.is_keeper and time.monotonic() < deadline:
                    self._stop.wait(receiving.pause())
                    self._step(receiving)
        finally:
            for receiving in self.receivers:
                receiving.end()
            self._prices.release()

    def problems(self) -> list[Problem]:
        """Return what is not in order: why there is no heartbeat."""
        self._update()
        return problems(self._book, self._store, self._wanted, self._tail, has_prices=self._has_prices)

    @property
    def troubles(self) -> dict[str, str]:
        """What failed last with each receiver, by its name; without those that all is sent to."""
        return {each.receiver.name: each.trouble for each in self.receivers if each.trouble}

    @property
    def waiting(self) -> dict[str, int]:
        """How many alerts wait for each receiver, by its name."""
        return {each.receiver.name: len(each.queue) for each in self.receivers}

    @property
    def _has_prices(self) -> bool:
        # Policies need the quotes, and get them from the process that they run in.
        return self._book.listener is not None

    def _run(self, receiving: Receiving) -> None:
        try:
            while not self._stop.is_set():
                self._step(receiving)
                self._wait(receiving)
            # A program that ends after a lockout must not leave it unsent until it is started again.
            self._step(receiving)
            receiving.end()
        except Exception as error:  # noqa: BLE001 - not swallowed: `error` and `repr` show it, and the command ends
            self.error = error

    def _wait(self, receiving: Receiving) -> None:
        self._stop.wait(PAUSE_SECONDS)
        seconds, position = receiving.pause(), receiving.position
        if position is None:
            self._stop.wait(seconds)
            return
        try:
            self._store.wait(position, min(seconds, 0.25))
        except StoreError as e:
            receiving.trouble = str(e)
            self._stop.wait(seconds)

    def _step(self, receiving: Receiving) -> None:
        try:
            self._update()
            canceled = self._abandoned if self._stop.is_set() else self._stop
            receiving.step(lambda: self._sight(receiving), canceled)
        except CorruptJournal as e:
            self._tail.note(e)
            receiving.trouble = str(e)
        except (StoreError, OSError) as e:
            receiving.trouble = str(e)

    def _update(self) -> None:
        """Read what states rest on; what fails here is noticed by the states themselves."""
        self._tail.update()
        try:
            if self._follows:
                self._book.refresh()
            self._wanted.update()
        except CorruptJournal as e:
            self._tail.note(e)

    def _sight(self, receiving: Receiving) -> Sight:
        judges = self._prices.judges(has_prices=self._has_prices)
        return Sight(
            self._book,
            self._store,
            receiving.receiver,
            self._wanted,
            self._tail,
            self._workers,
            has_prices=self._has_prices,
            judges_prices=judges and (self._has_prices or receiving.is_keeper),
            is_keeper=receiving.is_keeper,
        )

    def _beat(self) -> None:
        heartbeat = self.heartbeat
        assert heartbeat is not None, "started with one"
        try:
            while not self._stop.wait(HEARTBEAT_SECONDS):
                heartbeat.step(judges=self._prices.judges(has_prices=self._has_prices))
            heartbeat.release()
        except Exception as error:  # noqa: BLE001 - not swallowed, as in `_run`; and there is silence, which is the alarm
            self.error = error

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    @override
    def __repr__(self) -> str:
        waiting = ", ".join(f"{name}: {count} waiting" for name, count in self.waiting.items())
        ended = f", ended: {self.error}" if self.error is not None else ""
        return f"<Alerts of {self._store.log} ({waiting or 'no receivers'}){ended}>"


@contextlib.contextmanager
def started_for(
    source: EventStore | Book, *directories: Path, report: Callable[[str], None] | None = None
) -> Iterator[Alerts | None]:
    """Alert as long as the context lasts, if an eventstore.toml in one of these directories says so; yield None else.

    `source` is the book of a trading process, or a store, for which a book is opened that follows it.
    """
    settings = AlertSettings.load(*directories)
    if settings.is_empty:
        yield None
        return
    if isinstance(source, Book):
        with Alerts(source, settings, report=report) as alerts:
            yield alerts
        return
    with open_book(source) as book, Alerts(book, settings, follow=True, report=report) as alerts:
        yield alerts
