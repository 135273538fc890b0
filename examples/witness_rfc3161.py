"""A witness by time stamps: has an RFC 3161 service of yours sign that a checkpoint existed, and keeps its answer.

    eventstore checkpoint --witness tsa='python witness_rfc3161.py https://tsa.example/ stamps --ca tsa-ca.pem'

It needs the program `openssl`. Beside each note it keeps the answer, which anybody can check, years later:

    openssl ts -verify -data NOTE.txt -in NOTE.tsr -CAfile tsa-ca.pem
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import urllib.request
from pathlib import Path

from eventstore import files

ANSWER_SECONDS = 15
ANSWER_BYTES_MAX = 65_536
TYPE = "application/timestamp-query"


def stamp(url: str, directory: Path, authority: Path, note: bytes) -> None:
    """Keep a note and a verified time stamp of it; raise OSError or CalledProcessError."""
    files.make_directory(directory)
    place = directory / f"{hashlib.sha256(note).hexdigest()}.txt"
    files.replace(place, note)
    query = openssl("-query", "-data", str(place), "-sha256", "-cert")
    request = urllib.request.Request(url, query, {"Content-Type": TYPE})  # noqa: S310 - the user's own
    with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as reply:  # noqa: S310 - the same
        answer = reply.read(ANSWER_BYTES_MAX)
    pending = place.with_suffix(".unverified")
    files.replace(pending, answer)
    # Not kept under its name before it is verified: a service that answers an error is not a witness.
    openssl("-verify", "-data", str(place), "-in", str(pending), "-CAfile", str(authority))
    files.publish(pending, place.with_suffix(".tsr"), replacing=True)


def openssl(*arguments: str) -> bytes:
    return subprocess.run(["openssl", "ts", *arguments], check=True, capture_output=True).stdout  # noqa: S607


def main() -> str:
    """Return why there is no time stamp, which ends the program with exit code 1; '' if there is one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--ca", type=Path, required=True, help="certificates that the service's own is signed by")
    asked = parser.parse_args()
    try:
        stamp(asked.url, asked.directory, asked.ca, sys.stdin.buffer.read())
    except subprocess.CalledProcessError as e:
        return f"openssl ts {e.cmd[2]}: {e.stderr.decode(errors='replace').strip()}"
    except OSError as e:
        return f"{asked.url}: {e}"
    return ""


if __name__ == "__main__":
    sys.exit(main() or 0)
