"""Text from others: whatever steers, hides or reorders is escaped, and JSON stays equivalent JSON."""

from __future__ import annotations

import json
import unicodedata

import pytest

from gateways.presenting.documents import json_text
from gateways.presenting.escaping import escaped

HOSTILE = [
    *map(chr, (*range(0x20), *range(0x7F, 0xA0))),
    *"\u061c\u200b\u200c\u200d\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069",
    *"\ufeff\u00ad\u034f\u115f\u180e\u3164\ufe0f\uffa0\ud800\udcff\ue000\ufffe\U000e0001\U000e0041\U000e0100\U0001d173",
]


@pytest.mark.parametrize("sign", HOSTILE, ids=ascii)
def test_a_hostile_character_is_an_escape(sign: str) -> None:
    shown = escaped(f"a{sign}b")
    assert shown.isascii()
    assert (shown[0], shown[1], shown[-1]) == ("a", "\\", "b")


@pytest.mark.parametrize("sign", HOSTILE, ids=ascii)
def test_in_json_it_is_an_escape_that_means_the_same(sign: str) -> None:
    text = json_text({"text": f"a{sign}b"})
    assert text.isascii()
    assert text.isprintable()
    meant = f"a{sign}b"
    if unicodedata.category(sign) == "Cs":
        meant = f"a\\u{ord(sign):04x}b"  # half of a pair is not a character: JSON gets its escape as text
    assert json.loads(text) == {"text": meant}


@pytest.mark.parametrize("text", ["", "ES 日本語 Ünïcödé 🙂 [red]x[/red] :smile: \\x1b é"])
def test_other_text_stays_as_it_is(text: str) -> None:
    assert escaped(text) == text
    assert json.loads(json_text([text])) == [text]
    assert text in json_text([text]) or "\\" in text
