"""A worker of a group: folds the accounts of its shares, decides for them, and hands them over to others that join."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from typing_extensions import override

from eventstore import Closed, CorruptJournal, Fenced, LogHasEnded, Overloaded, StoreError
from eventstore.trading import GroupDefined
from projections.book import Book
from projections.membership import (
    BEAT_SECONDS,
    SILENT_SECONDS,
    Evicted,
    GroupMember,
    HeldShares,
    NotOwner,
    is_living,
    share_numbers,
)
from projections.opening import open_as
from projections.replay import as_of
from projections.risk.policies import Policies, is_transient
from projections.risk.policies.area import folds_groups
from projections.shares import share_of
from projections.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Sequence
    from types import TracebackType
    from typing import Self

    from eventstore import Event, EventStore
    from eventstore.side import SeenMember
    from projections.opening import OpenOptions
    from projections.risk.policies import Policy
    from projections.worker import CutPolicy

T = TypeVar("T")

LOOK_SECONDS = 0.1
RETRY_SECONDS = 0.5


class _Life(NamedTuple):
    """What runs for the shares that are held: until they change."""

    held: HeldShares
    book: Book
    worker: Worker
    policies: Policies


class GroupWorker:
    """Works on a part of a log's accounts, in threads of its own, until it is stopped.

    Its shares follow from who else is a member. Where they change, its policies end, their cursors and a cut of each
    share are written, what is given up is released, and a new book begins from the newest cuts. Every append of a
    policy, every cut and every cursor rests on the locks of its shares: after one is lost, nothing is published for it.
    """

    def __init__(
        self,
        member: GroupMember,
        store: EventStore,
        policies: Callable[[], Sequence[Policy]],
        *,
        options: OpenOptions | None = None,
        cuts: CutPolicy | None = None,
    ) -> None:
        self.member = member
        self.error: Exception | None = None
        """What ended it: it was evicted, closed, or the log is damaged; None while it runs."""
        self._unreached: StoreError | None = None
        self._failed: BaseException | None = None
        self.members: list[SeenMember] = []
        """The group's members, at most a second ago."""
        self._seen_at = 0.0
        self._store, self._policies, self._options, self._cuts = store, policies, options or {}, cuts
        self._life: _Life | None = None
        self._opened_to = 0
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self._beats = threading.Thread(target=self._beat, name=f"beats of {member.id}", daemon=True)
        self._thread = threading.Thread(target=self._run, name=f"member {member.id}", daemon=True)

    def start(self) -> Self:
        self.member.join()
        self._beats.start()
        self._thread.start()
        return self

    def stop(self) -> None:
        """Hand over all shares and leave the group; raise what ended it, if anything did."""
        self._stop.set()
        for thread in (self._beats, self._thread):
            if thread.ident is not None:
                thread.join()
        with contextlib.suppress(StoreError):  # the server frees them as well, after three seconds
            self.member.leave()
        if self.error is not None:
            raise self.error

    # Questions

    @property
    def trouble(self) -> BaseException | None:
        """Why it works on nothing at present, as while the server cannot be reached; it is tried again."""
        return self._unreached or self._failed

    @property
    def book(self) -> Book | None:
        """The book of the shares that are held; None while there are none, or while they change."""
        life = self._life
        return None if life is None else life.book

    @property
    def shares(self) -> frozenset[int]:
        """The shares that this member works on now."""
        life = self._life
        return frozenset() if life is None else frozenset(life.held.fences())

    @property
    def position(self) -> int:
        """How far it has folded the log."""
        book = self.book
        return self._opened_to if book is None else book.position

    def stopped_policies(self) -> tuple[str, ...]:
        """Return why policies have stopped, and for which accounts; nothing while no policies run."""
        life = self._life
        if life is None:
            return ()
        with life.book.paused():
            found = (*life.policies.stopped.values(), life.policies.error)
            # Where a share was lost, they begin again with what is held.
            return tuple(str(each) for each in found if each is not None and not isinstance(each, Fenced))

    def owns(self, account: str) -> bool:
        """Return whether this member works on an account now; never after two seconds without a beat."""
        return share_of(account) in self.shares

    def book_of(self, account: str) -> Book:
        """Return a book that has an account: the live one of its owner, else one from the newest cut and its tail.

        Both say their log position.
        """
        book = self.book
        if book is not None and self.owns(account):
            book.keep_up()
            # Asked again: it may have been lost while the book caught up.
            if self.owns(account):
                return book
        return as_of(self._store, account=account)

    def ask(self, account: str, question: Callable[[Book], T]) -> T:
        """Answer a question about an account from the live book, up to date; raise NotOwner where it is another's.

        Also where it was lost while the question was answered, whatever became of that.
        """
        life = self._life
        try:
            if life is None or not self._works(life, account):
                raise NotOwner(account, self.member.id)
            life.book.keep_up()
            return question(life.book)
        finally:
            # A book that ends meanwhile stands still: neither its answer nor its refusal is the owner's.
            if life is None or not self._works(life, account):
                raise NotOwner(account, self.member.id)

    def ask_cut(self, account: str, question: Callable[[Book], T]) -> T:
        """Answer a question about any account, another member's too, from its newest cut and the records after it.

        The book has the accounts that are judged together with this one, and the worker's own calendars.
        """
        accounts = {account} | _in_groups_with(self._store, {account})
        options: OpenOptions = {**self._options, "accounts": sorted(accounts)}
        with open_as(Book, self._store, options) as book:
            return question(book)

    def owner(self, account: str) -> SeenMember | None:
        """Return the other member that works on an account, as far as is known; None for one silent for two seconds."""
        share, age = share_of(account), time.monotonic() - self._seen_at
        for each in self.members:
            if share in share_numbers(each.locks) and each.id != self.member.id:
                return each if is_living(each) and each.silent_seconds + age < SILENT_SECONDS else None
        return None

    def _works(self, life: _Life, account: str) -> bool:
        """Return whether a life is still the one that is lived, and has never lost the share of an account."""
        return life is self._life and share_of(account) in life.held.fences()

    def observe(self, stream: str, event: Event) -> None:
        """Observe an event, as a quote, in the live book; nothing is observed while there is none."""
        book = self.book
        if book is not None:
            book.observe(stream, event)

    def wait(self, shares: int, timeout: float) -> bool:
        """Wait at most `timeout` seconds until it works on so many shares, and return whether it does."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while len(self.shares) != shares and self.error is None:
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(min(left, LOOK_SECONDS))
        return len(self.shares) == shares

    # Its threads

    def _beat(self) -> None:
        while not self._stop.is_set() and self.error is None:
            try:
                asked_at = time.monotonic()
                self.members = self.member.beat(self.position)
                self._seen_at = asked_at
                self._unreached = None
            except Evicted as error:
                self.error = error
            except StoreError as error:
                self._unreached = error
            except Exception as error:  # noqa: BLE001 - as below: a member that does not beat must not seem to work
                self.error = error
            self._stop.wait(BEAT_SECONDS)

    def _run(self) -> None:
        try:
            while not self._stop.is_set() and self.error is None:
                if self._must_change():
                    self._change()
                self._stop.wait(LOOK_SECONDS)
        except Exception as error:  # noqa: BLE001 - whatever ends it, its shares must become another member's
            self.error = error
        finally:
            self._end()
            if self.error is not None:
                self._beats.join()
                _quietly(self.member.leave)
            with self._changed:
                self._changed.notify_all()

    def _must_change(self) -> bool:
        """Return whether what runs is not what should run."""
        member = self.member
        if self.members and member.lacks(self.members):
            return True
        return bool(member.held) if self._life is None else self._must_end(self._life)

    def _must_end(self, life: _Life) -> bool:
        """Return whether what runs must end: it has shares that it should not have, or has failed."""
        self._failed = failed = life.worker.error or (
            life.policies.error if isinstance(life.policies.error, Fenced | LogHasEnded) else None
        )
        if isinstance(failed, Closed | CorruptJournal | LogHasEnded):
            raise failed
        if failed is not None or self.member.excess(self.members):
            return True
        if not life.held.are_all_held or not folds_groups(life.book, life.held.shares):
            return True
        # What a policy missed while the store failed it is decided on from its cursor, once more.
        return any(is_transient(each.error) for each in list(life.policies.stopped.values()))

    def _change(self) -> None:
        """End what runs, give up and take shares, and begin again with what is held then."""
        if self._failed is not None and not isinstance(self._failed, Fenced):
            # Not at once: what fails again and again would take all of the processor.
            self._stop.wait(RETRY_SECONDS)
        if self._life is not None and self._must_end(self._life):
            self._end()
        try:
            self._failed = self._divide()
            if self._life is None or not self._life.held.are_all_held:
                self._end()
                if self.member.held:
                    self._life = self._begin(HeldShares(self.member))
        except (Closed, CorruptJournal):
            raise
        except StoreError as error:
            # The server was lost, or a share meanwhile: tried again, from the newest cuts.
            self._failed = error
            self._stop.wait(RETRY_SECONDS)
        with self._changed:
            self._changed.notify_all()

    def _divide(self) -> Overloaded | None:
        """Give up the shares that are others', and take those that nobody has; return why none could be taken."""
        if self._life is None:
            self.member.release(self.member.excess(self.members))
        try:
            self.member.take(self.members)
        except Overloaded as error:
            # A process that had one of them is in a transaction still: what is held is worked on meanwhile.
            return error
        return None

    def _begin(self, held: HeldShares) -> _Life:
        shares = held.shares | _in_groups_with(self._store, held.shares)
        options: OpenOptions = {**self._options, "accounts": shares, "progress": self._note_progress}
        book = open_as(Book, self._store, options)
        book.shares_held = held.fences
        try:
            worker = Worker(self._store, book, policy=self._cuts).start()
            try:
                policies = Policies(book, self._policies(), owner=held).start()
            except BaseException:
                _quietly(worker.stop)
                raise
        except BaseException:
            book.close()
            raise
        return _Life(held, book, worker, policies)

    def _note_progress(self, done: int, _all: int) -> None:
        self._opened_to = done

    def _end(self) -> None:
        """End what runs: policies first, whose cursors are written, then the worker, which writes a last cut."""
        life, self._life = self._life, None
        if life is not None:
            self._opened_to = life.book.position
            for end in (life.policies.stop, life.worker.stop, life.book.close):
                _quietly(end)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    @override
    def __repr__(self) -> str:
        state = f", {self.error or self.trouble}" if self.error or self.trouble else ""
        where = f"{len(self.shares)} shares at {self.position}"
        return f"<GroupWorker {self.member.id} of {self.member.group}, {where}{state}>"


def _in_groups_with(store: EventStore, accounts: Container[str]) -> frozenset[str]:
    """Return the members of all groups of accounts that one of some is or was in: they are judged together."""
    found: set[str] = set()
    for record in store.read(stream="group/", types=(GroupDefined,)):
        event = record.event
        if isinstance(event, GroupDefined) and any(each in accounts for each in event.accounts):
            found.update(event.accounts)
    return frozenset(found)


def _quietly(end: Callable[[], object]) -> None:
    """End a part of what runs; what fails then is another member's to do, or is recorded in the log already."""
    with contextlib.suppress(Exception):
        end()
