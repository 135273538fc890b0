"""A plain model of an account's lockouts, without bounds: everything is kept and looked at each time."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

NOTHING, REDUCE_ONLY = "NOTHING", "REDUCE_ONLY"
ROOTS = {"ESZ5": "ES", "CZ5": "C", "CN50": None}  # of the contracts that are defined
Key = tuple[str, str, str]  # a lockout's rule and scope, and who reported it


class Fact(NamedTuple):
    """What was recorded, at the earlier one of its two times; `wrong` is the log position of what it corrects."""

    kind: str  # SET, EXTEND, CLEAR, EXPIRE, JUMP, CORRECT, BROKER or REOPEN
    at: int
    log_position: int
    rule: str = ""
    scope: str | None = None
    until: int | None = None
    allows: str = NOTHING
    revocable: bool = True
    clock: tuple[int, int] = (0, 0)  # before and after it was moved
    wrong: int = 0
    flag: bool = (
        False  # whether the broker lets it trade, the account was reopened in use, or the rule itself clears it
    )
    occurred_at: int = 0


@dataclass
class Held:
    """A lockout: in force while `expired_at` is None; `cleared` by its own rule, a clock put right brings it back."""

    key: Key
    terms: tuple[str, int | None, bool]
    cause: int
    set_at: int
    ahead: int = 0
    expired_at: float | None = None
    cleared: bool = False

    @property
    def end(self) -> float:
        return float("inf") if self.terms[1] is None else self.terms[1] + max(self.ahead, 0)

    def holds(self, at: int) -> bool:
        return at < (self.end if self.expired_at is None else self.expired_at)

    def strengthen(self, other: Held) -> None:
        allows = NOTHING if NOTHING in {self.terms[0], other.terms[0]} else REDUCE_ONLY
        until, self.ahead = later(self.terms[1], other.terms[1]), max(self.ahead, other.ahead)
        self.terms = (allows, until, self.terms[2])


@dataclass
class Model:
    """An account: what is in force, what expired, what reopenings in use did not end, what a wrong clock gave back."""

    held: dict[Key, Held] = field(default_factory=dict)
    expired: list[Held] = field(default_factory=list)
    not_ended: list[Held] = field(default_factory=list)
    returned: dict[Key, tuple[int, float]] = field(default_factory=dict)

    def active(self, at: int, symbol: str | None = None) -> list[tuple[str, str, str, int | None, bool]]:
        found = [each for each in [*self.held.values(), *self.not_ended] if each.holds(at)]
        strict = {(each.key, each.terms[0]) for each in self.held.values() if each.holds(at) and not each.terms[2]}
        again = [each for each in self.expired if not each.terms[2] and each.holds(at)]
        found += [each for each in again if not {(each.key, each.terms[0]), (each.key, NOTHING)} & strict]
        found = [each for each in found if symbol is None or applies(each.key[1], symbol)]
        return sorted([(*each.key[:2], *each.terms) for each in found], key=str)

    def apply(self, fact: Fact) -> None:
        if fact.kind in {"SET", "EXTEND", "CLEAR", "EXPIRE"}:
            for each in [each for each in self.expired if not each.terms[2] and each.holds(fact.at)]:
                self._hold_again(each)
        getattr(self, f"_{fact.kind.lower()}")(fact)
        causes = {key: each.cause for key, each in self.held.items()}
        self.returned = {key: each for key, each in self.returned.items() if causes.get(key) == each[0]}

    def _set(self, fact: Fact, reporter: str = "") -> None:
        key, terms = (fact.rule, fact.scope or "account", reporter), (fact.allows, fact.until, fact.revocable)
        fresh = Held(key, terms, fact.log_position, fact.at)
        if key in self.held and fact.at >= self.held[key].end:
            self._end(self.held[key])
        known = self.held.setdefault(key, fresh)
        if known.terms != terms and known.terms[2]:
            self.held[key] = fresh
        elif known.terms != terms:
            known.strengthen(fresh)

    def _extend(self, fact: Fact) -> None:
        for each in self._named(fact):
            allows, until, revocable = each.terms
            if fact.until != until and later(until, fact.until) == fact.until:
                if fact.at >= each.end:
                    self._end(each)
                    self.held[each.key] = replace(each, set_at=fact.at, ahead=0)
                self.held[each.key].terms = (allows, fact.until, revocable)

    def _clear(self, fact: Fact) -> None:
        for each in self._named(fact):
            if fact.at >= each.end:
                self._end(each)
            elif fact.kind == "CLEAR" and each.terms[2]:
                del self.held[each.key]
                if fact.flag:
                    self.expired.append(replace(each, expired_at=fact.occurred_at, cleared=True))

    _expire = _clear

    def _jump(self, fact: Fact) -> None:
        before, after = fact.clock
        by = after - before
        for each in [*self.held.values(), *(each for each in self.not_ended if each.expired_at is None)]:
            if by < 0 or each.end > before:
                each.ahead += by
        for each in sorted(self.expired, key=lambda each: not each.terms[2]):
            each.ahead += 0 if each.cleared else by
            # Set back, the clock shows that what ended later than it ended too early.
            if (each.expired_at or 0) > min(before, after) and each.end > after and not (each.cleared and by > 0):
                self._hold_again(each)
            if by < 0 and each.expired_at is not None:
                each.expired_at = min(each.expired_at, after)
        for key, (cause, expired_at) in list(self.returned.items()) if by > 0 else ():
            held = self.held.get(key)
            if held is not None and held.cause == cause and held.end <= after:
                self._end(held, min(expired_at, after))
        self.returned = {} if by > 0 else self.returned

    def _correct(self, fact: Fact) -> None:
        self.held = {key: each for key, each in self.held.items() if each.cause != fact.wrong}
        for each in (self.expired, self.not_ended):
            each[:] = [other for other in each if other.cause != fact.wrong]

    def _broker(self, fact: Fact) -> None:
        held = self.held.get(("broker", "account", "reported"))
        if not fact.flag:
            self._set(fact._replace(rule="broker"), "reported")
        elif held is not None and fact.at >= held.set_at:
            del self.held[held.key]

    def _reopen(self, fact: Fact) -> None:
        held = [each for each in [*self.held.values(), *self.expired] if not each.terms[2] and each.holds(fact.at)]
        self.held, self.expired, self.not_ended = {}, [], [*self.not_ended, *held] if fact.flag else []

    def _hold_again(self, lockout: Held) -> None:
        other = self.held.get(lockout.key, lockout)
        if other is lockout or not lockout.terms[2]:
            # By identity: two that are equal in all else may have ended one after the other.
            self.expired[:] = [each for each in self.expired if each is not lockout]
            if other is lockout and not lockout.cleared:
                self.returned[lockout.key] = (lockout.cause, lockout.expired_at or 0)
            lockout.expired_at, lockout.cleared, self.held[lockout.key] = None, False, lockout
            lockout.strengthen(other)

    def _end(self, lockout: Held, at: float | None = None) -> None:
        self.returned.pop(lockout.key, None)
        self.expired.append(replace(self.held.pop(lockout.key), expired_at=lockout.end if at is None else at))

    def _named(self, fact: Fact) -> list[Held]:
        return [each for each in self.held.values() if each.key[0] == fact.rule and fact.scope in {None, each.key[1]}]


def applies(scope: str, symbol: str) -> bool:  # what nobody has defined may be anything
    kind, _, name = scope.partition(":")
    return kind == "account" or symbol not in ROOTS or name == (symbol if kind == "symbol" else ROOTS[symbol])


def later(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else max(one, other)
