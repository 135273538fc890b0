"""Reference: which setting of each limit is in force: tightened at once, loosened with the next trading day."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.reference.limit_kinds import EITHER, HIGHER, KINDS, LOWER_STOP, Parameters, is_readable, number


def is_looser(rule: str, old: Parameters, new: Parameters) -> bool:
    """Return whether any parameter is looser; what nobody could judge by was in force for nobody."""
    known = KINDS.get(rule.partition(":")[0])
    if known is None or not is_readable(rule, old):
        return False
    return any(
        _is_looser(known[name], old.get(name), new.get(name)) if name in known else old.get(name) != new.get(name)
        for name in {*old, *new, *known}
    )


def _is_looser(known: tuple[Any, Any], old: object, new: object) -> bool:
    direction, default = known
    old, new = default if old is None else old, default if new is None else new
    before, after = number(old), number(new)
    if old == new or (None not in {before, after} and before == after):
        return False
    if isinstance(direction, list):
        return old not in direction or new not in direction or direction.index(new) < direction.index(old)
    if direction == LOWER_STOP:
        return old is None or (new is not None and (before is None or after is None or after < before))
    if old is None or new is None:
        return direction != HIGHER or new is None
    if direction == EITHER or before is None or after is None or before < 0 or after < 0:
        return True
    return after > before if direction == HIGHER else after < before


@dataclass
class Setting:
    """One setting of a rule. `begins_at` is None while it waits for a trading day."""

    parameters: Parameters
    set_at: int
    waits: bool
    begins_at: int | None
    is_replaced: bool = False


@dataclass
class Settings:
    """An account's limits; `days` are the begins of the trading days that are recorded.

    A log's clock never shows the same instant twice: it may be ahead of the clock at `recorded_to`.
    """

    rules: dict[str, list[Setting]] = field(default_factory=dict)
    days: list[int] = field(default_factory=list)
    recorded_to: int = 0

    def set(self, now: int, rule: str, parameters: Parameters, effective_from: int | None = None) -> None:
        self.recorded_to = now
        settings, held = self.rules.setdefault(rule, []), self.at(now, rule)
        if settings and (settings[-1].begins_at is None or settings[-1].begins_at > now):
            settings[-1].is_replaced = True
        ready = max(now, effective_from or 0)
        waits = held is not None and is_looser(rule, held.parameters, parameters)
        begins = min((day for day in self.days if day >= ready), default=None) if waits else ready
        settings.append(Setting(parameters, ready, waits, begins))

    def begin(self, day: int) -> None:
        """Record a trading day: loosenings that wait begin with it."""
        self.days.append(day)
        for settings in self.rules.values():
            newest = settings[-1]
            if newest.waits and day >= newest.set_at and (newest.begins_at is None or day < newest.begins_at):
                newest.begins_at = day

    def has_begun(self, since: int, until: int) -> bool:
        """Return whether a setting has come into force in between."""
        begins = [each.begins_at for settings in self.rules.values() for each in settings if not each.is_replaced]
        return any(since < begin <= until for begin in begins if begin is not None)

    def at(self, now: int, rule: str) -> Setting | None:
        now = max(now, self.recorded_to)
        begun = [
            each
            for each in self.rules.get(rule, [])
            if not each.is_replaced and each.begins_at is not None and each.begins_at <= now
        ]
        return begun[-1] if begun else None

    def of(self, now: int) -> dict[str, Parameters | None]:
        """Return the parameters of each limit in force, its defaults included; None for one that nobody can judge."""
        found: dict[str, Parameters | None] = {}
        for rule in self.rules:
            held = self.at(now, rule)
            if held is None or held.parameters.get("enabled") is False:
                continue
            given = {name: value for name, value in held.parameters.items() if value is not None}
            known = KINDS.get(rule.partition(":")[0], {})
            defaults = {name: default for name, (_, default) in known.items()}
            found[rule] = defaults | given if is_readable(rule, given) else None
        return found
