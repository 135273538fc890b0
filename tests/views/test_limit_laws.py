"""Laws of limits: what is in force or waits at any instant equals a plain reading of the whole history."""

import functools
import math
from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from eventstore import Event, Record
from eventstore.trading import LimitsSet, SessionReset
from projections.views.limits.view import Limits, LimitsState, LimitsView
from tests.views.position_folding import Folding, round_tripped

DAY = date(2025, 7, 21)


class Limiting(Folding):
    """A log that a view of few settings is folded from, beside a snapshot's round trip at any record."""

    def __init__(self, settings_max: int | None) -> None:
        super().__init__()
        self.view = LimitsView(settings_max)
        self.states[self.view.name, "A"] = self.view.initial()
        self.limits = Limits(self)

    @override
    def deliver(self, record: Record) -> None:
        self.view.apply(self.states[self.view.name, "A"], record.event, record)

    def restart(self) -> None:
        self.states[self.view.name, "A"] = round_tripped(self.states[self.view.name, "A"], LimitsState)


class Model:
    """What holds when, from the whole history at once: no state that goes from one event to the next."""

    def __init__(self) -> None:
        self.settings: list[tuple[int, int, int]] = []
        self.sessions: list[tuple[int, int, int]] = []
        # Each answer asks for those of the settings before it, several times.
        self.starts = functools.cache(self._starts)

    def _starts(self, index: int) -> float:
        """Return when a setting would come into force if no other followed; ask when all are known."""
        recorded, limit, ready = self.settings[index]
        held = self.held_among(index, recorded)
        if held is None or limit <= held:
            return ready
        recorded_before = self.settings[index + 1][0] if index + 1 < len(self.settings) else math.inf
        first = {day: begins for recorded, day, begins in reversed(self.sessions)}
        known = [
            begins for recorded, day, begins in self.sessions if recorded < recorded_before and first[day] == begins
        ]
        return min([begins for begins in known if begins >= ready], default=math.inf)

    def never(self, index: int) -> bool:
        return index + 1 < len(self.settings) and self.starts(index) > self.settings[index + 1][0]

    def held_among(self, count: int, at: int) -> int | None:
        for index in reversed(range(count)):
            if not self.never(index) and self.starts(index) <= at:
                return self.settings[index][1]
        return None

    def waits(self, at: int) -> list[int]:
        found = []
        for index, (recorded, limit, _) in enumerate(self.settings):
            until = self.settings[index + 1][0] if self.never(index) else self.starts(index)
            found += [limit] if recorded <= at < until else []
        return found


steps = st.one_of(
    st.tuples(st.just("set"), st.integers(1, 4), st.one_of(st.none(), st.integers(0, 45))),
    st.tuples(st.just("session"), st.integers(1, 12), st.integers(0, 45)),
)


@given(st.lists(steps, max_size=10), st.sampled_from([2, 3, None]), st.integers(0, 10))
def test_what_held_at_any_time_is_what_the_whole_history_says(
    steps: list[tuple[str, int, int | None]], settings_max: int | None, cut: int
) -> None:
    log, model = Limiting(settings_max), Model()
    for number, (verb, figure, at) in enumerate(steps):
        recorded = 4 * number + 1
        if verb == "set":
            event: Event = LimitsSet(rule_id="daily-loss", parameters={"limit": figure}, effective_from=at)
            model.settings.append((recorded, figure, max(recorded, at or 0)))
        else:
            event = SessionReset(trading_day=DAY + timedelta(figure), scheduled_for=at or 0)
            model.sessions.append((recorded, figure, at or 0))
        log.add("limits/A/daily-loss", event, recorded_at=recorded)
        if number == cut:
            log.restart()
    for instant in range(50):
        found = log.limits.get("A", "daily-loss", instant)
        held = None if found is None else found.parameters["limit"]
        assert held == model.held_among(len(model.settings), instant)
        waiting = sorted(log.limits.pending("A", instant), key=lambda limit: limit.position)
        assert [limit.parameters["limit"] for limit in waiting] == model.waits(instant)
