"""`group`: shows the workers of a group, their partitions and how far behind they are; evicts one."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from eventstore import EventStore, InvalidEvent
from eventstore.clock import NANOSECONDS, parse_duration
from gateways.cli import options, stores
from gateways.cli.exit_codes import end_with_problem
from gateways.cli.options import CommonOptions
from gateways.presenting.documents import plain
from gateways.presenting.output import progress, put, put_json, put_table
from projections.membership import GroupState, group_side, group_state
from projections.shares import SHARES

Name = Annotated[str | None, typer.Argument(metavar="[NAME]", help="The group; all of the log's by default.")]
Evict = Annotated[str | None, typer.Option("--evict", metavar="MEMBER", help="End this member: others take over.")]

Wait = Annotated[
    str | None,
    typer.Option(
        metavar="DURATION", help="Wait at most so long, as 60s, until all members have folded all of the log."
    ),
]

LOOK_SECONDS = 0.5
_COLUMNS = ("member", "who", "state", ">partitions", ">position", ">events behind", ">seconds behind", ">silent", "url")


@options.command(postgres=True)
def group(common: CommonOptions, name: Name = None, *, evict: Evict = None, wait: Wait = None) -> None:
    """Show the workers of a group: their partitions, and their lag in events and seconds; evict one, or wait for all.

    Exit code 1 if a partition of a group is nobody's, or if the members have not caught up in time.
    """
    if name is None and (evict is not None or wait is not None):
        msg = "--evict and --wait are about one group: name it too"
        raise InvalidEvent(msg)
    patience = None if wait is None else parse_duration(wait) / NANOSECONDS
    with stores.open_existing(common) as store:
        side = group_side(store)
        if evict is not None and name is not None and not side.evict(name, evict):
            msg = f"group {name} has no member {evict}: `eventstore group {name}` lists them"
            raise InvalidEvent(msg)
        if evict is not None and not common.as_json:
            put(f"evicted: {evict}; the others take its partitions within seconds")
            return
        is_late = name is not None and patience is not None and not _wait(store, name, patience)
        found = [group_state(store, each) for each in (side.groups() if name is None else [name])]
    if common.as_json:
        put_json([plain(each) for each in found])
    else:
        for state in found:
            _put(state)
        if not found:
            put("no group works on this log")
    if is_late or any(state.free for state in found):
        end_with_problem()


def _wait(store: EventStore, name: str, patience: float) -> bool:
    """Wait until all members of a group have folded the log as it is now; return whether they have in time."""
    deadline, head = time.monotonic() + patience, store.head()
    with progress("folding") as step:
        while True:
            state = group_state(store, name)
            # Of each partition as much as its member has folded: one bar for all of them.
            folded = sum(min(each.position, head) * len(each.partitions) for each in state.members)
            step(folded // SHARES, head)
            if folded == head * SHARES:
                return True
            if time.monotonic() >= deadline:
                return False
            time.sleep(LOOK_SECONDS)


def _put(state: GroupState) -> None:
    rows = [
        (
            each.id, each.who, each.state, str(len(each.partitions)), f"{each.position:,}", f"{each.events_behind:,}",
            f"{each.seconds_behind:.1f}", f"{each.silent_seconds:.1f} s", each.url,
        )
        for each in state.members
    ]  # fmt: skip
    notes = [f"{len(state.free)} of {SHARES} partitions are nobody's"] if state.free else []
    put_table(f"Group {state.name}, log at {state.head:,}", _COLUMNS, rows, notes=notes)
