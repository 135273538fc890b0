"""What the commands that print a timeline have in common: pages of entries as lines, fields or JSON."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated

import typer

from gateways.cli import instants
from gateways.cli.queries import LogQuery
from gateways.presenting.entries import change_lines, entry_document, entry_fields, mark_text
from gateways.presenting.output import note, put_fields, put_json, put_under
from gateways.presenting.presenter import Presenter
from projections.auditing import Entry, TimelinePage

After = Annotated[int, typer.Option(min=0, metavar="POSITION", help="Only what follows the entry of this position.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Maximum number of entries.")]
Start = Annotated[str | None, typer.Option(metavar="INSTANT", help="From this time, position or mark, included.")]
Stop = Annotated[str | None, typer.Option(metavar="INSTANT", help="Up to this instant, not included.")]


def time_of(query: LogQuery, text: str | None, *, occurred: bool = False) -> int | None:
    """Return the time that a bound stands for: of recording, or of occurrence."""
    if text is None:
        return None
    if occurred:
        return instants.time_of(query.store, text, query.shown.zone)
    return instants.instant_of(query.store, text, query.shown.zone).recorded_at


def put_entries(entries: Iterable[Entry], query: LogQuery, limit: int | None, *, as_json: bool) -> int:
    """Print entries, at most `limit` of them, and return how many; note how to go on if there are more."""
    count, last = 0, 0
    for entry in entries:
        if count == limit:
            note(f"there is more: --after {last} continues")
            break
        count, last = count + 1, entry.position
        _put(entry, query, as_json=as_json)
    return count


def pages(page_after: Callable[[int], TimelinePage], after: int) -> Iterator[Entry]:
    """Yield the entries of one page after the other."""
    following: int | None = after
    while following is not None:
        page = page_after(following)
        yield from page
        following = page.next_after


def _put(entry: Entry, query: LogQuery, *, as_json: bool) -> None:
    if as_json:
        put_json(entry_document(entry, query.shown.document_zone) | query.missing_tail)
    elif sys.stdout.isatty():
        _put_on_screen(entry, query.shown)
    else:
        put_fields(entry_fields(entry, query.shown))


def _put_on_screen(entry: Entry, shown: Presenter) -> None:
    times = shown.time(entry.recorded_at)
    if shown.time(entry.occurred_at) != times:
        times = f"{times}, occurred {shown.time(entry.occurred_at)}"
    put_under(f"{entry.position:>8}  ", f"{times}  {entry.account}  {entry.actor}")
    margin = " " * 10
    put_under(margin, entry.sentence)
    for line in change_lines(entry, shown):
        put_under(f"{margin}  ", line)
    if entry.marks:
        put_under(margin, ", ".join(map(mark_text, entry.marks)))
    if entry.tags:
        put_under(f"{margin}tags: ", ", ".join(entry.tags))
    if entry.record.note:
        put_under(f"{margin}with the record: ", entry.record.note)
    for each in entry.notes:
        put_under(f"{margin}note by {each.actor}: ", each.text)
