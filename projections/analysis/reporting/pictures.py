"""A plot as a picture within an HTML page, which is light or dark."""

from __future__ import annotations

import io
import re
from typing import Any

from projections.analysis.libraries import library
from projections.analysis.plot import canvas
from projections.html_page import escaped

_INKS = {canvas.BLACK: "currentColor", canvas.BLUE: "var(--blue)", canvas.VERMILLION: "var(--red)"}
"""Colours that a dark page needs lighter."""
_INK = re.compile("|".join(map(re.escape, _INKS)), re.IGNORECASE)
_GROUP_ID = re.compile(r'<g id="[^"]*">')
_PATH = re.compile(r' d="[^"]*"')
_DIGITS = re.compile(r"(\.\d\d)\d+")
_METADATA = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)
_BEFORE_PICTURE = re.compile(r"^.*?(?=<svg)", re.DOTALL)


def picture(ax: Any, text: str) -> str:  # noqa: ANN401 - axes of matplotlib's
    """Return a plot as inline SVG: its black is the page's ink, its texts are texts, and it needs no file."""
    stream = io.StringIO()
    settings = {"svg.fonttype": "none", "svg.hashsalt": "report", "svg.image_inline": True}
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with library("matplotlib").rc_context(settings):
        ax.figure.savefig(stream, format="svg", transparent=True, metadata=nothing)
    svg = _METADATA.sub("", _BEFORE_PICTURE.sub("", stream.getvalue(), count=1))
    # Of several pictures in one page, groups would have the same ids.
    # A hundredth of a point is a hundredth of a pixel, and half of the file.
    svg = _PATH.sub(lambda path: _DIGITS.sub(r"\1", path[0]), svg)
    svg = _INK.sub(lambda ink: _INKS[ink[0].upper()], _GROUP_ID.sub("<g>", svg))
    return svg.replace("<svg ", f'<svg role="img" aria-label="{escaped(text)}" fill="currentColor" ', 1)
