"""One receiver's thread: follows the log and looks at states, sends what is due, and records what was sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore import CorruptJournal, StoreError
from eventstore.clock import NANOSECONDS, wall_ns
from eventstore.trading import AlertSent
from eventstore.watermarks import Watermark
from gateways.alerting import records
from gateways.alerting.conditions import Alert, Subject, cut, id_of_state
from gateways.alerting.sending import NotDelivered, send
from gateways.alerting.sent import KNOWN_NS, SentAlerts, position_before
from gateways.alerting.states import is_state, is_unknown, states_of
from gateways.alerting.waiting import Queue, RetryPace
from projections.view import SHARED

if TYPE_CHECKING:
    import random
    import threading
    from collections.abc import Callable

    from eventstore import Event, EventStore, Record
    from gateways.alerting.sending import Send
    from gateways.alerting.settings import Receiver
    from gateways.alerting.states import Lasting, Sight
    from gateways.alerting.waiting import Waiting

STATES_NS = NANOSECONDS
"""How often states are looked at; less often where that takes long."""
RECORDS_MAX = 1_000
CURSOR_NS = 10 * NANOSECONDS
CURSOR = "alerts@"
_STATES_SHARE = 10


class Receiving:
    """Alerts one receiver: by one process at a time, whichever has the lock; a log in memory has one process.

    The log position up to which its records are done is a watermark. An older one only means that they are read again.
    """

    def __init__(
        self,
        store: EventStore,
        receiver: Receiver,
        jitter: random.Random,
        *,
        pace: RetryPace | None = None,
        sender: Send = send,
        report: Callable[[str], None] | None = None,
    ) -> None:
        self.receiver, self.trouble = receiver, ""
        self._store, self._clock, self._sender = store, store.clock, sender
        self._report = report or _ignore
        self.sent = SentAlerts(store, receiver.name)
        self.queue = Queue(pace or RetryPace(), jitter, receiver.repeat_after)
        side = store.side
        self._lock = None if side is None else side.lock(f"{CURSOR}{receiver.name}.lock")
        self._marks = None if side is None else side.marks()
        self.is_keeper = False
        self._position = self._sent_position = 0
        self._written: tuple[int, int] | None = None
        self.unrecorded = 0
        """How many alerts are delivered, and not recorded yet: after a kill they are sent once more."""
        self._since: dict[Subject, int] = {}
        self._looked_at, self._look_pause = -STATES_NS, STATES_NS

    def begin(self) -> None:
        """Read what was sent before, and take the receiver unless another process has it."""
        self._sent_position = self._store.head()
        self.sent.load(self._sent_position)
        self.take()

    def take(self) -> None:
        """Take the receiver if no other process has it; then its records are read from the cursor on."""
        if self.is_keeper or not (self._lock is None or self._lock.take()):
            return
        self._position = self._cursor()
        self.is_keeper = True
        self._write_cursor(at_once=True)

    def end(self) -> None:
        """Let another process take it."""
        if self.is_keeper:
            self._write_cursor(at_once=True)
        self.is_keeper = False
        if self._lock is not None:
            self._lock.release()
        if self._marks is not None:
            self._marks.close()

    def step(self, sight: Callable[[], Sight], canceled: threading.Event) -> None:
        """Read what is new, look at states, and send what is due until something fails. Raises StoreError, OSError."""
        self.take()
        try:
            self._read()
        except StoreError as e:
            # That the log cannot be read may be what somebody must be alerted about.
            self.trouble = str(e)
        if self._clock.monotonic_ns() - self._looked_at >= self._look_pause:
            self.look(sight())
        while not canceled.is_set():
            waiting = self.queue.due(self._clock.monotonic_ns())
            if waiting is None:
                break
            self._handle(waiting)
            if not waiting.is_delivered:
                break
        if self.is_keeper:
            self._write_cursor()

    def pause(self) -> float:
        """Return for how many seconds there is nothing to do but to wait for records."""
        now = self._clock.monotonic_ns()
        due = self.queue.next_due
        next_look = self._looked_at + self._look_pause
        until = next_look if due is None else min(due, next_look)
        return min(max(until - now, 0), STATES_NS) / NANOSECONDS

    @property
    def position(self) -> int | None:
        """The log position past which new records are read; None while none are."""
        if not self.is_keeper:
            return self._sent_position
        return self._position if self._can_read else None

    @property
    def is_idle(self) -> bool:
        """Whether all that was read is sent, or given up for now."""
        return self._can_read and all(each.is_given_up for each in self.queue)

    # Noticing

    @property
    def _can_read(self) -> bool:
        # What comes after an alert that is delivered, and not recorded, must not be merged into it.
        return self.queue.has_room and not self.unrecorded

    def _read(self) -> None:
        head = self._store.head()
        if not self.is_keeper:
            for record in self._store.read(after=self._sent_position, until=head, types=AlertSent):
                self.sent.note(record)
            self._sent_position = head
            return
        types: list[type[Event]] = [*records.TYPES, AlertSent]
        count = 0
        for record in self._store.read(after=self._position, until=head, limit=RECORDS_MAX, types=types):
            if not self._can_read:
                return
            self._notice(record)
            self._position, count = record.position, count + 1
        if count < RECORDS_MAX:
            self._position = max(self._position, head)

    def _notice(self, record: Record) -> None:
        if record.type == AlertSent.__name__:
            self.sent.note(record)
            return
        alert = records.alert_of(record)
        if self.receiver.takes(alert.subject.what, alert.subject.account) and not self.sent.is_past(alert):
            self.queue.add(alert, self._clock.monotonic_ns())

    def look(self, sight: Sight) -> None:
        """Look at the states, and let alerts wait about those that began, last or ended."""
        began = self._clock.monotonic_ns()
        if self.is_keeper or sight.has_prices:
            self._compare(states_of(sight), began, sight.book.covers)
        self._looked_at = self._clock.monotonic_ns()
        self._look_pause = max(STATES_NS, _STATES_SHARE * (self._looked_at - began))

    def _compare(self, found: list[Lasting], now: int, covers: Callable[[str], bool]) -> None:
        lasting = {state.subject: state for state in found if state.sentence}
        unknown = [state.subject for state in found if not state.sentence]
        for subject, state in lasting.items():
            since = self._since.setdefault(subject, now)
            if now - since >= state.after and self._is_news(subject, now):
                self._let_wait(subject, state.sentence, ended=False)
        for subject in [each for each in self._since if each not in lasting and not is_unknown(each, unknown)]:
            del self._since[subject]
            waiting = self.queue.waits(subject)
            if waiting is not None and waiting.position is None and not waiting.ended:
                self.queue.drop(subject)
        for subject in self.sent.lasting():
            # A book of some accounts knows nothing of the others.
            is_known = is_state(subject) and (subject.account == SHARED or covers(subject.account))
            is_known = is_known and self.receiver.takes(subject.what, subject.account)
            if is_known and subject not in lasting and not is_unknown(subject, unknown):
                over = f"{subject.what} of {subject.account} {subject.name}".rstrip() + " is over"
                self._let_wait(subject, over, ended=True)

    def _is_news(self, subject: Subject, now: int) -> bool:
        last = self.sent.last(subject)
        return last is None or last.ended or now - last.at >= self.receiver.repeat_after

    def _let_wait(self, subject: Subject, sentence: str, *, ended: bool) -> None:
        last = self.sent.last(subject)
        id_ = id_of_state(self.receiver.name, subject, "" if last is None else last.id, ended=ended)
        waiting = self.queue.waits(subject)
        if waiting is not None and waiting.id == id_:
            return
        at = wall_ns(self._clock)
        alert = Alert(id=id_, subject=subject, sentence=cut(sentence), at=at, log=self._store.log, ended=ended)
        self.queue.add(alert, self._clock.monotonic_ns())

    # Sending

    def _handle(self, waiting: Waiting) -> None:
        alert = waiting.alert
        if not waiting.is_delivered:
            if self.sent.is_delivered(alert):
                # Another process sent it meanwhile.
                self.queue.done(waiting, self._clock.monotonic_ns())
                waiting.is_delivered = True
                return
            try:
                self._sender(self.receiver, alert, self._clock)
            except NotDelivered as e:
                self._failed(waiting, str(e))
                return
            waiting.attempts, waiting.is_delivered = waiting.attempts + 1, True
            self.unrecorded += 1
            self._report(f"{self.receiver.name}: sent {alert.subject.what} of {alert.subject.account}, id {alert.id}")
        self.queue.postpone(waiting, self._clock.monotonic_ns())
        # While it cannot be recorded it waits: it is not sent again by this process.
        self.sent.record(alert, waiting.attempts, delivered=True)
        self.trouble, self.unrecorded = "", self.unrecorded - 1
        self.queue.done(waiting, self._clock.monotonic_ns())

    def _failed(self, waiting: Waiting, why: str) -> None:
        alert, now = waiting.alert, self._clock.monotonic_ns()
        self.trouble = why
        if self.queue.failed(waiting, why, now):
            what = f"{alert.subject.what} of {alert.subject.account}, id {alert.id}"
            self._report(f"{self.receiver.name}: gave up {what} after {waiting.attempts} attempts: {why}")
            if not alert.is_never_dropped:
                self.queue.done(waiting, now)
            self.sent.record(alert, waiting.attempts, why, delivered=False)

    # The cursor

    def _cursor(self) -> int:
        """Return up to where records are done; at the first start, the head."""
        head = self._store.head()
        if self._marks is None:
            return head
        try:
            mark = self._marks.read(CURSOR + self.receiver.name)
        except CorruptJournal:
            mark = Watermark("", 0, "")
        if mark is None:
            return head
        if mark.log_id == self._store.log_id.hex():
            return min(mark.position, head)
        # Damaged, or another log's: what was sent lately is in the log, and the rest is read again.
        return position_before(self._store, KNOWN_NS)

    def _write_cursor(self, *, at_once: bool = False) -> None:
        now, first = self._clock.monotonic_ns(), self.queue.first_position
        position = self._position if first is None else min(first - 1, self._position)
        is_due = self._written is None or now - self._written[1] >= CURSOR_NS
        is_new = self._written is None or self._written[0] != position
        if self._marks is None or not (is_new and (at_once or is_due)):
            return
        digest = next(self._store.read(after=position - 1, limit=1)).digest.hex() if position else ""
        self._marks.write(CURSOR + self.receiver.name, Watermark(self._store.log_id.hex(), position, digest))
        self._written = (position, now)


def _ignore(_: str) -> None:
    """Report to nobody."""
