"""The table in docs/RISK.md lists every kind of rule with its parameters (tests/test_docs.py runs its code)."""

from __future__ import annotations

import re

from projections.risk.limits.shipped import SHIPPED
from projections.views.limits.parameters import Parameters
from tests.documents import ROOT

TEXT = (ROOT / "docs" / "RISK.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(?P<kind>[\w-]+)` \| (?P<parameters>[^|]*) \|", re.MULTILINE)


def test_the_table_lists_each_kind_of_rule_with_its_parameters() -> None:
    table = TEXT.partition("\n## The rules\n")[2].partition("\n## ")[0]
    listed = {found["kind"]: set(re.findall(r"`(\w+)`", found["parameters"])) for found in ROW.finditer(table)}
    common = set(Parameters.__struct_fields__)
    assert listed == {kind.name: set(kind.parameters.__struct_fields__) - common for kind in SHIPPED}
    assert all(f"`{name}`" in TEXT for name in common)
