"""Foreign text made safe to show: what could control a terminal, hide or reorder text becomes an escape."""

from __future__ import annotations

import re

# Invisible code points that `str.isprintable` counts as printable: joiners, fillers and variation selectors.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8\U000e0000-\U000e0fff]"
)
_UTF16_MAX = 0xFFFF


def is_shown(text: str) -> bool:
    """Return whether text is shown as it is: every character is printable and visible."""
    return text.isprintable() and (text.isascii() or not _INVISIBLE.search(text))


def escaped(text: str) -> str:
    r"""Return text on one line: controls, bidirectional and invisible characters become escapes such as `\x1b`."""
    if is_shown(text):
        return text
    return "".join(sign if is_shown(sign) else ascii(sign)[1:-1] for sign in text)


def escaped_json(text: str) -> str:
    r"""Return a JSON document with the same characters as JSON escapes; its meaning does not change."""
    if is_shown(text):
        return text
    return "".join(sign if is_shown(sign) else _json_escape(ord(sign)) for sign in text)


def _json_escape(code: int) -> str:
    if code <= _UTF16_MAX:
        return f"\\u{code:04x}"
    high, low = divmod(code - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"
