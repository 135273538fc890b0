"""A plain model of which values are prices: what is sound, near enough or confirmed; in fractions."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from tests.reference.sound_prices import GROUPS, PAIR, Span, sound

SECOND = 10**9
STALE, CONFIRM, GAP = 10 * SECOND, SECOND, 300 * SECOND
BAND, WIDER = Fraction(1, 20), 3


class PriceModel:
    """One symbol. Times are ns; a value is (price, at, source); `tick` and `negative` are the contract's."""

    def __init__(self, tick: Fraction | None = None, *, negative: bool = False) -> None:
        self.tick, self.negative = tick, negative
        self.alive: dict[str, int] = {}
        self.forget(-1)

    def forget(self, until: int) -> None:
        """Know nothing any more, and take nothing for a price that happened up to an instant."""
        self.until = until
        self.raw: dict[str, Any] = {}
        self.good: dict[str, Any] = {}
        self.span: Span | None = None
        self.pending: tuple[Span, int, dict[str, Any]] | None = None
        self.at = 0
        self.seen: list[tuple[int, set[str], dict[str, Any], bool]] = []

    def heard(self, source: str, at: int, now: int) -> None:
        self.alive[source] = max(self.alive.get(source, 0), min(at, now))

    def near(self, span: Span, of: Span, factor: int = 1) -> bool:
        least = self.tick or 0
        low, high = (max(BAND * abs(edge), least) * factor for edge in of)
        return span[0] >= of[0] - low and span[1] <= of[1] + high

    def quoted(self, at: int, now: int, source: str | None, **values: Fraction) -> None:
        if source is not None:
            self.heard(source, at, now)
        if at > self.until:
            old = [kind for kind in values if at <= now and not self.is_new(kind, at, now)]
            late, of = {kind: (values[kind], at, source) for kind in old}, self.span
            self.take(self.replaced(at, now, source, values), at, now)
            spans = {group: sound(group, late, self.tick, negative=self.negative) for group in GROUPS}
            near = [group for group, span in spans.items() if span and (of is None or self.near(span, of))]
            self.place(at, {kind: late[kind] for group in near for kind in group}, is_fill=False)

    def take(self, groups: list[tuple[str, ...]], at: int, now: int) -> None:
        time = max(min(at, now), self.at)
        near, far = [], []
        for group in groups:
            span = sound(group, self.raw, self.tick, negative=self.negative)
            if span is None:
                self.unkeep(group)
            elif self.span is None or self.near(span, self.span, WIDER if time - self.at > GAP else 1):
                near.append(group)
            else:
                far.append(group)
        taken = self.confirmed(near, far, time)
        for group in taken:
            self.good |= {kind: self.raw[kind] for kind in group}
        if taken:
            if at - now <= STALE:
                self.span = self.reference(taken)
            self.at = time
            self.seen.append((time, {kind for group in taken for kind in group}, dict(self.good), False))

    def place(self, at: int, values: dict[str, Any], *, is_fill: bool) -> None:
        """Put values that are reported late where they belong."""
        index = sum(time <= at for time, *_ in self.seen)
        if values and index < len(self.seen):
            good = self.seen[index - 1][2] if index else {}
            self.seen.insert(index, (at, set(values), good | values, is_fill))

    def is_new(self, kind: str, at: int, now: int) -> bool:
        known = self.raw.get(kind)
        return known is None or at >= known[1] or known[1] > now >= at

    def replaced(self, at: int, now: int, source: str | None, values: dict[str, Fraction]) -> list[tuple[str, ...]]:
        changed = set()
        for kind, price in values.items():
            if self.is_new(kind, at, now):
                self.raw[kind] = (price, at, source)
                changed.add(kind)
        return [group for group in GROUPS if changed & set(group)]

    def unkeep(self, group: tuple[str, ...]) -> None:
        self.good |= {kind: (*self.good[kind][:2], None) for kind in group if kind in self.good}

    def confirmed(self, near: list[Any], far: list[Any], time: int) -> list[Any]:
        """Return the groups that are accepted, and keep, drop or replace what is unconfirmed."""
        back = [group for group in near if group == PAIR or not far or self.differs(group[0])]
        if back:
            self.pending = None
        if not far:
            return near
        found = {kind: self.raw[kind] for group in far for kind in group}
        span = min(value[0] for value in found.values()), max(value[0] for value in found.values())
        if self.pending is not None and self.near(span, self.pending[0]):
            if time - self.pending[1] >= CONFIRM:
                self.pending = None
                return near + far
        else:
            self.pending = (span, time, found)
        for group in far:
            self.unkeep(group)
        return near

    def differs(self, kind: str) -> bool:
        return kind not in self.good or self.good[kind][0] != self.raw[kind][0]

    def reference(self, taken: list[Any]) -> Span:
        found = [self.raw[kind][0] for group in taken for kind in group]
        span = min(found), max(found)
        return span if PAIR in taken else self.beside(span)

    def beside(self, span: Span) -> Span:
        pair = (self.good["bid"][0], self.good["ask"][0]) if "bid" in self.good else None
        if pair is None or not self.near(span, pair):
            return span
        return min(span[0], pair[0]), max(span[1], pair[1])

    def filled(self, at: int, now: int, price: Fraction) -> None:
        last, known = self.good.get("last"), self.raw.get("last")
        if at <= self.until or (price <= 0 and not self.negative):
            return
        if last and not (at >= last[1] or last[1] > now >= at):
            self.place(at, {"last": (price, at, None)}, is_fill=True)
            return
        if known is None or at >= known[1]:
            self.raw["last"] = (price, at, None)
        self.good["last"] = (price, at, None)
        time = min(at, now)
        if time < self.at:
            self.seen.append((self.at, set(), dict(self.good), False))
            return
        if self.pending is not None and self.near((price, price), self.pending[0]):
            newer = self.pending[2].items()
            self.good |= {k: v for k, v in newer if k != "last" and (k not in self.good or v[1] >= self.good[k][1])}
        self.pending, self.at = None, time
        if at - now <= STALE:
            self.span = self.beside((price, price))
        self.seen.append((time, {"last"}, dict(self.good), True))
