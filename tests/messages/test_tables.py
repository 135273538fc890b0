"""docs/MESSAGES.md lists each source's fields as its mapping does; and the mapping uses those, and no others."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import pytest

from eventstore import trading
from gateways.messages import alpaca, binance, ccxt, fix, ib, projectx

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "MESSAGES.md"
SOURCES: dict[str, ModuleType] = {
    "ProjectX": projectx,
    "CCXT": ccxt,
    "Binance futures": binance,
    "FIX 4.4": fix,
    "Interactive Brokers": ib,
    "Alpaca": alpaca,
}
"""The mappings by the heading of their section."""
ROW = re.compile(r"\| `(?P<field>[^`]+)` \| (?P<becomes>.+) \|")
MEMBER = re.compile(r"\b(?P<event>[A-Z][A-Za-z]+)(?:\.(?P<member>[a-z_]+))?\b")
LEFT_OUT = "left out: "


def tables(heading: str) -> dict[str, dict[str, str]]:
    """Return a section's tables by kind of message: what the document says of each field."""
    text = DOCUMENT.read_text("utf-8")
    (section,) = [each for each in re.split(r"^## ", text, flags=re.MULTILINE) if each.startswith(f"{heading}\n")]
    kinds = [each.partition("\n") for each in re.split(r"^### ", section, flags=re.MULTILINE)[1:]]
    return {kind.strip(): dict(ROW.findall(rows)) for kind, _, rows in kinds}


def listed(source: ModuleType) -> dict[str, dict[str, str]]:
    """Return the same as the mapping lists it."""
    return {
        kind: {**fields, **{name: LEFT_OUT + why for name, why in source.LEFT_OUT.get(kind, {}).items()}}
        for kind, fields in source.FIELDS.items()
    }


@pytest.mark.parametrize("heading", SOURCES)
def test_the_document_lists_what_the_mapping_does(heading: str) -> None:
    assert tables(heading) == listed(SOURCES[heading])


@pytest.mark.parametrize("heading", SOURCES)
def test_no_field_is_both_mapped_and_left_out(heading: str) -> None:
    source = SOURCES[heading]
    assert source.LEFT_OUT.keys() <= source.FIELDS.keys()
    for kind, fields in source.FIELDS.items():
        assert not fields.keys() & source.LEFT_OUT.get(kind, {}).keys(), kind


@pytest.mark.parametrize("heading", SOURCES)
def test_what_a_field_becomes_is_a_member_of_an_event(heading: str) -> None:
    for fields in SOURCES[heading].FIELDS.values():
        for becomes in fields.values():
            for found in MEMBER.finditer(becomes):
                event = getattr(trading, found["event"], None)
                if found["member"] is not None:
                    assert event is not None, becomes
                    assert found["member"] in event.__struct_fields__, becomes
