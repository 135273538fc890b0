"""Reference: the lockouts that would be in force of one account, by rule and scope, as lists of spans."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Span:
    """One lockout: since when, until when by its own terms, and when something else ended it."""

    since: int
    until: int | None
    terms: str
    revocable: bool
    ended: int | None = None

    def end(self) -> int | None:
        ends = [each for each in (self.until, self.ended) if each is not None]
        return min(ends) if ends else None

    def holds(self, at: int) -> bool:
        end = self.end()
        return self.since <= at and (end is None or at < end)


@dataclass
class Shadowed:
    """What one account would be locked by. The newest span of a rule and scope, by its begin, is the present one."""

    spans: dict[tuple[str, str], list[Span]] = field(default_factory=dict)
    present: dict[tuple[str, str], Span] = field(default_factory=dict)

    def lock(self, at: int, key: tuple[str, str], until: int | None, terms: str, revocable: bool) -> None:
        fresh, held = Span(at, until, terms, revocable), self.present.get(key)
        known = self.spans.setdefault(key, [])
        if held is not None and at < held.since:
            # It is of the past: it was over when the present one began, whatever it says.
            fresh.ended = held.since if until is None or until > held.since else until
            known.append(fresh)
            return
        if held is not None and (held.until is None or at < held.until):
            if (held.terms, held.until, held.revocable) == (terms, until, revocable):
                return
            if not held.revocable:
                self.strengthen(held, until)
                return
            held.ended = at
        known.append(fresh)
        self.present[key] = fresh

    def strengthen(self, held: Span, until: int | None) -> None:
        """An irrevocable one never weakens: the later end holds."""
        if held.until is not None:
            held.until = None if until is None else max(held.until, until)

    def clear(self, at: int, rule: str, scope: str | None) -> None:
        for key in [key for key in self.present if key[0] == rule and scope in {None, key[1]}]:
            held = self.present[key]
            is_over = held.until is not None and at >= held.until
            if is_over or held.revocable:
                held.ended = held.until if is_over else at
                del self.present[key]

    def arm(self, at: int) -> None:
        for held in self.present.values():
            held.ended = max(at, held.since)
        self.present.clear()

    def holding(self, at: int) -> list[tuple[str, str]]:
        """Return what would be locked at an instant: rule and scope, sorted."""
        return sorted({key for key, spans in self.spans.items() for each in spans if each.holds(at)})
