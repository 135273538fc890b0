"""Why something is as it is, as the rows of tables and as lines: the tree of causes or effects, and its figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateways.presenting.presenter import NONE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gateways.presenting.presenter import Presenter
    from projections.auditing import CausalLink, FigureMade

LINK_COLUMNS = ("as", ">position", "~what", ">added")
_INDENT = "· "


def link_rows(links: Iterable[CausalLink], shown: Presenter, depth: int = 0) -> Iterator[tuple[str, ...]]:
    """Yield a row for each record of a tree, indented by how far it is from the top."""
    for each in links:
        record = each.record
        added = " and ".join(shown.money(amount, currency or None) for currency, amount in each.amounts.items())
        more = ", see above" if each.is_repeated else ""
        yield (
            _INDENT * depth + each.role.value.lower(),
            f"{record.position:,}",
            f"{each.sentence} ({record.account}, by {record.actor}, {shown.time(record.occurred_at)}{more})",
            added or NONE,
        )
        yield from link_rows(each.links, shown, depth + 1)


def figure_line(figure: FigureMade, shown: Presenter) -> str:
    """Return a figure with what it was compared with and what it was made of, as one line."""
    amount = shown.money(figure.amount, figure.currency) if figure.currency else shown.quantity(figure.amount)
    limit = "" if figure.limit is None else f" of {shown.money(figure.limit, figure.currency)}"
    standing = f", {figure.status}: {figure.why}" if figure.why else ""
    terms = "; ".join(f"{name} {text}" for name, text in figure.terms.items())
    # Not all of them may be listed.
    added = "" if figure.added is None else f"; its records add up to {shown.money(figure.added, figure.currency)}"
    return f"{figure.account} {figure.name}: {amount}{limit}{standing}{f' ({terms})' if terms else ''}{added}"
