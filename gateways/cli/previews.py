"""What an import would do, and a file's own profit and loss beside ours, as text or JSON."""

from __future__ import annotations

from collections.abc import Sequence

from gateways.cli import zones
from gateways.cli.options import CommonOptions
from gateways.importers import PnlRow, PnlSums, Preview
from gateways.presenting.output import put, put_json, put_table
from gateways.presenting.presenter import NONE, Presenter


def put_preview(preview: Preview, common: CommonOptions, rows: int) -> None:
    """Print what would be appended."""
    shown = zones.presenter(common, calendar_zone=_zone(preview))
    if common.as_json:
        put_json(preview.as_json(shown.document_zone))
        return
    title = f" ({preview.title})" if preview.title else ""
    put(f"{preview.file}: {preview.rows:,} rows as {preview.format}{title}")
    for reason, count in preview.set_aside.items():
        put(f"{count:,} rows set aside: {reason}")
    if preview.repeated:
        put(f"{preview.repeated:,} rows repeat an earlier row")
    for key, value in preview.choices.items():
        put(f"{key} = {value}")
    put(f"accounts: {', '.join(preview.accounts) or NONE}")
    put(f"from {shown.time(preview.first)} to {shown.time(preview.last)}")
    for currency, amount in preview.fees.items():
        put(f"fees: {shown.money(amount, currency or None)}")
    put()
    put_table("Events to append", ("type", ">events"), [(name, f"{n:,}") for name, n in preview.events.items()])
    _put_contracts(preview, rows)
    positions = [(each.account, each.symbol, shown.quantity(each.quantity)) for each in preview.positions]
    put_table("Positions at the end, from flat", ("account", "symbol", ">quantity"), positions, shown=rows)
    if preview.left_out:
        bad = [(str(row.line), row.column or NONE, row.value or NONE, row.why) for row in preview.left_out]
        put_table("Left out", (">line", "column", "~value", "~why"), bad, shown=rows)
    if preview.pnl_sums.figures:
        put_comparison(preview.pnl, preview.pnl_sums, shown, rows)


def _zone(preview: Preview) -> str | None:
    zone = preview.choices.get("time.zone")
    return None if zone is None or zone.startswith("@") else zone


def _put_contracts(preview: Preview, rows: int) -> None:
    cells = [
        (
            each.symbol,
            NONE if each.point_value is None else f"{each.point_value:f}",
            each.currency or "the account's",
            "by default" if each.is_default else "listed",
            ", ".join(each.names) or NONE,
        )
        for each in preview.contracts
    ]
    put_table("Contracts", ("symbol", ">a point", "currency", "terms", "~names"), cells, shown=rows)


def put_comparison(pnl: Sequence[PnlRow], sums: PnlSums, shown: Presenter, rows: int) -> None:
    """Print a file's own profit and loss beside ours, and the figures that differ."""
    money = shown.money
    after = " after costs" if any(row.after_fees for row in pnl) else ""
    file, fold = money(sums.reported), money(sums.folded)
    put(f"Profit and loss{after} of {sums.figures:,} figures: the file says {file}, the fold {fold}")
    differing = [row for row in pnl if row.differs]
    if not differing:
        put("no figure is more than half a cent from the fold's")
        return
    lines = [
        (_lines(row.lines), row.account, row.symbol, money(row.reported), money(row.folded), money(row.difference))
        for row in differing
    ]
    if len(differing) < sums.differing:
        put(f"{sums.differing:,} figures differ: these are the first of them")
    columns = ("lines", "account", "symbol", ">file", ">fold", ">difference")
    put_table("Figures that differ", columns, lines, shown=rows)


def _lines(lines: tuple[int, ...]) -> str:
    return str(lines[0]) if len(lines) == 1 else f"{lines[0]} to {lines[-1]} ({len(lines)})"
