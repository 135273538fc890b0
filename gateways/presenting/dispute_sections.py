"""The sections of a dispute's page below its first screen: limits, headroom, the firm, the statement, notes, proof."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateways.presenting.dispute_lockout import LISTED_MAX, TIME
from gateways.presenting.headroom import HEADROOM_COLUMNS, headroom_row
from gateways.presenting.headroom_chart import ChartPoint, headroom_chart
from gateways.presenting.presenter import NONE
from projections.auditing import BY_PEOPLE
from projections.auditing.sentences.limits import parameters_text
from projections.html_page import FIGURE, escaped, heading, sentence, table
from projections.valuation import Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from decimal import Decimal

    from gateways.presenting.presenter import Presenter
    from projections.auditing import Break, Dispute, FirmReport, HeadroomAt, LimitInForce
    from projections.views.limits.headroom import Headroom

CHARTS_MAX = 6
INSTANTS_MAX = 10
"""How many instants of one limit the page itself has, besides its lockouts."""
_SHOWN_NUMBERS = 4
_CHANGES = frozenset(cls.__name__ for cls in BY_PEOPLE)


def limits_section(found: Dispute, shown: Presenter) -> Iterator[str]:
    """Yield which limits were in force over the day, since when, and who set them."""
    yield heading("Limits in force, and who set them")
    for mode in found.modes:
        since = "it waits for a session" if mode.in_force_at is None else f"since {shown.time(mode.in_force_at)}"
        yield sentence(
            f"The account is {mode.mode}, {since}, set by {mode.actor} at position {mode.position:,}"
            f"{f': {mode.reason}' if mode.reason else '.'}"
        )
    if not found.limits:
        yield sentence("No limit of this account was in force on this day.")
        return
    columns = (
        *(("rule", ""), ("parameters", "text"), ("in force from", TIME), ("until", TIME)),
        *(("set by", "text"), ("position", FIGURE)),
    )
    yield table(columns, (_limit_row(each, shown) for each in found.limits))


def _limit_row(each: LimitInForce, shown: Presenter) -> tuple[str, ...]:
    setting = each.setting
    until = "still in force" if each.until is None else shown.time(each.until)
    if each.since is None:
        until = NONE
    note = f": {setting.note}" if setting.note else ""
    return (
        *(each.rule_id, parameters_text(setting.parameters) or NONE),
        *("never in force" if each.since is None else shown.time(each.since), until),
        *(f"{setting.actor}, {shown.time(setting.set_at)}{note}", f"{setting.position:,}"),
    )


def headroom_section(found: Dispute, shown: Presenter) -> Iterator[str]:
    """Yield how far the account was from each limit: a picture of each, and the instants that matter."""
    if not found.headroom:
        return
    yield heading("Headroom over the day")
    yield sentence(
        f"What was left of each limit just after each of {len(found.headroom):,} executions and decisions, as the book "
        "without quotes has it: what rests on an open position is KNOWN only while a price is.",
        soft=True,
    )
    locked = {each.lockout.rule_id: each.lockout.set_at for each in found.lockouts if each.set_on_day}
    rules = list(dict.fromkeys(each.rule_id for point in found.headroom for each in point.of))
    rules.sort(key=lambda rule_id: rule_id not in locked)
    for rule_id in rules[:CHARTS_MAX]:
        series = list(_series(found, rule_id))
        unit = next((each.currency or "" for _, each in series if each.currency), "")
        points = [ChartPoint(point.at, _known_left(each)) for point, each in _all(found, rule_id)]
        picture = headroom_chart(
            points, [locked[rule_id]] if rule_id in locked else [], shown, title=f"left of {rule_id}", unit=unit
        )
        if picture:
            yield heading(f"Left of {rule_id}", 3) + picture
    if len(rules) > CHARTS_MAX:
        yield sentence(f"{len(rules) - CHARTS_MAX:,} more limits are in the table alone.", soft=True)
    columns = (("when", ""), ("time", TIME), ("position", FIGURE), *_headroom_columns())
    yield table(columns, (row for rule_id in rules for row in _instants(list(_series(found, rule_id)), shown)))
    yield '<p class="soft"><a href="headroom.html">headroom.html</a> has every instant.</p>'


def _known_left(each: Headroom | None) -> Decimal | None:
    """Return what was left, None where that is not certain."""
    return each.left if each is not None and each.status is Status.KNOWN else None


def _headroom_columns() -> list[tuple[str, str]]:
    kinds = {name: FIGURE if name.startswith(">") else "" for name in HEADROOM_COLUMNS} | {"status": "text"}
    return [(name.removeprefix(">"), kind) for name, kind in kinds.items()]


def _all(found: Dispute, rule_id: str) -> Iterator[tuple[HeadroomAt, Headroom | None]]:
    for point in found.headroom:
        yield point, next((each for each in point.of if each.rule_id == rule_id), None)


def _series(found: Dispute, rule_id: str) -> Iterator[tuple[HeadroomAt, Headroom]]:
    return ((point, each) for point, each in _all(found, rule_id) if each is not None)


def _instants(series: list[tuple[HeadroomAt, Headroom]], shown: Presenter) -> Iterator[tuple[str, ...]]:
    """Yield the rows of one limit: the first instant, each lockout, when least was left, the last one."""
    chosen = {0: "first", len(series) - 1: "last"}
    known = [number for number, (_, each) in enumerate(series) if _known_left(each) is not None]
    if known:
        chosen[min(known, key=lambda number: series[number][1].left or 0)] = "least left"
    for number, (point, each) in enumerate(series):
        if point.type in {"LockoutSet", "WouldLock"}:
            chosen[number] = "lockout"
        elif number and each.status != series[number - 1][1].status and len(chosen) < INSTANTS_MAX:
            chosen.setdefault(number, f"becomes {each.status}")
    for number, name in sorted(chosen.items()):
        point, each = series[number]
        yield (name, *_row(point, each, shown))


def _row(point: HeadroomAt, each: Headroom, shown: Presenter) -> tuple[str, ...]:
    cells = headroom_row(each, shown)
    standing = f"{cells[-1]}: {each.why}" if each.why else cells[-1]
    return (shown.time(point.at), f"{point.position:,}", *cells[:-1], standing)


def headroom_page(found: Dispute, shown: Presenter) -> Iterator[str]:
    """Yield the parts of the page with the headroom at every instant."""
    yield heading(f"Headroom of {found.account} on {found.trading_day}", 1)
    yield '<p><a href="index.html">index.html</a></p>'
    columns = (("time", TIME), ("position", FIGURE), *_headroom_columns())
    yield table(columns, (_row(point, each, shown) for point in found.headroom for each in point.of))


def firm_section(found: Dispute, shown: Presenter) -> Iterator[str]:
    """Yield the firm's own figures, where they were reported, beside ours at the same instant."""
    yield heading("The firm's own figures")
    if not found.firm:
        yield sentence("None was reported for this day.")
        return
    columns = (
        *(("kind", ""), ("as of", TIME), ("firm's figure", FIGURE), ("ours", FIGURE), ("firm's limit", FIGURE)),
        *(("ours", FIGURE), ("in", ""), ("reported by", ""), ("position", FIGURE), ("not known here", "text")),
    )
    yield table(columns, (_firm_row(each, shown) for each in found.firm))


def _firm_row(each: FirmReport, shown: Presenter) -> tuple[str, ...]:
    report = each.report
    theirs = [shown.money(amount, report.currency) for amount in (report.figure, report.limit)]
    ours = [shown.money(amount, each.currency) for amount in (each.figure, each.limit)]
    return (
        *(report.kind, shown.time(report.reported_at), theirs[0], ours[0], theirs[1], ours[1]),
        *(report.currency or each.currency or NONE, each.actor, f"{report.position:,}", each.why or NONE),
    )


def statement_section(found: Dispute, shown: Presenter) -> Iterator[str]:
    """Yield where the broker's statement differs from the log, and who has signed the day."""
    yield heading("The broker's statement")
    compared = found.statement
    if compared is None:
        yield sentence("It was not compared: see what is not known, below.")
    else:
        executions = sum(each.executions for each in compared.parts)
        matched = sum(each.found for each in compared.parts)
        digest = f", SHA-256 {compared.digest}" if compared.digest else ""
        yield sentence(
            f"{compared.source}{digest}: {matched:,} of its {executions:,} executions are in the log; "
            f"{len(compared.breaks):,} breaks."
        )
        for note in compared.notes:
            yield sentence(note, soft=True)
        if compared.breaks:
            columns = (("break", ""), ("what", "text"), ("lines", ""), ("positions", ""))
            yield table(columns, (_break_row(each) for each in compared.breaks))
    for each in found.signed:
        state = "nothing has changed since" if not each.changes else f"{len(each.changes):,} changes since"
        yield sentence(
            f"Signed by {each.by} at {shown.time(each.signed_at)} with {each.breaks_count:,} breaks, "
            f"position {each.record:,}; {state}."
        )
        yield _list(change.sentence for change in each.changes)


def _break_row(each: Break) -> tuple[str, ...]:
    return str(each.kind), each.sentence, _numbers(each.lines), _numbers(each.records)


def _numbers(numbers: Sequence[int]) -> str:
    more = len(numbers) - _SHOWN_NUMBERS
    text = ", ".join(f"{number:,}" for number in numbers[:_SHOWN_NUMBERS])
    return f"{text} and {more:,} more" if more > 0 else text or NONE


def changes_section(found: Dispute, shown: Presenter) -> Iterator[str]:
    """Yield what people set, cleared, corrected and reopened on the day."""
    entries = [entry for entry in found.timeline if entry.record.type in _CHANGES]
    yield heading("What people changed on the day")
    if not entries:
        yield sentence("Nothing.")
        return
    columns = (("position", FIGURE), ("time", TIME), ("by", ""), ("what", "text"), ("note", "text"))
    rows = [
        (f"{each.position:,}", shown.time(each.occurred_at), each.actor, each.sentence, each.record.note or NONE)
        for each in entries[:LISTED_MAX]
    ]
    yield table(columns, rows)
    if len(entries) > LISTED_MAX:
        yield sentence(f"The first {LISTED_MAX:,} of {len(entries):,}; timeline.html has all of them.", soft=True)


def notes_section(found: Dispute, shown: Presenter) -> Iterator[str]:
    if not found.notes:
        return
    yield heading("Notes")
    columns = (("position", FIGURE), ("added", TIME), ("by", ""), ("about", "text"), ("note", "text"), ("tags", ""))
    rows = [
        (
            *(f"{each.position:,}", shown.time(each.added_at), each.actor, each.target),
            *(each.text or NONE, ", ".join(each.tags) or NONE),
        )
        for each in found.notes
    ]
    yield table(columns, rows)


def timeline_section(found: Dispute) -> Iterator[str]:
    yield heading("Timeline")
    late = [each for each in found.timeline if not found.since <= each.occurred_at < found.until]
    others = f", of which {len(late):,} are about other days and were recorded on this one" if late else ""
    yield (
        f'<p><a href="timeline.html">timeline.html</a> has {len(found.timeline):,} records{others}, each as a sentence '
        "with what it changed; records.jsonl and records.csv have them as they were recorded.</p>"
    )


def unknown_section(found: Dispute) -> Iterator[str]:
    yield heading("What is not known")
    if not found.unknown:
        yield sentence("Nothing was found to be missing.")
        return
    yield _list(found.unknown[:LISTED_MAX])
    if len(found.unknown) > LISTED_MAX:
        yield sentence(f"The first {LISTED_MAX:,} of {len(found.unknown):,}; dispute.json has all of them.", soft=True)


def proof_section(proof: Iterable[str]) -> Iterator[str]:
    yield heading("Proof")
    yield _list(proof)


def _list(sentences: Iterable[str]) -> str:
    items = "".join(f"<li>{escaped(each)}</li>" for each in sentences)
    return f"<ul>{items}</ul>" if items else ""
