"""One lockout of a dispute as parts of a page: what it was decided on, the executions behind it, what became of it."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from eventstore.trading import Allows, QuotesKept
from gateways.presenting.causes import figure_line
from gateways.presenting.presenter import NONE
from projections.auditing import Role
from projections.decimals import ZERO
from projections.html_page import FIGURE, escaped, heading, sentence, table, tiles
from projections.risk.policies.protocol import ACTOR

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from gateways.presenting.presenter import Presenter
    from projections.auditing import CausalLink, Dispute, DisputedLockout, FigureMade

LISTED_MAX = 30
TIME = "time"
"""The class of columns of times, which are not broken into lines."""
"""How many records of a list the page itself has; the others are on a page of their own."""
LARGEST = 5
QUOTES_MAX = 20
_BEHIND = frozenset({Role.EXECUTION, Role.CASH, Role.AMENDMENT, Role.CARRIED, Role.QUOTES})
_COLUMNS = (("position", FIGURE), ("time", TIME), ("as", ""), ("record", "text"))
_BEHIND_COLUMNS = (*_COLUMNS, ("added", FIGURE))


def page_of_lockout(each: DisputedLockout) -> str:
    """Return the name of the page that lists all records behind a lockout's figure."""
    return f"lockout-{each.position}.html"


def lockout_tiles(each: DisputedLockout, shown: Presenter, account: str) -> str:
    """Return the first answer: account, lockout, time, limit and figure."""
    lockout, figure = each.lockout, each.figure
    until = "without end date" if lockout.until is None else f"until {shown.time(lockout.until)}"
    allows = "nothing allowed" if lockout.allows is Allows.NOTHING else "reductions allowed"
    scope = "" if lockout.scope == "account" else f", {lockout.scope}"
    revocable = "" if lockout.revocable else ", irrevocable"
    verb = "would have locked" if each.would else "lockout"
    found = [
        ("account", account),
        (f"{verb}: {allows}{scope}{revocable}, {until}", lockout.rule_id),
        (f"time, decided by {each.actor or 'unknown'}", shown.time(lockout.set_at)),
        (_limit_text(each, shown), _amount(None if figure is None else figure.limit, figure, shown)),
        (_figure_text(figure), _amount(None if figure is None else figure.amount, figure, shown)),
    ]
    return tiles(found)


def _limit_text(each: DisputedLockout, shown: Presenter) -> str:
    setting = next(iter(each.limits), None)
    if setting is None:
        return "limit: no setting decided" if each.figure is None else "limit; its setting is not named"
    record = setting.record
    return f"limit, set by {record.actor} at {shown.time(record.recorded_at)}, position {record.position:,}"


def _figure_text(figure: FigureMade | None) -> str:
    if figure is None:
        return "figure: none was compared"
    standing = "" if not figure.why else f", {figure.status}: {figure.why}"
    terms = "; ".join(f"{name} {text}" for name, text in figure.terms.items())
    return f"figure{f' ({terms})' if terms else ''}{standing}"


def _amount(value: Decimal | None, figure: FigureMade | None, shown: Presenter) -> str:
    if value is None or figure is None:
        return NONE
    return f"{shown.money(value, figure.currency)} {figure.currency}" if figure.currency else shown.quantity(value)


def behind(each: DisputedLockout, shown: Presenter) -> str:
    """Return what the figure is made of: the record that decided, a sum for each contract, the largest losses."""
    executions = each.executions
    parts = []
    trigger = each.trigger
    if trigger is None and each.actor.startswith(ACTOR):
        parts.append(sentence("Decided at a quote or as time passed: no record of the log caused it."))
    if trigger is not None:
        record = trigger.record
        parts.append(
            sentence(
                f"Decided upon position {record.position:,} at {shown.time(record.occurred_at)}, "
                f"recorded by {record.actor}: {trigger.sentence}."
            )
        )
    if not executions:
        what = "nobody decided it by a figure" if each.figure is None else "the log names none"
        return "".join([*parts, sentence(f"No executions are behind this lockout: {what}.", soft=True)])
    sums = table((("contract", ""), ("in", ""), ("records", FIGURE), ("added", FIGURE)), _sums(each, shown))
    largest = [link for link in executions if any(amount < 0 for amount in link.amounts.values())]
    largest = sorted(largest, key=lambda link: min(link.amounts.values()))[:LARGEST]
    head = (("position", FIGURE), ("time", TIME), ("largest losses", "text"), ("added", FIGURE))
    rows = [
        (f"{link.record.position:,}", shown.time(link.record.occurred_at), link.sentence, added(link, shown))
        for link in largest
    ]
    return "".join([*parts, f'<div class="pair">{sums}{table(head, rows) if rows else ""}</div>'])


def _sums(each: DisputedLockout, shown: Presenter) -> Iterator[tuple[str, ...]]:
    listed: dict[str, Decimal] = {}
    for symbol, currency, records, amount in each.contributions():
        listed[currency] = listed.get(currency, ZERO) + amount
        yield symbol, currency or NONE, f"{records:,}", shown.money(amount, currency or None)
    figure = each.figure
    if figure is None or figure.added is None or not figure.currency:
        return
    rest = figure.added - listed.get(figure.currency, ZERO)
    if rest:
        yield "earlier, not listed", figure.currency, NONE, shown.money(rest, figure.currency)
    yield "together", figure.currency, "", shown.money(figure.added, figure.currency)
    unrealized = figure.terms.get("unrealized")
    if unrealized is not None:
        yield "unrealized", figure.currency, "", shown.money(_decimal(unrealized), figure.currency)
        yield "figure", figure.currency, "", shown.money(figure.amount, figure.currency)


def _decimal(text: str) -> Decimal | None:
    """Return a term of a decision, which may be any text; None for what is not a number."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def added(link: CausalLink, shown: Presenter) -> str:
    """Return what a record added to the figure, by currency."""
    return " and ".join(shown.money(amount, name or None) for name, amount in link.amounts.items()) or NONE


def lockout_section(each: DisputedLockout, shown: Presenter, *, is_main: bool) -> Iterator[str]:
    """Yield the parts of a lockout's own section; what the first screen has of the main one is left out."""
    lockout = each.lockout
    yield heading(f"Lockout {lockout.rule_id} at {shown.time(lockout.set_at)}")
    if not is_main:
        yield lockout_tiles(each, shown, lockout.account)
        yield sentence(lockout.reason or "No reason was given.")
        yield behind(each, shown)
    yield from _course(each, shown)
    if each.why is not None:
        for figure in each.why.figures:
            yield sentence(figure_line(figure, shown), soft=True)
        others = [link for cause in each.why.causes if cause.role not in _BEHIND for link in cause.walk()]
        yield from _links("Rests on", others, shown)
        yield from _executions(each, shown)
        yield from quotes(each.quotes, shown)
        effects = [link for effect in each.why.effects for link in effect.walk()]
        yield from _links("Led to", effects, shown)


def _links(title: str, links: Sequence[CausalLink], shown: Presenter) -> Iterator[str]:
    if links:
        yield heading(title, 3)
        yield table(_COLUMNS, (cause_row(link, shown)[:-1] for link in links[:LISTED_MAX]))
        yield from _more(len(links), "records")


def _course(each: DisputedLockout, shown: Presenter) -> Iterator[str]:
    lockout = each.lockout
    ended = lockout.ended_by
    state = (
        "It is in force without end date." if lockout.ends_at is None else f"It ends at {shown.time(lockout.ends_at)}."
    )
    if ended is not None:
        state = f"It ended at {shown.time(lockout.ended_at)}: {ended}."
    elif lockout.ahead:
        state += " The clock was set while it was in force, and it lasts by so much longer."
    yield sentence(state)
    if len(each.course) > 1:
        columns = (("position", FIGURE), ("recorded", TIME), ("by", ""), ("what became of it", "text"))
        rows = [
            (f"{entry.position:,}", shown.time(entry.recorded_at), entry.actor, entry.sentence) for entry in each.course
        ]
        yield table(columns, rows)


def _executions(each: DisputedLockout, shown: Presenter) -> Iterator[str]:
    executions = each.executions
    if not executions:
        return
    yield heading("The executions behind the figure", 3)
    shown_here = executions[-LISTED_MAX:]
    yield table(_BEHIND_COLUMNS, (cause_row(link, shown) for link in shown_here))
    if len(executions) > len(shown_here):
        name = page_of_lockout(each)
        yield (
            f'<p class="soft">The newest {len(shown_here):,} of {len(executions):,}: '
            f'<a href="{name}">{name}</a> has all of them.</p>'
        )


def cause_row(link: CausalLink, shown: Presenter) -> tuple[str, ...]:
    record = link.record
    by = f"{link.sentence} (by {record.actor}{'' if link.role in _BEHIND else f', {record.account}'})"
    return f"{record.position:,}", shown.time(record.occurred_at), link.role.value.lower(), by, added(link, shown)


def quotes(links: Sequence[CausalLink], shown: Presenter) -> Iterator[str]:
    """Yield the quotes that were kept with a decision, newest first."""
    for link in links:
        event = link.record.event
        if not isinstance(event, QuotesKept):
            continue
        yield heading(f"Quotes kept with it, position {link.record.position:,}", 3)
        columns = (
            *(("symbol", ""), ("at", TIME), ("bid", FIGURE), ("ask", FIGURE), ("last", FIGURE), ("mark", FIGURE)),
            *(("source", ""), ("not used, because", "text")),
        )
        rows = [
            (
                *(quote.symbol, shown.time(quote.at), shown.price(quote.bid), shown.price(quote.ask)),
                *(shown.price(quote.last), shown.price(quote.mark), quote.source or NONE, quote.ignored or NONE),
            )
            for quote in event.quotes[:QUOTES_MAX]
        ]
        yield table(columns, rows)
        yield from _more(len(event.quotes), "quotes", QUOTES_MAX)


def _more(count: int, what: str, most: int = LISTED_MAX) -> Iterator[str]:
    if count > most:
        yield sentence(f"The first {most:,} of {count:,} {what}; dispute.json has all of them.", soft=True)


def executions_page(each: DisputedLockout, found: Dispute, shown: Presenter) -> Iterable[str]:
    """Return the parts of the page that lists every record behind a lockout's figure."""
    return (
        heading(f"The executions behind {each.lockout.rule_id}", 1),
        sentence(found.said(shown.time), soft=True),
        f'<p><a href="index.html">{escaped("index.html")}</a></p>',
        table(_BEHIND_COLUMNS, (cause_row(link, shown) for link in each.executions)),
    )
