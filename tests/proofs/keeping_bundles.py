"""A bundle of each kind, to be kept: written by this version, verified by every later one and by its own program.

Run `python -m tests.proofs.keeping_bundles DIRECTORY` to make them.
"""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

from eventstore.proofs import verify_bundle
from tests.proofs.bundled import Desk

KEY, PROGRAM = "key.txt", "verify_bundle.py"
KINDS: dict[str, dict[str, Any]] = {
    "whole.zip": {"pages": {"timeline.html": b"<p>day</p>"}},
    "account.zip": {"account": "ACC1"},
    "types.zip": {"types": ["OrderFilled"], "after": 10, "until": 90},
    "unsigned.zip": {"signers": [], "account": "ACC2"},
}


def make(place: Path) -> None:
    """Write the bundles, and the public key beside them."""
    desk = Desk(place / "log")
    with desk.store:
        for name, chosen in KINDS.items():
            desk.bundle(place / name, **chosen)
    (place / KEY).write_text(desk.key.public.text + "\n", encoding="utf-8")


def check(place: Path, scratch: Path) -> None:
    """Verify each bundle with today's program and with the one that it brings."""
    for name in KINDS:
        expected = 2 if name == "unsigned.zip" else 0
        found = verify_bundle(place / name, key=str(place / KEY))
        assert (found.status, found.reason) == (expected, ""), name
        assert found.records
        with zipfile.ZipFile(place / name) as packed:
            (scratch / PROGRAM).write_bytes(packed.read(PROGRAM))
        command = [sys.executable, "-I", "-S", str(scratch / PROGRAM), str(place / name), "--key", str(place / KEY)]
        assert subprocess.run(command, check=False, capture_output=True, timeout=120).returncode == expected, name


if __name__ == "__main__":
    make(Path(sys.argv[1]))
