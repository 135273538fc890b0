"""`rotate`: ends a log and begins the next one from its state, bound to the old one by its root."""

from __future__ import annotations

from typing import Annotated

import typer

import projections
from gateways.cli import options, stores
from gateways.cli.options import CommonOptions
from gateways.presenting.documents import plain
from gateways.presenting.output import progress, put, put_json
from projections.rotation import rotate as rotate_log

As = Annotated[
    str | None,
    typer.Option("--as", metavar="NAME", help="Name of the next log; by default main.2 after main, then main.3."),
]


@options.command(postgres=True)
def rotate(common: CommonOptions, *, name: As = None) -> None:
    """End the log, and begin the next one from its state, so that a log does not grow forever.

    Stop what appends, and rotate when the market is closed: programs that have the log open get LogHasEnded, and go on
    when they open it again, under the same name and unchanged. Positions are counted on, and what is asked of the past
    is read from the old log, which is never written again and may lie on read-only media. A kill at any moment loses
    nothing: run it again.
    """
    with stores.open_existing(common) as store:
        with progress("folding") as step:
            done = rotate_log(store, name=name, progress=step)
        folder = store.directory
    # Opened once, so that the next program starts from a snapshot.
    with common.opened() as following, projections.open(following) as book:
        book.snapshot()
    if common.as_json:
        put_json({**plain(done), "directory": None if folder is None else str(folder.parent)})
        return
    put(f"log {done.log} has ended with {done.size + 1:,} records, the last at position {done.position:,}")
    put(f"root {done.root} at size {done.size:,}: keep it, or sign it, for log {done.next} names it")
    put(f"log {done.next} continues it from its state, which {done.carried:,} records carry")
