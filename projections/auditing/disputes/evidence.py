"""Which records prove a dispute: a stretch of the account's own, and those from elsewhere that it cites."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from eventstore.clock import NANOSECONDS
from projections.auditing.causes import Role

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from projections.auditing.disputes.answer import Dispute

_DAY = 86_400 * NANOSECONDS


class Evidence(NamedTuple):
    """The account's records from position `first` to `last`, and the positions of the others that are cited, sorted."""

    first: int
    last: int
    others: tuple[int, ...]


def evidence_of(found: Dispute, logs: Sequence[range] = ()) -> Evidence:
    """Return what proves a dispute; of a rotated log, whose `logs` have these positions, the stretch lies in one.

    The stretch covers what was recorded of the day by a day after it, and the account's executions behind a figure.
    What else is cited is proved record by record, so that no more of the account's history is given away: settings of
    limits from long ago, late corrections, executions of other members of a group.
    """
    soon = [each.position for each in found.timeline if each.recorded_at < found.until + _DAY]
    within = soon or [each.position for each in found.timeline]
    within += [position for position, account in _behind(found) if account == found.account]
    if logs:
        # A proof is of one log: the one that has most of the stretch.
        home = max(logs, key=lambda log: sum(position in log for position in within))
        within = [position for position in within if position in home]
    cited = dict(_cited(found))
    if not within:
        return Evidence(1, 0, tuple(sorted(cited)))
    first, last = min(within), max(within)
    others = (
        position for position, account in cited.items() if account != found.account or not first <= position <= last
    )
    return Evidence(first, last, tuple(sorted(others)))


def _behind(found: Dispute) -> Iterator[tuple[int, str]]:
    """Yield the executions behind each figure; what was carried into the day may be from long ago."""
    for each in found.lockouts:
        for link in each.executions:
            if link.role is not Role.CARRIED:
                yield link.record.position, link.record.account


def _cited(found: Dispute) -> Iterator[tuple[int, str]]:
    """Yield every record that a dispute names, with its account; one that is named twice comes twice."""
    account = found.account
    yield from ((each.position, account) for each in found.timeline)
    yield from ((each.position, account) for each in found.notes)
    yield from ((each.position, account) for each in found.modes)
    yield from ((each.setting.position, each.setting.account) for each in found.limits)
    yield from ((each.report.position, account) for each in found.firm)
    yield from ((each.record, account) for each in found.signed)
    for each in found.lockouts:
        yield from ((position, account) for position in each.lockout.positions)
        for cause in () if each.why is None else (*each.why.causes, *each.why.effects):
            yield from ((link.record.position, link.record.account) for link in cause.walk())
    for one in () if found.statement is None else found.statement.breaks:
        yield from ((position, account) for position in one.records)
