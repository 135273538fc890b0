"""A witness in a directory: keeps each checkpoint that it gets, and refuses one that contradicts what it has.

    eventstore checkpoint --witness usb='python witness_directory.py /mnt/usb/checkpoints --key VKEY'

The directory is worth something where the log's owner cannot write by other means: on another machine, behind this
program under another user. Without `--key` anybody's checkpoints are kept. It sees sizes and roots, not records, so it
does not cosign: that the log gives each of them is for `eventstore verify --checkpoint` to find.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path

from eventstore import StoreError, files
from eventstore.proofs import Checkpoint
from eventstore.proofs.keys import PublicKey


def keep(directory: Path, note: bytes, key: str | None) -> str:
    """Keep a checkpoint; return why it is refused, '' if it is kept."""
    found = Checkpoint.parse(note)
    if key is not None:
        found.verify(PublicKey.parse(key))
    # An origin may have any sign: its hash is a name for the file system.
    place = directory / hashlib.sha256(found.origin.encode()).hexdigest()[:16]
    files.make_directory(place)
    sizes = {int(path.name.split("-")[0]) for path in place.glob("[0-9]*-*.txt")}
    name = f"{found.size:019}-{found.root.hex()}.txt"
    if found.size in sizes and not (place / name).exists():
        return f"another root was kept for size {found.size}: the log has two histories; look into {place}"
    # Also one that is kept: who signs asks for the newest again, and never for an earlier one.
    if sizes and found.size < max(sizes):
        return f"size {max(sizes)} was kept before, and this is {found.size}: an older copy of the log is in use"
    if (place / name).exists():
        return ""
    files.replace(place / name, note)
    return ""


def main() -> str:
    """Return why the checkpoint on stdin is refused, which ends the program with exit code 1; '' if it is kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--key", help="the log's public key: checkpoints of others are refused")
    asked = parser.parse_args()
    try:
        return keep(asked.directory, sys.stdin.buffer.read(), asked.key)
    except (StoreError, OSError) as e:
        return str(e)


if __name__ == "__main__":
    sys.exit(main() or 0)
