"""Small HTML tables for notebooks: escaped, and readable on light and dark pages."""

from __future__ import annotations

import html
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# Colours come from the page, so a table looks right in a light and in a dark notebook.
_TABLE = "border-collapse:collapse;font-variant-numeric:tabular-nums"
_CELL = "text-align:left;padding:0.15em 0.7em;border-bottom:1px solid color-mix(in srgb,currentColor 20%,transparent)"
_CAPTION = "caption-side:top;text-align:left;padding:0.15em 0.7em;opacity:0.8"


def table_html(headers: Sequence[str], rows: Iterable[Sequence[object]], *, caption: str = "") -> str:
    """Return an HTML table of texts; None is an empty cell. Whatever the texts hold is shown, and nothing is run."""
    head = "".join([_cell("th", header) for header in headers])
    body = "".join(["<tr>" + "".join([_cell("td", value) for value in row]) + "</tr>" for row in rows])
    title = f'<caption style="{_CAPTION}">{_escaped(caption)}</caption>' if caption else ""
    return f'<table style="{_TABLE}">{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _cell(tag: str, value: object) -> str:
    return f'<{tag} style="{_CELL}">{"" if value is None else _escaped(str(value))}</{tag}>'


def _escaped(text: str) -> str:
    """Return text for a page: controls, bidirectional ones included, by their numbers, so that none takes effect."""
    shown = "".join([
        f"\\u{ord(sign):04x}" if unicodedata.category(sign) in {"Cc", "Cf", "Cs"} else sign for sign in text
    ])  # fmt: skip
    return html.escape(shown)
