"""Lockouts as intervals: since when, until when, by which record, and what ended each."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from eventstore import EventStore, InvalidEvent, SystemClock
from eventstore.arguments import accounts_of
from eventstore.clock import derived_times, to_ns, wall_ns
from eventstore.errors import shown
from eventstore.trading import Allows, LockoutExtended, LockoutSet
from projections.analysis.columns import Column, Kind, exact_of
from projections.analysis.frame import Frame
from projections.analysis.progress import Progress
from projections.analysis.row_batches import batches_of
from projections.analysis.sources import AXES, OCCURRED, RECORDED, opened
from projections.fold import Fold
from projections.fold_reader import FoldReader
from projections.views.lockouts.view import Lockouts, LockoutsView

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from eventstore import EventReader
    from eventstore.clock import Times
    from projections.analysis.columns import Exact
    from projections.analysis.sources import Source
    from projections.views.lockouts.lockout import Lockout

LOCKOUTS = (
    Column("account", Kind.TEXT),
    Column("rule_id", Kind.TEXT),
    Column("scope", Kind.TEXT),
    Column("allows", Kind.ENUM, tuple(each.value for each in Allows)),
    Column("set_at", Kind.INSTANT),
    Column("ended_at", Kind.INSTANT),
    Column("until", Kind.INSTANT),
    Column("revocable", Kind.BOOLEAN),
    Column("reason", Kind.TEXT),
    Column("cause", Kind.TEXT),
    Column("set_position", Kind.INTEGER),
    Column("end_position", Kind.INTEGER),
)
_NOT_ENDING = frozenset({LockoutSet.__name__, LockoutExtended.__name__})


def lockouts(
    store: Source,
    account: str | None = None,
    *,
    start: Times | None = None,
    stop: Times | None = None,
    time: str = OCCURRED,
    exact: Exact = False,
    progress: bool | None = None,
) -> Frame:
    """Return every lockout of one account or of all, a row for each, in the order they were set.

    `ended_at` is when it was cleared, replaced or over; null while it is in force. `until` is the end that it was set
    to, null for one without. `cause` is the id of the record that set it, `set_position` its log position;
    `end_position` is that of the record that ended it, null where it ended by time alone.

    `start` and `stop` choose those that were in force at some instant from `start` on and before `stop`. By `time`
    "occurred" each is as known now, by "recorded" as known at `stop`.
    """
    if time not in AXES:
        msg = f"time is {' or '.join(map(repr, AXES))}, not {shown(time)}"
        raise InvalidEvent(msg)
    if account is not None:
        accounts_of((account,))
    exact_of(exact)
    first, last = (None if bound is None else to_ns(bound) for bound in (start, stop))
    with opened(store) as reader:
        until, now = reader.head(), _now(reader)
        if time == RECORDED and last is not None:
            with derived_times():
                until, now = min(until, reader.position_at(max(last - 1, 0))), min(now, last - 1)

    def rows() -> Iterator[tuple[Any, ...]]:
        with opened(store) as source, Progress(until, progress) as shown_progress:
            for row in _rows(source, account, until, now):
                shown_progress.at(row[10])
                set_at, ended_at = row[4], row[5]
                if (last is None or set_at < last) and (first is None or ended_at is None or ended_at > first):
                    yield row

    return Frame(LOCKOUTS, lambda: batches_of(rows(), LOCKOUTS, exact=False), exact=False, title="lockouts")


def _now(reader: EventReader) -> int:
    return wall_ns(reader.clock if isinstance(reader, EventStore) else SystemClock())


def _rows(reader: EventReader, account: str | None, until: int, now: int) -> Iterator[tuple[Any, ...]]:
    fold = Fold()
    fold.log_position = until
    questions = Lockouts(FoldReader(reader, fold, None, None))
    kinds: dict[str, dict[int, str]] = {}
    for page in reader.rows(("stream", "type"), until=until, account=account, types=LockoutsView.types):
        for position, stream, kind in page:
            kinds.setdefault(stream.split("/", 2)[1], {})[position] = kind
    for name in sorted(kinds):
        found = questions.history(name)
        for each in found:
            ends_at, cause = each.ends_at, str(uuid.UUID(bytes=each.cause))
            ended_at = each.ended_at
            if ended_at is None and ends_at is not None and ends_at <= now:
                ended_at = ends_at
            yield (
                name, each.rule_id, each.scope, each.allows, each.set_at, ended_at, each.until, each.revocable,
                each.reason, cause, each.positions[0], _end_position(each, found, kinds[name]),
            )  # fmt: skip


def _end_position(lockout: Lockout, every: Sequence[Lockout], kinds: Mapping[int, str]) -> int | None:
    """Return the log position of the record that ended a lockout, None if none did."""
    if lockout.ended_at is None:
        return None
    if lockout.ended_by == "replaced":
        key = (lockout.rule_id, lockout.scope)
        later = [each.positions[0] for each in every if (each.rule_id, each.scope) == key]
        return min((each for each in later if each > lockout.positions[-1]), default=None)
    last = lockout.positions[-1]
    # What is over is found to be so by the next record of its rule, which did not end it.
    return None if kinds.get(last) in _NOT_ENDING else last
