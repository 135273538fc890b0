"""What docs/RISK.md shows is run, block after block, and prints what it says; its table lists the rules there are."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from projections.risk.limits.parameters import KINDS, Parameters

TEXT = (Path(__file__).parents[2] / "docs" / "RISK.md").read_text(encoding="utf-8")
BLOCK = re.compile(
    r"^```(?P<language>python|toml)\n(?P<code>.*?)^```$(?:\n+```text\n(?P<output>.*?)^```$)?", re.MULTILINE | re.DOTALL
)
ROW = re.compile(r"^\| `(?P<kind>[\w-]+)` \| (?P<parameters>[^|]*) \|", re.MULTILINE)
BETWEEN = "-- the next block --"


def test_the_account_s_days_run_and_print_what_is_shown(tmp_path: Path) -> None:
    [seeds] = [found["code"] for found in BLOCK.finditer(TEXT) if found["language"] == "toml"]
    (tmp_path / "risk.toml").write_text(seeds, encoding="utf-8")
    blocks = [found for found in BLOCK.finditer(TEXT) if found["language"] == "python"]
    code = f"print({BETWEEN!r})\n".join(found["code"] for found in blocks)
    ran = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ran.stderr, ran.returncode) == ("", 0)
    printed = ran.stdout.split(f"{BETWEEN}\n")
    assert printed == [found["output"] or "" for found in blocks]
    assert len(blocks) >= 6


def test_the_table_lists_each_kind_of_rule_with_its_parameters() -> None:
    told = {found["kind"]: set(re.findall(r"`(\w+)`", found["parameters"])) for found in ROW.finditer(TEXT)}
    common = set(Parameters.__struct_fields__)
    assert told == {kind: set(cls.__struct_fields__) - common for kind, cls in KINDS.items()}
    assert all(f"`{name}`" in TEXT for name in common)
