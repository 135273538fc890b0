"""One self-contained HTML page: sections of sentences and tables, in light and in dark."""

from __future__ import annotations

import html
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FIGURE = "figure"
"""The class of columns of figures, which stand at the right."""
_STYLE = """
:root{color-scheme:light dark;--ink:#1b1b1b;--soft:#5c5c5c;--paper:#fff;--line:#dcdcdc;--box:#f5f5f4;
--blue:#0072b2;--red:#d55e00}
@media(prefers-color-scheme:dark){:root{--ink:#e9e9e7;--soft:#a5a5a2;--paper:#161616;--line:#3a3a3a;
--box:#212121;--blue:#56b4e9;--red:#f0874a}}
body{margin:0 auto;padding:2rem 1.5rem 4rem;max-width:66rem;background:var(--paper);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
h1{font-size:1.6rem;margin:0}
h2{font-size:1.15rem;margin:2.4rem 0 .6rem;border-top:1px solid var(--line);padding-top:1rem}
p{margin:.4rem 0;max-width:52rem}.soft{color:var(--soft);font-size:.87rem;overflow-wrap:anywhere}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(11rem,1fr));gap:.7rem;margin:1.2rem 0}
.tiles div{background:var(--box);border-radius:.4rem;padding:.7rem .9rem}
.tiles b{display:block;font-size:1.15rem;font-variant-numeric:tabular-nums}
.tiles span{color:var(--soft);font-size:.82rem}
.wide{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.87rem;margin:.6rem 0}
th,td{text-align:left;padding:.2rem .8rem .2rem 0;border-bottom:1px solid var(--line);white-space:nowrap}
th{color:var(--soft);font-weight:600;vertical-align:bottom;white-space:normal}
.figure{text-align:right}.text{white-space:normal;min-width:12rem}
svg{width:100%;height:auto;display:block;margin:.6rem 0}summary{cursor:pointer;color:var(--soft)}
@media print{details{display:block}h2{break-after:avoid}}
"""
# Nothing may be fetched or run, whatever a text of the log holds.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def page(title: str, parts: Iterable[str]) -> str:
    """Return a whole page of parts that are HTML already."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width,initial-scale=1">\n'
        f"<title>{escaped(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body>\n</html>\n"
    )


def escaped(text: object) -> str:
    """Return text for a page; controls, bidirectional ones included, by their numbers, so that none takes effect."""
    shown = [f"\\u{ord(sign):04x}" if unicodedata.category(sign) in {"Cc", "Cf", "Cs"} else sign for sign in str(text)]
    return html.escape("".join(shown))


def heading(text: str, level: int = 2) -> str:
    return f"<h{level}>{escaped(text)}</h{level}>"


def sentence(text: str, *, soft: bool = False) -> str:
    return f'<p class="soft">{escaped(text)}</p>' if soft else f"<p>{escaped(text)}</p>"


def tiles(figures: Iterable[tuple[str, str]]) -> str:
    """Return a row of figures, each with what it is below it."""
    return (
        '<div class="tiles">'
        + "".join([f"<div><b>{escaped(value)}</b><span>{escaped(what)}</span></div>" for what, value in figures])
        + "</div>"
    )


def table(headers: Sequence[tuple[str, str]], rows: Iterable[Sequence[object]]) -> str:
    """Return a table; a header is its text and the class of its column: FIGURE, "text" or nothing."""
    classes = [f' class="{kind}"' if kind else "" for _, kind in headers]
    head = "".join([f"<th{kind}>{escaped(text)}</th>" for (text, _), kind in zip(headers, classes, strict=True)])
    body = "".join([
        "<tr>" + "".join([f"<td{kind}>{_cell(value)}</td>" for value, kind in zip(row, classes, strict=True)]) + "</tr>"
        for row in rows
    ])  # fmt: skip
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _cell(value: object) -> str:
    return "" if value is None else escaped(value)


def folded(summary: str, content: str) -> str:
    """Return content that is shown when it is asked for."""
    return f"<details><summary>{escaped(summary)}</summary>{content}</details>"
