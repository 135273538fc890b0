"""Folding a log from its first record in several processes, each with accounts of its own."""

from __future__ import annotations

import sys
import time
import warnings
from collections import Counter
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from typing_extensions import override

from eventstore import EventStore, InvalidEvent, children
from eventstore.errors import shown
from eventstore.events.registry import by_class
from projections.builtin import builtin_views
from projections.cuts.states import encoded, lineage_of
from projections.fold import Fold
from projections.reading import PAGE, tail
from projections.tiers import Tiers
from projections.view import SHARED, View, is_by_account
from projections.views.executions.view import ExecutionsView
from projections.views.orders.view import OrdersView

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from eventstore import EventReader, Record
    from projections.reading import Progress

RECORDS_MIN = 200_000
"""So many records are worth another process: it takes a third of a second to start, and its states must be decoded."""
PROCESSES_MAX = 4
"""Each process reads the whole log, so that a fifth one would gain little."""
SAMPLES, SAMPLE_RECORDS = 20, 250
ALONE_SHARE_MAX = 0.8
"""If this process would still fold more than this share of the log, it folds all of it."""
WAIT_SECONDS = 10.0
WAIT_TIMES = 4
"""Another process may take this many times as long as this one took for its own accounts, and WAIT_SECONDS."""

V = TypeVar("V")


class ParallelWarning(UserWarning):
    """A process that was to fold some accounts failed, and this one folded them: slower, never wrong."""


class Request(msgspec.Struct, frozen=True):
    """What another process folds: the accounts of one log up to a position, into views known by name and lineage."""

    directory: str
    log_id: bytes
    until: int
    accounts: frozenset[str]
    lineages: dict[str, bytes]


class FoldAnswer(msgspec.Struct, frozen=True):
    """Encoded states by view and account. `is_parked`: a view failed, which the asking process must see for itself."""

    states: dict[str, dict[str, bytes]]
    is_parked: bool


def processes_of(given: object) -> int | None:
    """Return how many processes fold, None for as many as pays; raise InvalidEvent for other values."""
    if given is None:
        return None
    if type(given) is not int or not 1 <= given <= PROCESSES_MAX:
        msg = f"processes is a number from 1 to {PROCESSES_MAX}, or None for as many as pays, not {shown(given)}"
        raise InvalidEvent(msg)
    return given


def fold_in_processes(
    fold: Fold, reader: EventReader, until: int, processes: int | None, progress: Progress | None = None
) -> bool:
    """Fold a log from its first record into an empty fold of all accounts; return whether that was done.

    Nothing is folded where it does not pay, or the fold is not empty. This process has its own share of the accounts,
    what belongs to none, and the views that no other can have: those of one's own, whose settings it would not know.
    """
    count = _count(until, processes)
    directory = reader.directory if isinstance(reader, EventStore) else None
    if count == 1 or directory is None or fold.log_position:
        return False
    views = [view_state.view for view_state in fold.slots.values()]
    divided = [view for view in views if _is_divisible(view)]
    # Reading takes as long in each process: without one of these two views there is little else to divide.
    if not any(isinstance(view, OrdersView | ExecutionsView) for view in divided):
        return False
    shares = _shares(reader, until, count, is_asked=processes is not None)
    if not shares:
        return False
    others = [_Process(reader, directory, share, divided, until) for share in shares]
    try:
        for other in others:
            other.start()
        own = Fold(divided)
        whole = Fold(view for view in views if not _is_divisible(view))
        elsewhere = frozenset[str]().union(*shares)
        began = time.monotonic()
        fold_accounts(own, reader, until, lambda account: account not in elsewhere, whole=whole, progress=progress)
        wait_seconds = WAIT_SECONDS + WAIT_TIMES * (time.monotonic() - began)
        for other in others:
            other.add_to(own, wait_seconds)
    finally:
        for other in others:
            other.end()
    for part in (own, whole):
        fold.take_over(part)
    fold.log_position = until
    return True


def fold_accounts(
    fold: Fold,
    reader: EventReader,
    until: int,
    has: Callable[[str], bool],
    *,
    whole: Fold | None = None,
    progress: Progress | None = None,
) -> None:
    """Fold records of some accounts and those that concern all; into `whole`, if it has views, every record."""
    everywhere = {by_class(cls).name for view_state in fold.slots.values() for cls in view_state.view.broadcast}
    chosen: list[Record] = []
    for page in tail(reader, 0, until, None):
        # Reading every record and passing over others before they are decoded takes less time than one look-up for
        # each record in the index of accounts.
        chosen += [
            record
            for record in page
            if has(account := record.stream.split("/", 2)[1]) or account == SHARED or record.type in everywhere
        ]
        if len(chosen) >= PAGE:
            fold.apply(chosen)
            chosen = []
        if whole is not None and whole.slots:
            whole.apply(page)
        if progress is not None:
            progress(page[-1].position, until)
    fold.apply(chosen)


def answer_to(request: Request, reader: EventReader) -> FoldAnswer:
    """Fold what is asked for; raise ValueError where this process has another log, or other views."""
    if reader.log_id != request.log_id or reader.head() < request.until:
        msg = f"{request.directory} has another log, or less of it"
        raise ValueError(msg)
    views = [view for view in builtin_views() if view.name in request.lineages]
    found = {view.name: lineage_of(view, request.log_id) for view in views}
    if found != request.lineages:
        msg = "this process has other views: the installed package was changed while the other process ran"
        raise ValueError(msg)
    fold = Fold(views)
    fold_accounts(fold, reader, request.until, request.accounts.__contains__)
    states = {
        name: {account: encoded(state) for account, state in view_state.states.items() if account in request.accounts}
        for name, view_state in fold.slots.items()
    }
    return FoldAnswer(states, any(view_state.parked for view_state in fold.slots.values()))


def _is_divisible(view: View[Any]) -> bool:
    """Return whether another process can fold some accounts of a view: a built-in one, with its usual settings."""
    usual = {type(each): each for each in builtin_views()}.get(type(view))
    return usual is not None and is_by_account(view) and _settings(view) == _settings(usual)


def _settings(view: View[Any]) -> dict[str, Any]:
    # Tiers are a cache beside the fold: the states are the same without them.
    return {name: None if isinstance(value, Tiers) else value for name, value in vars(view).items()}


def _count(until: int, processes: int | None) -> int:
    """Return how many processes to use, this one included."""
    if not sys.executable or until == 0:
        return 1
    if processes is not None:
        return processes
    if until < RECORDS_MIN:
        return 1
    return min(children.cores(), PROCESSES_MAX)


def _shares(reader: EventReader, until: int, count: int, *, is_asked: bool) -> list[frozenset[str]]:
    """Return the accounts of each other process, by their shares of a sample; none if that would not pay.

    Accounts that are not in the sample stay with this process.
    """
    sampled: Counter[str] = Counter()
    for after in range(0, until, max(until // SAMPLES, SAMPLE_RECORDS)):
        sampled.update(record.account for record in reader.read(after=after, until=until, limit=SAMPLE_RECORDS))
    del sampled[SHARED]
    total = sampled.total()
    # Equal shares: what another process takes to start and to encode its states, this one takes to decode them.
    loads = [0] * count
    accounts: list[set[str]] = [set() for _ in loads]
    for account, records in sampled.most_common():
        lightest = loads.index(min(loads))
        accounts[lightest].add(account)
        loads[lightest] += records
    if loads[0] > ALONE_SHARE_MAX * total and not is_asked:
        return []
    return [frozenset(chosen) for chosen in accounts[1:] if chosen]


class _Process:
    """Another process, and its accounts: `python -m projections.parallel_child`."""

    def __init__(
        self, reader: EventReader, directory: Path, accounts: frozenset[str], views: list[View[Any]], until: int
    ) -> None:
        self._reader, self._accounts, self._views, self._until = reader, accounts, views, until
        lineages = {view.name: lineage_of(view, reader.log_id) for view in views}
        request = Request(str(directory.absolute()), reader.log_id, until, accounts, lineages)
        self._asked = children.AskedProcess(
            "projections.parallel_child", msgspec.msgpack.encode(request), f"parallel fold of {reader.log}"
        )
        self.start, self.end = self._asked.start, self._asked.end

    def add_to(self, fold: Fold, wait_seconds: float) -> None:
        """Add this process's states; fold its accounts here where it failed, or a view failed in it."""
        answer = self._result(wait_seconds)
        states = None if answer is None or answer.is_parked else self._decoded(answer)
        if states is None:
            again = Fold(self._views)
            fold_accounts(again, self._reader, self._until, self._accounts.__contains__)
            states = {name: self._own(view_state.states) for name, view_state in again.slots.items()}
            for name, view_state in again.slots.items():
                fold.slots[name].parked.update(self._own(view_state.parked))
        for name, by_account in states.items():
            fold.slots[name].states.update(by_account)
            fold.slots[name].changed.update(by_account)
        if error := self._asked.error:
            msg = f"a process that was to fold {len(self._accounts)} accounts failed, and this one did: {error}"
            warnings.warn(msg, ParallelWarning, stacklevel=2)

    def _own(self, by_partition: Mapping[str, V]) -> dict[str, V]:
        return {account: value for account, value in by_partition.items() if account in self._accounts}

    def _result(self, wait_seconds: float) -> FoldAnswer | None:
        answer = self._asked.answer(wait_seconds)
        if answer is None:
            return None
        try:
            return msgspec.msgpack.decode(answer, type=FoldAnswer)
        except msgspec.MsgspecError as e:
            self._asked.error = f"its answer cannot be decoded ({e})"
            return None

    def _decoded(self, answer: FoldAnswer) -> dict[str, dict[str, Any]] | None:
        types = {view.name: type(view.initial()) for view in self._views}
        try:
            decoders = {name: msgspec.msgpack.Decoder(kind) for name, kind in types.items()}
            return {
                name: {account: decoder.decode(raw) for account, raw in answer.states[name].items()}
                for name, decoder in decoders.items()
            }
        except (msgspec.MsgspecError, KeyError) as e:
            self._asked.error = f"its states cannot be decoded ({e})"
            return None

    @override
    def __repr__(self) -> str:
        return f"<_Process of {len(self._accounts)} accounts{f', {self._asked.error}' if self._asked.error else ''}>"
