"""The parameters of limits: what every kind has, how they are read from `LimitsSet`, and which kinds there are."""

from __future__ import annotations

import difflib
import threading
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import msgspec

from eventstore import InvalidEvent, StoreError
from eventstore.errors import shown
from eventstore.events.validation import is_currency
from eventstore.streams import account_of
from eventstore.trading import Allows, EnforcementAction, Severity
from projections.view import GROUP
from projections.views.limits.directions import ACTION, HIGHER, Measured, from_loose_to_strict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eventstore.trading import LimitsSet
    from projections.views.limits.limit import Limit

PARSED_MAX = 10_000
OF_GROUPS = "group"
"""Begins the rule ids of groups' limits among their members', in place of a kind."""
_COLON = "%3A"
GROUP_RULE_BYTES_MAX = 100
"""A rule id of a group is part of the names of lockouts and requests, which are bounded."""
_NEAR = 0.6


class BadLimit(StoreError):
    """A limit has parameters that its rule cannot read."""

    def __init__(self, account: str, rule_id: str, position: int, why: str) -> None:
        self.account, self.rule_id, self.position = account, rule_id, position
        super().__init__(
            f"the limit {rule_id} of {account}, set at position {position}, cannot be read ({why}): set it again"
        )


class UnknownKind(StoreError):
    """A limit is of a kind that this process does not know, so nothing here enforces it."""

    def __init__(self, rule_id: str) -> None:
        self.rule_id, self.near = rule_id, near_kind(rule_id)
        cure = "register its kind, or disable it" if self.near is None else f"did you mean {self.near}?"
        super().__init__(f"unknown kind of limit {shown(kind_of(rule_id))}: {cure}")


class Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The parameters of every kind. `warn_at` is the share of a limit from which an order's check warns.

    `currency`: the currency of the compared figures, by default the account's. `severity` WARNING records a breach
    and locks nothing.

    Annotate each parameter of a kind with its direction, and a figure with its unit:
    `limit: Annotated[Decimal, HIGHER, Measured.MONEY]`. A change of one without a direction counts as looser.
    """

    enabled: Annotated[bool, from_loose_to_strict(False, True)] = True  # noqa: FBT003 - values of a choice
    severity: Annotated[Severity, from_loose_to_strict("WARNING", "LOCKOUT")] = Severity.LOCKOUT
    warn_at: Annotated[Decimal, HIGHER, Measured.SHARE] = Decimal("0.8")
    currency: str | None = None
    allows: Annotated[Allows, from_loose_to_strict("REDUCE_ONLY", "NOTHING")] = Allows.REDUCE_ONLY
    action: Annotated[EnforcementAction, ACTION] = EnforcementAction.NONE
    revocable: Annotated[bool, from_loose_to_strict(True, False)] = True  # noqa: FBT003 - values of a choice

    def problem(self) -> str | None:
        """Return why the parameters mean nothing, None where they do: a kind may say more than their types."""
        return None

    def group_problem(self) -> str | None:
        """Return why a limit cannot be judged for several accounts together; None where its kind adds them up."""
        return "it is judged for one account alone: set it for each member"


P = TypeVar("P", bound=Parameters)


def kind_of(rule_id: str) -> str:
    """Return the kind of a rule id, which is a kind alone or followed by a name: `trade-limit:fast`."""
    return rule_id.partition(":")[0]


def register(kind: str, parameters: type[Parameters]) -> None:
    """Make a kind known, with its parameters. A kind that is defined again replaces the one before.

    Raises InvalidEvent for what can be no kind's name, and for one whose rules would look like those of groups.
    """
    if not _is_kind(kind):
        what = "give printable text without a colon or a blank at either end"
        msg = f"{shown(kind)} cannot be the name of a kind of limit: {what}"
        raise InvalidEvent(msg)
    if kind_of(kind) == OF_GROUPS:
        msg = f"{kind!r} begins the rule ids of groups' limits: name the kind otherwise"
        raise InvalidEvent(msg)
    _kinds[kind] = parameters


def _is_kind(name: object) -> bool:
    return isinstance(name, str) and name.isprintable() and name != "" and kind_of(name).strip() == name


def parameters_by_kind() -> Mapping[str, type[Parameters]]:
    """Return the parameters' class of each kind that this process knows."""
    return dict(_kinds)


def parameters_of(rule_id: str) -> type[Parameters] | None:
    """Return the parameters' class of a rule's kind; None for an unknown one."""
    return _kinds.get(kind_of(rule_id))


def near_kind(rule_id: str) -> str | None:
    """Return the known kind that is spelt most like a rule's; None where none is near."""
    found = difflib.get_close_matches(kind_of(rule_id).lower().replace("_", "-"), _kinds, 1, _NEAR)
    return found[0] if found else None


def refuse_unreadable(event: LimitsSet, stream: str) -> None:
    """Raise InvalidEvent for a limit that none could judge: of an unknown kind, or with parameters it cannot read.

    So is one for a group of accounts that only an account can have. One that disables a limit is never refused: it is
    how a misspelt one is taken out of force.
    """
    if is_disabled(event.parameters):
        return
    kind = parameters_of(event.rule_id)
    if kind is None:
        raise InvalidEvent(str(UnknownKind(event.rule_id)))
    try:
        parameters = converted(kind, event.parameters)
    except ValueError as e:
        msg = f"the parameters of {shown(event.rule_id)} cannot be read: {e}"
        raise InvalidEvent(msg) from e
    account = account_of(stream)
    problem = group_problem(account, event.rule_id, parameters) if account.startswith(GROUP) else None
    if problem is not None:
        msg = f"{shown(event.rule_id)} cannot be a limit of group {account.removeprefix(GROUP)}: {problem}"
        raise InvalidEvent(msg)


def group_rule_id(account: str, rule_id: str) -> str:
    """Return the rule id of a group's limit among its members': `group:NAME:RULE`, for the account `@NAME`.

    A colon in the name is written `%3A`, so that no limit of another group has the same one.
    """
    return f"{OF_GROUPS}:{account.removeprefix(GROUP).replace(':', _COLON)}:{rule_id}"


def rule_id_of(limit: Limit) -> str:
    """Return the rule id that a limit has among those of each account that it limits."""
    return group_rule_id(limit.account, limit.rule_id) if limit.account.startswith(GROUP) else limit.rule_id


def group_problem(account: str, rule_id: str, parameters: Parameters) -> str | None:
    """Return why a limit cannot be judged for the group that an account `@NAME` stands for; None where it can."""
    size = len(group_rule_id(account, rule_id).encode())
    if size > GROUP_RULE_BYTES_MAX:
        return f"its members' rule id has {size} bytes, and {GROUP_RULE_BYTES_MAX} are allowed: shorten a name"
    return parameters.group_problem()


def is_disabled(parameters: Mapping[str, Any]) -> bool:
    """Return whether a limit is written as disabled, whatever else it says."""
    return parameters.get("enabled") is False


def is_readable(kind: type[Parameters], parameters: Mapping[str, Any]) -> bool:
    """Return whether a kind can read the parameters of a limit."""
    try:
        converted(kind, parameters)
    except ValueError:
        return False
    return True


def converted(kind: type[P], parameters: Mapping[str, Any]) -> P:
    """Return a kind's parameters; raise ValueError where they cannot be read."""
    if kind not in _prepared:
        # msgspec completes what it knows of a class in its first use: meeting it incomplete, a thread ends the process.
        with _preparing:
            msgspec.json.Decoder(kind)
            _prepared.add(kind)
    # Not strict: events have decimals as text, and a limit set by hand may have a number as text too.
    found = msgspec.convert(parameters, kind, strict=False)
    if not _is_finite(msgspec.structs.astuple(found)):
        msg = "expected finite numbers"
        raise ValueError(msg)
    problem = _currency_problem(found.currency) or found.problem()
    if problem is not None:
        raise ValueError(problem)
    return found


def above_zero(name: str, value: Decimal | int | None) -> str | None:
    """Return why a parameter must be above zero, None where it is, or is left out."""
    return None if value is None or value > 0 else f"{name} = {value}: expected a number above 0"


def not_below_zero(name: str, value: Decimal | int | None) -> str | None:
    """Return why a parameter must not be below zero, None where it is not, or is left out."""
    return None if value is None or value >= 0 else f"{name} = {value}: expected 0 or more"


def read(limit: Limit) -> Parameters:
    """Return a limit's parameters; raise UnknownKind, or BadLimit where they cannot be read."""
    key = (limit.account, limit.position)
    known = _parsed.get(key)
    kind = parameters_of(limit.rule_id)
    # A process may have several logs, whose positions repeat: only the identical parameters object is a hit.
    if known is not None and known[0] is limit.parameters and type(known[1]) is kind:
        return known[1]
    if kind is None:
        raise UnknownKind(limit.rule_id)
    try:
        parameters = converted(kind, limit.parameters)
    except ValueError as e:
        raise BadLimit(limit.account, limit.rule_id, limit.position, str(e)) from e
    if len(_parsed) >= PARSED_MAX:
        _parsed.clear()
    _parsed[key] = (limit.parameters, parameters)
    return parameters


def read_enabled(limit: Limit) -> Parameters | None:
    """Return a limit's parameters; None where they cannot be read, or the limit is disabled."""
    try:
        parameters = read(limit)
    except (BadLimit, UnknownKind):
        return None
    return parameters if parameters.enabled else None


def _currency_problem(currency: str | None) -> str | None:
    if currency is None or is_currency(currency):
        return None
    return f"currency = {shown(currency)}: expected a currency's code, such as USD"


def _is_finite(value: Any) -> bool:  # noqa: ANN401 - any parameter
    """Return whether there is neither a NaN nor an infinity: either can be written as text, and disables a limit."""
    if isinstance(value, Decimal):
        return value.is_finite()
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    return all(map(_is_finite, value)) if isinstance(value, tuple) else True


_kinds: dict[str, type[Parameters]] = {}
_prepared: set[type[Parameters]] = set()
_preparing = threading.Lock()
_parsed: dict[tuple[str, int], tuple[dict[str, Any], Parameters]] = {}
