"""A timeline as one self-contained HTML page, which prints: each record's sentence, what it changed, what marks it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateways.presenting.entries import change_lines, mark_text
from projections.html_page import escaped, heading, page, sentence

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from gateways.presenting.presenter import Presenter
    from projections.auditing import Entry

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
