"""What takes effect only once a second person has approved it: the part that the folds of several views share."""

import re
import unicodedata
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from eventstore import Event, Record
from eventstore.readable import Readable
from eventstore.trading import AccountConfigured, Approved, EquityCorrected, LockoutCleared
from eventstore.trading.accounts import ANYBODY
from projections.views.configuration import DEFAULTS, Configuration, configured, loosened_settings

PROGRAM = "policy:"
"""Begins the name under which policies append: no person."""
WAITING_MAX = 100
INEFFECTIVE_MAX = 100
APPROVAL_TYPES: tuple[type[Event], ...] = (AccountConfigured, Approved)
"""What says who must approve, and who has: a view that holds requests back folds both."""
CORRECTION = "equity"
"""The subject of corrections of equity: the newest one takes the place of one that waits."""
_SETTING = "setting:"
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8\U000e0000-\U000e0fff]"
)
"""What no screen shows, beside format characters: Unicode's default ignorable ones."""


class WaitingRequest(Readable, msgspec.Struct, frozen=True, kw_only=True):
    """A record that has no effect until a second person approves it.

    `subjects` name what it changes: a newer record about one of them takes its place.
    """

    record: Record
    subjects: tuple[str, ...] = ()

    @property
    def asked_by(self) -> tuple[str, ...]:
        """The persons, or the policy, who asked; empty where the record names nobody."""
        event = self.record.event
        by = event.by if isinstance(event, LockoutCleared) else ""
        return tuple(sorted({name for name in map(person_of, (self.record.actor, by)) if name}))


class IneffectiveApproval(Readable, msgspec.Struct, frozen=True, kw_only=True):
    """An approval that counted for nothing, and why; `request` is the id of the record that it names."""

    actor: str
    request: bytes
    why: str
    position: int


class ApprovalState(msgspec.Struct, frozen=True):
    """One account's settings in force, and what waits for approval, in the order in which it was asked for."""

    configuration: Configuration = DEFAULTS
    waiting: tuple[WaitingRequest, ...] = ()
    ineffective: tuple[IneffectiveApproval, ...] = ()

    @property
    def approver(self) -> str:
        """Who must approve; empty if nobody has to."""
        return self.configuration.second_approver or ""

    def holding(self, record: Record, subjects: tuple[str, ...] = ()) -> "ApprovalState":
        """Return the state with one more record that waits. Of very many the oldest are forgotten: ask again."""
        kept = [*self.without(subjects).waiting, WaitingRequest(record=record, subjects=subjects)]
        # Of settings there are few, for the newer one takes an older one's place; each view keeps the same ones.
        others = [each for each in kept if each.record.type != AccountConfigured.__name__]
        dropped = {each.record.position for each in others[:-WAITING_MAX]}
        return replace(self, waiting=tuple(each for each in kept if each.record.position not in dropped))

    def without(self, subjects: tuple[str, ...]) -> "ApprovalState":
        """Return the state without what waits about some subjects: what was decided of them since takes its place."""
        if not self.waiting:
            return self
        return replace(self, waiting=tuple(each for each in self.waiting if {*subjects}.isdisjoint(each.subjects)))


class EffectiveEvent(NamedTuple):
    """An event that takes effect: `record` as of then, `asked` the log position of the record that has it.

    `approved_by` is who approved it, empty where nobody had to.
    """

    event: Event
    record: Record
    asked: int
    approved_by: str = ""


def person_of(actor: str) -> str:
    """Return the person that an actor's name stands for, by which two names are compared; a policy's name as it is.

    `ann@desk1/cli`, `Ann@desk2/app` and `ann` are one person: whatever may be one person, or looks the same with
    characters that nobody sees, counts as one.
    """
    text = actor.casefold()
    if not actor.isascii():
        seen = "".join(each for each in actor if unicodedata.category(each) != "Cf" and not _INVISIBLE.match(each))
        # Casefolding may take apart what NFKC has composed.
        text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", seen).casefold())
    text = text.strip()
    return text if text.startswith(PROGRAM) else text.partition("/")[0].partition("@")[0].strip()


def is_policy(actor: str) -> bool:
    """Return whether a policy appended a record, and no person."""
    return person_of(actor).startswith(PROGRAM)


def why_ineffective(approver: str, request: WaitingRequest, actor: str, by: str = "") -> str | None:
    """Return why an approval by an actor counts for nothing; None if it counts."""
    person, asked_by = person_of(actor), request.asked_by
    if not person or is_policy(actor):
        return f"{actor or 'nobody'} is not a person"
    if by and person_of(by) != person:
        return f"it says that {by} approved, and was recorded by {actor}"
    if not asked_by:
        return "the record does not say who asked, so a second person cannot be shown: ask again with an actor"
    if person in asked_by:
        return f"{person} has asked for it: somebody else must approve"
    names = approvers_of(approver)
    if names != (ANYBODY,) and person not in names:
        return f"{person} may not approve here: {' or '.join(filter(None, names)) or 'nobody'} may"
    return None


def approvers_of(approver: str) -> tuple[str, ...]:
    """Return the persons that a setting names, or ANYBODY alone; none of an empty one."""
    names = tuple(dict.fromkeys(person_of(name) for name in approver.split(",") if name.strip()))
    return (ANYBODY,) if ANYBODY in names else names


def folded_approvals(state: ApprovalState, event: Event, record: Record) -> tuple[ApprovalState, EffectiveEvent | None]:
    """Return the state after an AccountConfigured or Approved, and what takes effect by it.

    Everything that may loosen a setting waits as a whole. What is approved counts from the approval on.
    """
    match event:
        case AccountConfigured():
            subjects = _settings_of(event)
            if state.approver and loosened_settings(state.configuration, event):
                return state.holding(record, subjects), None
            return _configured(state.without(subjects), event), EffectiveEvent(event, record, record.position)
        case Approved():
            return released(state, state.approver, event, record)
        case _:
            return state, None


def folded_correction(
    state: ApprovalState, event: Event, record: Record
) -> tuple[ApprovalState, EffectiveEvent | None]:
    """Return the same, and for an EquityCorrected too: it takes effect at once unless somebody has to approve it."""
    if not isinstance(event, EquityCorrected):
        return folded_approvals(state, event, record)
    if state.approver:
        return state.holding(record, (CORRECTION,)), None
    return state, EffectiveEvent(event, record, record.position)


def _settings_of(event: AccountConfigured) -> tuple[str, ...]:
    given = msgspec.structs.asdict(event)
    return tuple(f"{_SETTING}{name}" for name, value in given.items() if value is not None)


def _configured(state: ApprovalState, event: AccountConfigured) -> ApprovalState:
    configuration = configured(state.configuration, event)
    # Once nobody has to approve, what still waits could never take effect: one person asks for it again.
    return replace(state, configuration=configuration, waiting=state.waiting if configuration.second_approver else ())


def released(
    state: ApprovalState, approver: str, event: Approved, record: Record
) -> tuple[ApprovalState, EffectiveEvent | None]:
    """Return the state after an approval, by those who may approve, and what takes effect by it."""
    request = next((each for each in state.waiting if each.record.id == event.record.bytes), None)
    if request is None:
        return state, None
    why = why_ineffective(approver, request, record.actor, event.by)
    if why is not None:
        ineffective = IneffectiveApproval(
            actor=record.actor, request=request.record.id, why=why, position=record.position
        )
        return replace(state, ineffective=(*state.ineffective[1 - INEFFECTIVE_MAX :], ineffective)), None
    # Of the same subjects the newer ones wait on: they were asked for after this one.
    state = replace(state, waiting=tuple(each for each in state.waiting if each is not request))
    asked = request.record
    event_asked = asked.event
    if isinstance(event_asked, AccountConfigured):
        state = _configured(state, event_asked)
    # An approval cannot be backdated: the log's own time counts.
    as_of_now = replace(
        asked,
        occurred_at=max(asked.occurred_at, record.recorded_at),
        recorded_at=record.recorded_at,
        position=record.position,
    )
    return state, EffectiveEvent(event_asked, as_of_now, asked.position, record.actor)
