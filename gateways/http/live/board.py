"""The board: what sockets show of accounts, asked of the book once for all of them, and only while somebody looks."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import msgspec

from eventstore import Closed, StoreError
from eventstore.remote.problems import problem_of
from gateways.http.answering import document_of
from gateways.http.live.topics import TOPICS, WHOLE
from projections.view import SHARED

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from gateways.http.live.ring import Segment
    from gateways.http.service import Service
    from projections import Book

logger = logging.getLogger("eventstore.http")

LOOK_SECONDS = 0.05
AT_ONCE_MAX = 200
"""So many (topic, account) pairs are looked at in one call to the book; the others follow at once."""


class AccountTopic(NamedTuple):
    """What a socket looks at: a topic of an account."""

    topic: str
    account: str


class Shown(NamedTuple):
    """What the book says of a subject: its items, or why they are not known, at a log position."""

    position: int
    items: Mapping[str, bytes]
    problem: dict[str, Any] | None = None


class Looker(Protocol):
    """A socket, as far as the board knows it."""

    def subjects(self, accounts: Collection[str]) -> Iterable[AccountTopic]:
        """Yield what is looked at; `accounts` are all that are known."""

    def show(self, subject: AccountTopic, message: bytes, *, whole: bool) -> None:
        """Take the message that shows what has changed of a subject, or the whole of it."""

    def end(self, document: dict[str, Any]) -> None:
        """End soon, with a problem document that says why."""


class Board:
    """Keeps what was last shown of each subject, so that only changes are sent."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._lookers: set[Looker] = set()
        self._task: asyncio.Task[None] | None = None
        self._shown: dict[AccountTopic, dict[str, Any]] = {}
        self._problems: dict[AccountTopic, dict[str, Any]] = {}
        self._due: dict[AccountTopic, float] = {}
        self._looked: dict[AccountTopic, float] = {}
        self._touched: set[str] = set()
        self._timed = 0.0
        # What is computed later is shown later: no older state overtakes a newer one.
        self._asking = asyncio.Lock()

    def join(self, looker: Looker) -> None:
        """Take a socket, which will be shown what changes."""
        self._lookers.add(looker)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._look())
            self._task.add_done_callback(self._ended)

    def leave(self, looker: Looker) -> None:
        """Let a socket go; with the last one, the board ends."""
        self._lookers.discard(looker)
        if not self._lookers and self._task is not None:
            self._task.cancel()
            self._task = None
            for known in (self._shown, self._problems, self._due, self._looked):
                known.clear()

    def take(self, segment: Segment) -> None:
        """Note which accounts new records are of."""
        if self._lookers:
            self._touched.update(record.account for record in segment.records)

    @property
    def accounts(self) -> tuple[str, ...]:
        """The accounts that something is known of."""
        return self._service.book.accounts.active()

    async def present(self, looker: Looker, subjects: Collection[AccountTopic]) -> None:
        """Show a socket the whole of some subjects as they are now."""
        async with self._asking:
            answers = await self._service.ask(lambda book: [_asked(book, subject, {}) for subject in subjects])
            for subject, (shown, state) in zip(subjects, answers, strict=True):
                self._shown.setdefault(subject, state)
                looker.show(subject, message_of(subject, shown, whole=True), whole=True)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self._round(asyncio.get_running_loop().time())

    def _ended(self, task: asyncio.Task[None]) -> None:
        """End every socket that looks, when the book cannot be asked: silence would look as if nothing changed."""
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):
            if isinstance(error, StoreError) and not isinstance(error, Closed):
                logger.error("what sockets show cannot be looked at", exc_info=error)
            for looker in list(self._lookers):
                looker.end(document_of(error, ""))

    async def _round(self, now: float) -> None:
        """Look at what new records, or time, may have changed."""
        touched, self._touched = self._touched, set()
        is_timed = now - self._timed >= 1.0
        if not touched and not is_timed and not self._due:
            return
        if is_timed:
            self._timed = now
        lookers = self._by_subject()
        for subject in lookers:
            topic = TOPICS[subject.topic]
            if subject.account in touched or SHARED in touched or (is_timed and topic.by_time):
                self._due.setdefault(subject, max(now, self._looked.get(subject, 0.0) + topic.seconds))
        due = [subject for subject, at in self._due.items() if at <= now]
        for subject in due:
            del self._due[subject]
            self._looked[subject] = now
        asked = [subject for subject in due if subject in lookers]
        for first in range(0, len(asked), AT_ONCE_MAX):
            await self._compare(asked[first : first + AT_ONCE_MAX], lookers)

    def _by_subject(self) -> dict[AccountTopic, list[Looker]]:
        accounts = self.accounts
        found: dict[AccountTopic, list[Looker]] = {}
        for looker in self._lookers:
            for subject in looker.subjects(accounts):
                found.setdefault(subject, []).append(looker)
        return found

    async def _compare(self, subjects: list[AccountTopic], lookers: Mapping[AccountTopic, list[Looker]]) -> None:
        async with self._asking:
            known = {subject: self._shown.get(subject, {}) for subject in subjects}
            answers = await self._service.ask(
                lambda book: [_asked(book, subject, shown) for subject, shown in known.items()]
            )
            for subject, (shown, state) in zip(subjects, answers, strict=True):
                self._shown[subject] = state
                if not shown.items and shown.problem == self._problems.get(subject):
                    continue
                self._problems.pop(subject, None)
                if shown.problem is not None:
                    self._problems[subject] = shown.problem
                whole = TOPICS[subject.topic].is_whole
                message = message_of(subject, shown, whole=whole)
                for looker in lookers[subject]:
                    looker.show(subject, message, whole=whole)


def _asked(book: Book, subject: AccountTopic, shown: Mapping[str, Any]) -> tuple[Shown, dict[str, Any]]:
    """Return what has changed of a subject, and what is shown then; runs in a thread."""
    with book.paused():
        position = book.position
        try:
            items, state = TOPICS[subject.topic].items(book, subject.account, shown)
        except StoreError as e:
            # One account's trouble is shown in its place: nothing may look as if it were known.
            return Shown(position, {}, problem_of(e)), {}
        return Shown(position, items), state


def message_of(subject: AccountTopic, shown: Shown, *, whole: bool) -> bytes:
    """Return the message that shows a subject: `state` is a list, of all its items or of those that changed."""
    head: dict[str, Any] = {
        "type": "state",
        "topic": subject.topic,
        "account": subject.account,
        "log_position": shown.position,
        "whole": whole,
    }
    if shown.problem is not None:
        return msgspec.json.encode(head | {"type": "error", "problem": shown.problem})
    one = shown.items.get(WHOLE)
    state = b"[%b]" % b",".join(shown.items.values()) if one is None else one
    return msgspec.json.encode(head | {"state": msgspec.Raw(state)})
