"""`group`: shows the workers of a group, their partitions and how far behind they are; evicts one."""

from __future__ import annotations

from typing import Annotated

import typer

from eventstore import InvalidEvent
from gateways.cli import options, stores
from gateways.cli.exit_codes import end_with_problem
from gateways.cli.options import CommonOptions
from gateways.presenting.documents import plain
from gateways.presenting.output import put, put_json, put_table
from projections.membership import GroupState, group_side, group_state
from projections.shares import SHARES

Name = Annotated[str | None, typer.Argument(metavar="[NAME]", help="The group; all of the log's by default.")]
Evict = Annotated[str | None, typer.Option("--evict", metavar="MEMBER", help="End this member: others take over.")]

_COLUMNS = ("member", "who", "state", ">partitions", ">position", ">events behind", ">seconds behind", ">silent", "url")


@options.command(postgres=True)
def group(common: CommonOptions, name: Name = None, *, evict: Evict = None) -> None:
    """Show the workers of a group: their partitions, and their lag in events and seconds; or evict one.

    Exit code 1 if a partition of a group is nobody's.
    """
    if evict is not None and name is None:
        msg = "--evict ends a member of a group: name the group too"
        raise InvalidEvent(msg)
    with stores.open_existing(common) as store:
        side = group_side(store)
        if evict is not None and name is not None and not side.evict(name, evict):
            msg = f"group {name} has no member {evict}: `eventstore group {name}` lists them"
            raise InvalidEvent(msg)
        if evict is not None and not common.as_json:
            put(f"evicted: {evict}; the others take its partitions within seconds")
            return
        found = [group_state(store, each) for each in (side.groups() if name is None else [name])]
    if common.as_json:
        put_json([plain(each) for each in found])
    else:
        for state in found:
            _put(state)
        if not found:
            put("no group works on this log")
    if evict is None and any(state.free for state in found):
        end_with_problem()


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
