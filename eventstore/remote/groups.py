"""Groups on their way to a service, in bodies that it takes, and what became of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from eventstore.errors import Closed, EventTooLarge, InvalidEvent, OutcomeUnknown, Refused, StoreError
from eventstore.journal import drafts_of
from eventstore.remote.packing import records_of, unpacked_outcomes
from eventstore.remote.problems import error_of
from eventstore.remote.wire import sent_group

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from eventstore.journal import Group, Outcome
    from eventstore.record import Record

    Slots: TypeAlias = list[Outcome | None]

_encode = msgspec.json.Encoder().encode
TOO_MANY = 429
_BEFORE, _AFTER = b'{"groups":[', b"]}"


def sent_bodies(groups: Sequence[Group], bytes_max: int, outcomes: Slots) -> Iterator[tuple[bytes, list[int]]]:
    """Yield bodies of so many bytes at most, each with the numbers of its groups.

    A group that cannot be sent has its error put into its place among the outcomes.
    """
    parts: list[bytes] = []
    numbers: list[int] = []
    size = len(_BEFORE) + len(_AFTER)
    for number, group in enumerate(groups):
        try:
            part = _encoded(group, bytes_max - len(_BEFORE) - len(_AFTER))
        except StoreError as e:
            outcomes[number] = e
            continue
        if parts and size + len(part) + 1 > bytes_max:
            yield _BEFORE + b",".join(parts) + _AFTER, numbers
            parts, numbers, size = [], [], len(_BEFORE) + len(_AFTER)
        parts.append(part)
        numbers.append(number)
        size += len(part) + 1
    if parts:
        yield _BEFORE + b",".join(parts) + _AFTER, numbers


def _encoded(group: Group, bytes_max: int) -> bytes:
    try:
        encoded = _encode(sent_group(group))
    except msgspec.MsgspecError as e:
        msg = f"the data of an event is not JSON: {e}"
        raise InvalidEvent(msg) from e
    if len(encoded) > bytes_max:
        what = "what the service takes at once"
        raise EventTooLarge(what, len(encoded), bytes_max)
    return encoded


def answered_outcomes(
    body: bytes, groups: Sequence[Group], log: str, check: Callable[[Sequence[Record]], None]
) -> list[Outcome]:
    """Return what became of each group; raise ValueError for an answer that is not one to these groups.

    `check` raises for records without their digests.
    """
    answered = unpacked_outcomes(body)
    if len(answered) != len(groups):
        msg = f"{len(groups)} groups were sent, and {len(answered)} outcomes came"
        raise ValueError(msg)
    outcomes: list[Outcome] = []
    for group, outcome in zip(groups, answered, strict=True):
        if outcome.records is None:
            outcomes.append(error_of(msgspec.json.decode(outcome.problem, type=dict[str, msgspec.Raw])))
            continue
        records, drafts = records_of(outcome.records, log), drafts_of(group)
        if len(records) != len(drafts) or not all(map(_is_of, records, drafts)):
            msg = "the records are not those of the events that were sent"
            raise ValueError(msg)
        check(records)
        outcomes.append(records)
    return outcomes


def _is_of(record: Record, draft: Any) -> bool:  # noqa: ANN401 - a Draft, for `map`
    return record.same_fact(draft)


def is_to_repeat(outcome: Outcome) -> bool:
    """Return whether a group is to be sent again.

    So it is where the service stops, does not know itself what it has written, or takes no more of this key for now.
    """
    is_limited = isinstance(outcome, Refused) and outcome.status == TOO_MANY
    return is_limited or isinstance(outcome, Closed | OutcomeUnknown)
