"""What tasks may find in a log that they appended to: a plain model, of names alone.

Each append has a name and ends in one of three ways: `done`, with the position that it was answered with; `refused`,
by an error that says that nothing was written; `cancelled`, which says nothing. A log is right if it has each `done`
name once, at its position, no `refused` one, each `cancelled` one at most once, nothing else, and all names in the
order in which the appends were called.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Appended:
    """One append, in the order of the calls."""

    name: str
    outcome: str = "cancelled"
    position: int = 0


def faults(log: list[str], called: list[Appended]) -> list[str]:
    """Return what is wrong with a log, as sentences."""
    found = []
    order = {each.name: index for index, each in enumerate(called)}
    for name in log:
        if name not in order:
            found.append(f"{name} is in the log and was never appended")
        if log.count(name) > 1:
            found.append(f"{name} is in the log {log.count(name)} times")
    for each in called:
        if each.outcome == "done" and log[each.position - 1 : each.position] != [each.name]:
            found.append(f"{each.name} is done at position {each.position}, and not there")
        if each.outcome == "refused" and each.name in log:
            found.append(f"{each.name} was refused and is in the log")
    places = [order[name] for name in log if name in order]
    if places != sorted(places):
        found.append(f"the log is not in the order of the calls: {log}")
    return found
