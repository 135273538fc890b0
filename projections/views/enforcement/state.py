"""An account's requests for enforcement as they are kept."""

import uuid
from collections.abc import Iterator

import msgspec

from eventstore import Record
from projections.views.enforcement.request import Enforcement, EnforcementAnomaly, EnforcementAnomalyKind

ANOMALIES_MAX = 1_000


class EnforcementState(msgspec.Struct):
    """One account. `pending` are unanswered, `answered` all others, by request id, which is in one of them.

    `goals` has the newest attempt of each goal, answered or not, by `Enforcement.goal`. `counts` are by day, NUL and
    rule. `forgotten_until` is the time of the latest request that was dropped from the state and is only in the log.
    """

    pending: dict[str, Enforcement] = {}
    answered: dict[str, Enforcement] = {}
    goals: dict[str, Enforcement] = {}
    forgotten_until: int | None = None
    counts: dict[str, int] = {}
    anomalies: tuple[EnforcementAnomaly, ...] = ()
    anomaly_count: int = 0

    def put(self, request: Enforcement) -> None:
        """Publish what has become of a request.

        Readers look at the goals first, then at what is pending, then at what is answered. While a request moves, they
        find it in two places, never in none.
        """
        newest = self.goals.get(request.goal)
        if newest is not None and newest.position == request.position:
            self.goals[request.goal] = request
        if request.taken or request.superseded:
            self.answered[request.request_id] = request
            self.pending.pop(request.request_id, None)
        else:
            self.pending[request.request_id] = request

    def find(self, request_id: str) -> Enforcement | None:
        """Return a request, pending or among the last answered, by its id or its record's."""
        return named(self.pending, request_id) or named(self.answered, request_id)

    def find_record(self, id_: bytes) -> Enforcement | None:
        """Return the request of a record, among those in memory."""
        return next((each for each in self.all() if each.id == id_), None)

    def all(self) -> Iterator[Enforcement]:
        """Yield the requests in memory: each goal's newest, the pending, and the last answered; some of them twice."""
        for group in (self.goals, self.pending, self.answered):
            yield from list(group.values())

    def mark(self, kind: EnforcementAnomalyKind, request_id: str, record: Record) -> None:
        """Note that a record is anomalous."""
        anomaly = EnforcementAnomaly(kind, request_id, record.position)
        self.anomalies = (*self.anomalies[1 - ANOMALIES_MAX :], anomaly)
        self.anomaly_count += 1


def named(requests: dict[str, Enforcement], request_id: str) -> Enforcement | None:
    """Return the request with an id or, if none has it, with this record id."""
    request = requests.get(request_id)
    if request is not None:
        return request
    try:
        wanted = uuid.UUID(request_id).bytes
    except ValueError:
        return None
    return next((each for each in list(requests.values()) if each.id == wanted), None)
