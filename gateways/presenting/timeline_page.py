"""A timeline as one self-contained HTML page, which prints: each record's sentence, what it changed, what marks it."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from gateways.presenting.entries import change_lines, mark_text
from projections.auditing import TimelineSelection, walk
from projections.html_page import escaped, heading, page, sentence

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from eventstore import EventReader
    from gateways.presenting.presenter import Presenter
    from projections.auditing import Entry

TIMELINE = "timeline.html"
"""What the page is called in a bundle."""
TIMELINE_MAX = 10_000
"""How many records it has there: more are neither read nor printed by anybody, and slow its reader down."""
_STYLE = """<style>
td{vertical-align:top}td.what{white-space:normal;min-width:20rem;overflow-wrap:anywhere}
.what div{color:var(--soft)}.what b{font-weight:600}
@media print{body{max-width:none;padding:0;font-size:9pt}table{font-size:8pt;width:100%}.wide{overflow:visible}
tr{break-inside:avoid}thead{display:table-header-group}th,td{white-space:normal;padding:.1rem .4rem .1rem 0}
td.what{min-width:0}}
@page{margin:12mm}
</style>"""
_HEADERS = ("position", "recorded", "occurred", "account", "by", "what")


def timeline_page(entries: Iterable[Entry], shown: Presenter, *, title: str, about: Sequence[str] = ()) -> str:
    """Return a whole page of entries in the order given; `about` are sentences below its title."""
    head = "".join(f"<th>{name}</th>" for name in _HEADERS)
    rows = "\n".join(_row(entry, shown) for entry in entries)
    none = sentence("There are no records.") if not rows else ""
    return page(
        title,
        (
            _STYLE,
            heading(title, 1),
            *(sentence(text, soft=True) for text in about),
            f'{none}<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>\n{rows}\n</tbody></table></div>',
        ),
    )


def bundle_page(
    store: EventReader,
    shown: Presenter,
    *,
    account: str | None,
    types: Sequence[str] | None,
    after: int,
    until: int,
) -> str:
    """Return the page of what a bundle's records say, each as a sentence with what it changed."""
    selection = TimelineSelection.of(
        account=account, types=types, actor=None, start=None, stop=None, by="recorded"
    )  # fmt: skip
    entries = walk(store, selection, after=after, zone=shown.zone)
    within = itertools.takewhile(lambda entry: entry.position <= until, entries)
    found = list(itertools.islice(within, TIMELINE_MAX + 1))
    what = "all accounts" if account is None else account
    about = [f"The bundle's records of the log {store.log} past position {after:,} and up to {until:,}."]
    if types:
        about.append(f"Only of the types {', '.join(types)}.")
    if len(found) > TIMELINE_MAX:
        about.append(f"These are its first {TIMELINE_MAX:,} records: records.csv has all of them.")
    about.append(
        "Sentences and changes are what the program that wrote this page read in the records. What is proved are the "
        "records themselves, in records.jsonl: verify_bundle.py checks them."
    )
    return timeline_page(found[:TIMELINE_MAX], shown, title=f"Timeline of {what}", about=about)


def _row(entry: Entry, shown: Presenter) -> str:
    cells = (
        *(str(entry.position), shown.time(entry.recorded_at), shown.time(entry.occurred_at)),
        *(entry.account, entry.actor),
    )
    plain = "".join(f"<td>{escaped(cell)}</td>" for cell in cells)
    return f'<tr id="p{entry.position}">{plain}<td class="what">{"".join(_what(entry, shown))}</td></tr>'


def _what(entry: Entry, shown: Presenter) -> Iterator[str]:
    yield f"<b>{escaped(entry.sentence)}</b>"
    for line in change_lines(entry, shown):
        yield f"<div>{escaped(line)}</div>"
    if entry.marks:
        yield f"<div>{escaped(', '.join(map(mark_text, entry.marks)))}</div>"
    if entry.tags:
        yield f"<div>tags: {escaped(', '.join(entry.tags))}</div>"
    for each in entry.notes:
        yield f"<div>note by {escaped(each.actor)}: {escaped(each.text)}</div>"
