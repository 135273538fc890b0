"""The sections of a report: what each shows of a frame, as a sentence, a picture and a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from projections.analysis import plot
from projections.analysis.reporting import cells
from projections.analysis.reporting.pictures import picture
from projections.html_page import FIGURE, folded, heading, sentence, table, tiles

if TYPE_CHECKING:
    import datetime
    from collections.abc import Iterator
    from decimal import Decimal

    from projections.analysis.frame import Frame

ROWS_MAX = 200
"""Of more round trips the newest are listed; the frame has all of them."""
DRAWDOWNS = 5
KNOWN = "KNOWN"


class Frames(NamedTuple):
    """The frames of a report about one account, with figures as texts: the page rounds them itself."""

    days: Frame
    equity: Frame
    round_trips: Frame
    positions: Frame
    headroom: Frame
    lockouts: Frame
    instants: str
    """At which instants equity, positions and headroom are given."""


class DrawdownSpan(NamedTuple):
    """A stretch below a high: when it began and ended (None: not yet), how deep it was and when, in UNIX ns."""

    since: int
    lowest_at: int
    until: int | None
    depth: Decimal


def begin(account: str, frames: Frames, zone: datetime.tzinfo) -> Iterator[str]:
    """Yield the heading, and the figures that are looked at first."""
    days, trips, equity = cells.rows(frames.days), cells.rows(frames.round_trips), cells.rows(frames.equity)
    locks = cells.rows(frames.lockouts)
    yield heading(account, 1)
    if equity:
        first, last = (cells.time(equity[place]["at"], zone) for place in (0, -1))
        states = f"equity, exposure and headroom {frames.instants}"
        yield sentence(f"{first} to {last}, {zone}; {states}", soft=True)
    figures = [
        (f"net result, {currency or 'currency not stated'}", cells.money(cells.total(nets)))
        for currency, nets in _by_currency(days).items()
    ]
    if equity:
        figures.append((f"equity at the end, {_status(equity[-1])}", cells.money(equity[-1]["equity"])))
    by_currency = _drawdowns(equity)
    for currency, spans in by_currency.items():
        worst = max(spans, key=lambda each: each.depth)
        name = f"deepest drawdown in {currency}" if len(by_currency) > 1 else "deepest drawdown"
        figures.append((f"{name}, {cells.time(worst.lowest_at, zone)}", cells.money(worst.depth)))
    counts = {"trading day": len({row["trading_day"] for row in days}), "round trip": len(trips), "lockout": len(locks)}
    figures += [(noun if count == 1 else f"{noun}s", f"{count:,}") for noun, count in counts.items()]
    yield tiles(figures)


def _by_currency(days: list[dict[str, Any]]) -> dict[str | None, list[Decimal | None]]:
    found: dict[str | None, list[Decimal | None]] = {}
    for row in days:
        found.setdefault(row["currency"], []).append(cells.number(row["net"]))
    return found


def _status(row: dict[str, Any]) -> str:
    """Return the currency of a valued row, or why it is not certain."""
    if row["status"] == KNOWN:
        return row["currency"] or "currency not stated"
    return f"{row['status']}: {row['why'] or 'no reason given'}"


def all_of(account: str, frames: Frames, zone: datetime.tzinfo) -> Iterator[str]:
    """Yield every section."""
    yield from _equity(account, frames, zone)
    yield from _days(account, frames.days)
    yield from _round_trips(frames.round_trips, zone)
    yield from _exposure(account, frames.positions, zone)
    yield from _headroom(account, frames, zone)
    yield from _lockouts(frames.lockouts, zone)


def _equity(account: str, frames: Frames, zone: datetime.tzinfo) -> Iterator[str]:
    yield heading("Equity and drawdown")
    rows = cells.rows(frames.equity)
    # An account that was reopened in another currency has a picture for each.
    for currency in _currencies(rows):
        drawn = plot.equity(frames.equity, account, currency=currency, lockouts=frames.lockouts, zone=zone)
        yield picture(drawn, f"equity of {account}")
    uncertain = [row for row in rows if row["status"] != KNOWN]
    if uncertain:
        reasons = dict.fromkeys(row["why"] for row in uncertain if row["why"])
        yield sentence(
            f"{len(uncertain):,} of {len(rows):,} figures are not certain, and not part of the drawdowns: "
            + ("; ".join(list(reasons)[:3]) or "no reason given")
        )
    by_currency = _drawdowns(rows)
    for currency, spans in by_currency.items():
        name = f"drawdown in {currency}" if len(by_currency) > 1 else "drawdown"
        yield _deepest(name, spans, zone)


def _deepest(name: str, spans: list[DrawdownSpan], zone: datetime.tzinfo) -> str:
    headers = [(name, FIGURE), ("below the high since", ""), ("lowest", ""), ("back at the high", "")]
    return table(
        headers,
        [
            (
                cells.money(each.depth),
                cells.time(each.since, zone),
                cells.time(each.lowest_at, zone),
                "not yet" if each.until is None else cells.time(each.until, zone),
            )
            for each in sorted(spans, key=lambda each: -each.depth)[:DRAWDOWNS]
        ],
    )


def _currencies(rows: list[dict[str, Any]]) -> list[str | None]:
    """Return the currencies that rows are in; None alone where no row states one."""
    return list(dict.fromkeys(row["currency"] for row in rows if row["currency"] is not None)) or [None]


def _drawdowns(equity: list[dict[str, Any]]) -> dict[str | None, list[DrawdownSpan]]:
    """Return the drawdowns in each currency that has any: what an account lost in one is none in another."""
    found = {
        currency: drawdowns([row for row in equity if currency is None or row["currency"] == currency])
        for currency in _currencies(equity)
    }
    return {currency: spans for currency, spans in found.items() if spans}


def drawdowns(rows: list[dict[str, Any]]) -> list[DrawdownSpan]:
    """Return the stretches in which certain equity lay below its highest, in their order."""
    found: list[DrawdownSpan] = []
    at_high: int | None = None
    current: DrawdownSpan | None = None
    for row in rows:
        depth = cells.number(row["drawdown"])
        if row["status"] != KNOWN or depth is None:
            continue
        if not depth:
            if current is not None:
                found.append(current._replace(until=row["at"]))
            at_high, current = row["at"], None
        elif current is None:
            current = DrawdownSpan(row["at"] if at_high is None else at_high, row["at"], None, depth)
        elif depth > current.depth:
            current = current._replace(lowest_at=row["at"], depth=depth)
    return found if current is None else [*found, current]


def _days(account: str, frame: Frame) -> Iterator[str]:
    yield heading("Result by trading day")
    rows = cells.rows(frame)
    # Amounts in different currencies are never added up: each has a picture of its own.
    for currency in _currencies(rows):
        yield picture(plot.days(frame, account, currency=currency), f"net result of {account} by day")
    headers = [("trading day", ""), ("session", ""), ("currency", "")]
    headers += [
        (text, FIGURE) for text in ("realized", "fees", "funding", "net", "fills", "wins", "losses", "win rate")
    ]
    listed = [
        (
            *(row["trading_day"], row["session"], row["currency"]),
            *(cells.money(row[name]) for name in ("realized", "fees", "funding", "net")),
            *(f"{row[name]:,}" for name in ("trades", "wins", "losses")),
            cells.percent(row["win_rate"]),
        )
        for row in rows
    ]
    if rows:
        yield _listing("trading days", headers, listed, shown=10)


def _listing(what: str, headers: list[tuple[str, str]], rows: list[tuple[Any, ...]], shown: int) -> str:
    """Return a table; one with more rows than are shown at once is opened by a click."""
    content = table(headers, rows)
    return content if len(rows) <= shown else folded(f"{len(rows):,} {what}", content)


def _round_trips(frame: Frame, zone: datetime.tzinfo) -> Iterator[str]:
    yield heading("Round trips")
    rows = cells.rows(frame)
    if not rows:
        yield sentence("No round trip ended in this range.")
        return
    newest = rows[: -ROWS_MAX - 1 : -1]
    if len(rows) > len(newest):
        yield sentence(f"The newest {len(newest):,} of {len(rows):,}; analysis.round_trips has all of them.", soft=True)
    headers = [("entry", ""), ("exit", ""), ("held", FIGURE), ("symbol", ""), ("", "")]
    headers += [(text, FIGURE) for text in ("quantity", "entry price", "exit price", "gross", "fees", "net")]
    headers += [("", ""), ("strategy", "")]
    listed = [
        (
            *(cells.time(row["entry_at"], zone), cells.time(row["exit_at"], zone), cells.span(row["duration"])),
            *(row["symbol"], row["direction"]),
            *(cells.quantity(row[name]) for name in ("quantity", "entry_price", "exit_price")),
            *(cells.money(row[name]) for name in ("gross", "fees", "net")),
            *(row["currency"], row["strategy"]),
        )
        for row in newest
    ]
    yield _listing("round trips", headers, listed, shown=20)


def _exposure(account: str, frame: Frame, zone: datetime.tzinfo) -> Iterator[str]:
    yield heading("Exposure")
    yield picture(plot.positions(frame, account, zone=zone), f"positions of {account}")
    rows = cells.rows(frame)
    last = [row for row in rows if row["at"] == rows[-1]["at"]] if rows else []
    held = [row for row in last if cells.number(row["quantity"]) or row["status"] != KNOWN]
    if not held:
        yield sentence("Nothing was held at the last of these instants.")
        return
    yield table(
        [("held at the last of these instants", ""), ("quantity", FIGURE), ("average price", FIGURE), ("", "")],
        [
            (
                row["symbol"],
                cells.quantity(row["quantity"]),
                cells.quantity(row["average_price"]),
                None if row["status"] == KNOWN else row["status"],
            )
            for row in held
        ],
    )


def _headroom(account: str, frames: Frames, zone: datetime.tzinfo) -> Iterator[str]:
    yield heading("Headroom of the limits")
    rows = cells.rows(frames.headroom)
    if not rows:
        yield sentence("No limit was in force.")
        return
    yield picture(
        plot.headroom(frames.headroom, account, lockouts=frames.lockouts, zone=zone), f"headroom of {account}"
    )
    headers = [("limit", ""), ("kind", ""), ("figure", FIGURE), ("of", FIGURE), ("left", FIGURE), ("", FIGURE)]
    headers += [("least left", FIGURE), ("at", ""), ("", "text")]
    last = {row["rule_id"]: row for row in rows}
    listed = []
    for rule, row in last.items():
        shares = [(cells.number(each["share"]), each["at"]) for each in rows if each["rule_id"] == rule]
        least = min(((share, at) for share, at in shares if share is not None), default=(None, None))
        standing = "" if row["status"] == KNOWN else f"{row['status']}: {row['why']}"
        listed.append((
            *(rule, row["kind"], *(cells.quantity(row[name]) for name in ("figure", "limit", "left"))),
            *(cells.percent(row["share"]), cells.percent(least[0]), cells.time(least[1], zone), standing),
        ))  # fmt: skip
    yield table(headers, listed)


def _lockouts(frame: Frame, zone: datetime.tzinfo) -> Iterator[str]:
    yield heading("Lockouts")
    rows = cells.rows(frame)
    if not rows:
        yield sentence("None.")
        return
    headers = [("set", ""), ("set until", ""), ("ended", ""), ("rule", ""), ("scope", ""), ("allowed", "")]
    headers += [("reason", "text"), ("log position", FIGURE)]
    yield table(
        headers,
        [
            (
                cells.time(row["set_at"], zone),
                "without end date" if row["until"] is None else cells.time(row["until"], zone),
                "in force" if row["ended_at"] is None else cells.time(row["ended_at"], zone),
                *(row["rule_id"], row["scope"], row["allows"], row["reason"], row["set_position"]),
            )
            for row in rows
        ],
    )
