"""An account's protection mode, set as a limit is: to arm it is a tightening, to put it in shadow mode a loosening."""

import msgspec
from msgspec.structs import replace

from eventstore import Instant, Record
from eventstore.readable import Readable
from eventstore.trading import LimitsSet, Protection, ProtectionMode
from projections.views.limits.limit import Limit
from projections.views.limits.loosening import PROTECTION
from projections.views.limits.settings import Begins, RuleSettings, in_force, resolved, with_setting
from projections.views.log_clock import LogClock

_MODE, _REASON = "mode", "reason"


class Mode(Readable, msgspec.Struct, frozen=True, kw_only=True):
    """A protection mode that was set: since when it is in force (None while it waits for a session), by whom, and why.

    `position` is the log position of its record, `set_at` when that was recorded. Times are UNIX ns.
    """

    account: str
    mode: Protection
    set_at: Instant
    in_force_at: Instant | None
    actor: str
    reason: str
    position: int


def with_mode(
    rule: RuleSettings,
    event: ProtectionMode,
    record: Record,
    begins: Begins,
    clock: LogClock,
    *,
    is_limited: bool,
    settings_max: int | None,
) -> RuleSettings:
    """Return an account's modes with one more. An account without one is armed.

    What nobody has limited yet is in shadow mode at once.
    """
    if not rule.settings and is_limited:
        rule = replace(rule, settings=(_armed_from_the_beginning(record),))
    parameters = {_MODE: str(event.mode), _REASON: event.reason}
    setting = LimitsSet(rule_id=PROTECTION, parameters=parameters)
    return with_setting(rule, setting, record, begins, clock, settings_max=settings_max)


def mode_of(setting: Limit) -> Mode:
    """Return a setting as the mode that it is."""
    return Mode(
        account=setting.account,
        mode=_protection(setting),
        set_at=setting.set_at,
        in_force_at=setting.in_force_at,
        actor=setting.actor,
        reason=str(setting.parameters[_REASON]),
        position=setting.position,
    )


def held_mode(rule: RuleSettings, at_ns: int) -> Limit | None:
    """Return the setting of the mode in force at an instant; None for an account that was never given one."""
    held = in_force(rule.settings, at_ns)
    return None if held is None or not held.position else held


def is_shadow(setting: Limit) -> bool:
    """Return whether a setting is of the shadow mode."""
    return _protection(setting) is Protection.SHADOW


def as_loosening(setting: Limit, begins: Begins, clock: LogClock) -> Limit:
    """Return a setting that came into force at once as one that waits for a session."""
    return resolved(replace(setting, loosened=(_MODE,)), begins if setting.dated else (), clock)


def _protection(setting: Limit) -> Protection:
    return Protection(setting.parameters[_MODE])


def _armed_from_the_beginning(record: Record) -> Limit:
    return Limit(
        account=record.account,
        rule_id=PROTECTION,
        revision=0,
        parameters={_MODE: str(Protection.ARMED), _REASON: ""},
        set_at=0,
        effective_from=None,
        loosened=(),
        in_force_at=0,
        actor="",
        note="",
        position=0,
    )
