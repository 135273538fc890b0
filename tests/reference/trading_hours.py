"""Reference: when an account may trade, and what is flattened before the close; all days and times in UTC.

A trading day begins at the reset of the one before, opens at 23:00 on the date before its own, must be flat by 21:00,
or earlier on some dates, and is reset at 22:00. Weekends and a holiday have none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from typing_extensions import override

from tests.reference.facts import DAY
from tests.reference.limited import Figure, Limited
from tests.reference.traded import HOUR

HOLIDAY = 6
"""How many days after the first Monday nobody trades, and when positions must be flat earlier."""
EARLY = {8: 17 * HOUR, 3: 18 * HOUR}
SATURDAY, WEEK_DAYS = 5, 7
Held = tuple[str, str, int, bool]


@dataclass(frozen=True)
class TradingDay:
    began: int
    opens: int
    flat: int
    reset: int
    date: int


def days_from(monday: int, count: int) -> list[TradingDay]:
    """Return the trading days of some dates from a Monday's midnight on."""
    found: list[TradingDay] = []
    for number in range(-3, count):
        if number % WEEK_DAYS >= SATURDAY or number == HOLIDAY - 5:
            continue
        date = monday + number * DAY
        began = found[-1].reset if found else date - 2 * HOUR
        found.append(TradingDay(began, date - HOUR, date + EARLY.get(number, 21 * HOUR), date + 22 * HOUR, date))
    return found


@dataclass
class Hours(Limited):
    """An account with such limits; `held` are its lockouts: rule, scope, until, revocable."""

    days: tuple[TradingDay, ...] = ()
    held: tuple[Held, ...] = ()

    def span(self, parameters: dict[str, Any], now: int) -> tuple[int, int, int]:
        """Return when trading last began, when it ends, and when it begins again."""
        [index] = [number for number, day in enumerate(self.days) if day.began <= now < day.reset]
        day, opens = self.days[index], self.days[index].opens
        closes, following = day.flat, self.days[index + 1].opens
        if parameters["flat_by"] is not None:
            hours, minutes = map(int, parameters["flat_by"].split(":"))
            closes = min(closes, day.date + (hours * 60 + minutes) * HOUR // 60)
        if now >= closes:
            return opens, closes, following
        for start, stop in sorted(parameters["halts"]):
            if now < stop and start < closes:
                return opens, start, stop if stop < closes else following
            opens = stop if opens < stop <= now else opens
        return opens, closes, opens if now < opens else following

    def open_symbols(self, parameters: dict[str, Any]) -> set[str]:
        return {
            name for name, *_ in self.open_positions() if not parameters["symbols"] or name in parameters["symbols"]
        }

    @override
    def figure(self, rule: str, parameters: dict[str, Any], process: int, now: int) -> Figure | None:
        raise NotImplementedError

    @override
    def judge(self, process: int, now: int) -> None:
        """Lock what is open from shortly before the close on, until trading begins again."""
        self.held = tuple(each for each in self.held if now < each[2])
        settings, kept = self.settings.of(now), list[Held]()
        for rule, parameters in settings.items():
            mine = [each for each in self.held if each[0] == rule]
            if parameters is None:
                continue
            opens, closes, reopens = self.span(parameters, now)
            is_due = now >= max(closes - int(parameters["flatten_before"]), opens)
            symbols = self.open_symbols(parameters)
            scopes = (
                {f"symbol:{name}" for name in symbols} if parameters["symbols"] else {"account"} if symbols else set()
            )
            for each in mine:
                # Before the next open it is still closed.
                if (is_due and each[2] <= reopens) or (now < opens and each[2] <= opens) or not each[3]:
                    kept.append(each)
            if is_due and parameters["severity"] == "LOCKOUT":
                for scope in scopes | {each[1] for each in mine}:
                    known = [each for each in kept if each[:2] == (rule, scope)]
                    if (not known and scope in scopes) or (known and known[0][2] < reopens):
                        kept = [each for each in kept if each[:2] != (rule, scope)]
                        kept.append((rule, scope, reopens, parameters["revocable"]))
        gone = [each for each in self.held if settings.get(each[0]) is None and not each[3]]
        self.held = tuple(kept + gone)

    def rejects(self, symbol: str, process: int, now: int) -> bool:
        """Return whether more of a symbol is rejected."""
        scopes = {"account", f"symbol:{symbol}"}
        if any(scope in scopes for _, scope, *_ in self.held) or not self.is_priced(process, now):
            return True
        return any(
            parameters is None or (parameters["severity"] == "LOCKOUT" and self.is_closed(parameters, symbol, now))
            for parameters in self.settings.of(now).values()
        )

    def is_closed(self, parameters: dict[str, Any], symbol: str, now: int) -> bool:
        if parameters["symbols"] and symbol not in parameters["symbols"]:
            return False
        opens, closes, _ = self.span(parameters, now)
        if not opens <= now < closes:
            return bool(parameters["outside"])
        return now >= closes - int(parameters["flatten_before"])
