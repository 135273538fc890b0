"""A dispute as pages that need nothing else: the first screen says who was locked, when, by which limit and figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateways.presenting.day_times import DayTimes
from gateways.presenting.dispute_lockout import (
    LISTED_MAX,
    behind,
    executions_page,
    lockout_section,
    lockout_tiles,
    page_of_lockout,
)
from gateways.presenting.dispute_sections import (
    changes_section,
    firm_section,
    headroom_page,
    headroom_section,
    limits_section,
    notes_section,
    proof_section,
    statement_section,
    timeline_section,
    unknown_section,
)
from gateways.presenting.headroom import headroom_row
from gateways.presenting.timeline_page import timeline_page
from projections.html_page import FIGURE, escaped, heading, page, sentence, table, tiles

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gateways.presenting.presenter import Presenter
    from projections.auditing import Dispute, DisputedLockout

INDEX, TIMELINE, HEADROOM = "index.html", "timeline.html", "headroom.html"
_STYLE = """<style>
h3{font-size:1rem;margin:1.4rem 0 .3rem}td{vertical-align:top}
.tiles{grid-template-columns:repeat(auto-fit,minmax(10.5rem,1fr))}.tiles b,.tiles span{overflow-wrap:anywhere}
.pair{display:flex;flex-wrap:wrap;gap:0 2.5rem}.pair>div{min-width:0}
.alarm{border-left:.25rem solid var(--red);padding-left:.8rem}a{color:var(--blue)}
h1+.soft{margin-bottom:.8rem}.time{white-space:nowrap}
ul{margin:.4rem 0;padding-left:1.2rem;max-width:52rem}li{overflow-wrap:anywhere;margin:.2rem 0}
@media print{:root{color-scheme:light;--ink:#000;--soft:#444;--paper:#fff;--line:#bbb;--box:#f3f3f3;--blue:#0072b2;
--red:#b34700}
body{max-width:none;padding:0;font-size:9.5pt}h1{font-size:15pt}h2{font-size:12pt;margin-top:1.2rem}
table{font-size:8pt}.wide{overflow:visible}th,td{white-space:normal;padding:.1rem .5rem .1rem 0}
td.time{white-space:nowrap}.soft{font-size:8.5pt}tr,.tiles,svg{break-inside:avoid}thead{display:table-header-group}h2,h3{break-after:avoid}
.tiles{grid-template-columns:repeat(5,1fr)}.tiles div{padding:.4rem .5rem;border:1px solid var(--line)}
.tiles b{font-size:10pt}}
@page{margin:14mm}
</style>"""


def dispute_pages(found: Dispute, shown: Presenter, proof: Sequence[str]) -> dict[str, bytes]:
    """Return the pages of a dispute by name; `proof` are sentences of what of them is proved, and how to check it."""
    title = f"{found.account} on {found.trading_day}"
    shown = DayTimes.of(shown, found.since)
    texts = {
        INDEX: page(f"Dispute: {title}", _index(found, shown, proof)),
        TIMELINE: timeline_page(
            found.timeline,
            shown,
            title=f"Timeline of {title}",
            about=(day_sentence(found, shown), f"Log {found.log}, as known at position {found.log_position:,}."),
        ),
    }
    if found.headroom:
        texts[HEADROOM] = page(f"Headroom of {title}", (_STYLE, *headroom_page(found, shown)))
    for each in found.lockouts:
        if len(each.executions) > LISTED_MAX:
            title = f"Executions behind {each.lockout.rule_id}"
            texts[page_of_lockout(each)] = page(title, (_STYLE, *executions_page(each, found, shown)))
    # What is not text, half of a pair of surrogates, is shown as its number.
    return {name: text.encode("utf-8", "backslashreplace") for name, text in texts.items()}


def day_sentence(found: Dispute, shown: Presenter) -> str:
    """Return when the day began and ended, and who says so."""
    stated = "as its session states" if found.is_stated else "the date in UTC, for no session states it"
    return f"The trading day lasts from {shown.time(found.since)} to {shown.time(found.until)}, {stated}."


def _index(found: Dispute, shown: DayTimes, proof: Sequence[str]) -> Iterator[str]:
    main = found.main
    yield _STYLE
    yield heading(f"{found.account}, trading day {found.trading_day}", 1)
    yield sentence(
        f"Log {found.log}, {found.log_id.hex()}, as known at position {found.log_position:,}. "
        f"{day_sentence(found, shown)} Times are in {shown.zone}"
        f"{f', {shown.offset}' if shown.offset != 'Z' else ''}.",
        soft=True,
    )
    yield from _first_screen(found, main, shown)
    others = [each for each in found.lockouts if each is not main]
    if main is not None:
        yield from lockout_section(main, shown, is_main=True)
    for each in others:
        yield from lockout_section(each, shown, is_main=False)
    yield from limits_section(found, shown)
    yield from headroom_section(found, shown)
    yield from firm_section(found, shown)
    yield from statement_section(found, shown)
    yield from changes_section(found, shown)
    yield from notes_section(found, shown)
    yield from timeline_section(found)
    yield from unknown_section(found)
    yield from proof_section(proof)


def _first_screen(found: Dispute, main: DisputedLockout | None, shown: Presenter) -> Iterator[str]:
    if main is None:
        yield f'<div class="alarm">{sentence("No lockout of this account held on this day.")}</div>'
        yield tiles([
            ("account", found.account),
            ("records", f"{len(found.timeline):,}"),
            ("settings of limits in force", f"{len(found.limits):,}"),
        ])  # fmt: skip
        if found.headroom:
            last = found.headroom[-1]
            yield sentence(f"The headroom after position {last.position:,}, {shown.time(last.at)}:")
            columns = (("rule", ""), ("figure", FIGURE), ("limit", FIGURE), ("left", FIGURE), ("in", ""))
            yield table((*columns, ("share", FIGURE), ("status", "")), [headroom_row(each, shown) for each in last.of])
        return
    lockout = main.lockout
    reason = lockout.reason or "no reason was given"
    would = "In SHADOW mode, so nothing was locked: " if main.would else ""
    before = "" if main.set_on_day else f"Set before this day, at {shown.time(lockout.set_at)}: "
    yield f'<div class="alarm"><p><b>{escaped(f"{would}{before}{reason}")}</b></p></div>'
    yield lockout_tiles(main, shown, found.account)
    yield from _further(found, main, shown)
    yield behind(main, shown)


def _further(found: Dispute, main: DisputedLockout, shown: Presenter) -> Iterator[str]:
    others = [each for each in found.lockouts if each is not main]
    if not others:
        return
    named = "; ".join(
        f"{each.lockout.rule_id} at {shown.time(each.lockout.set_at)}{' (shadow)' if each.would else ''}"
        for each in others[:LISTED_MAX]
    )
    count = "One more lockout" if len(others) == 1 else f"{len(others):,} more lockouts"
    yield sentence(f"{count} held on this day: {named}.")
