"""A witness in InfluxDB: writes each checkpoint into a bucket of its own, and reads it back.

    eventstore checkpoint --witness influx='python witness_influx.py checkpoints'

URL, organization and token are those of EVENTSTORE_INFLUX_URL, _ORG and _TOKEN_FILE, or of ./eventstore.toml; the
bucket is the argument's. Give it a server, an organization or a token that the log's owner cannot delete with, and
infinite retention. A point's time is the checkpoint's size, so another root at the same size would replace it: what is
there is read first, and a contradiction refused.
"""

from __future__ import annotations

import sys

from eventstore import InfluxSettings, StoreError
from eventstore.influx.client import Client
from eventstore.proofs import Checkpoint

MEASUREMENT = "checkpoints"


def keep(client: Client, note: bytes) -> str:
    """Keep a checkpoint; return why it is refused, '' if it is kept."""
    found = Checkpoint.parse(note)
    newest = newest_size(client, found)
    if not (known := roots(client, found)) and newest <= found.size:
        client.write(line(found, note.decode()))
        known = roots(client, found)
    if known and known != [found.root.hex()]:
        return f"another root is kept for size {found.size}: the log has two histories, or the bucket lost it"
    if newest > found.size:
        return f"size {newest} was kept before, and this is {found.size}: an older copy of the log is in use"
    return "" if known else f"the bucket does not have what was written for size {found.size}"


def roots(client: Client, found: Checkpoint) -> list[str]:
    """Return the roots that are kept for a size."""
    query = f'SELECT "root" FROM "{MEASUREMENT}" WHERE "origin" = $origin AND time = {found.size}'  # noqa: S608 - an int
    return [row[-1] for row in client.query_rows(query, {"origin": found.origin})]


def newest_size(client: Client, found: Checkpoint) -> int:
    """Return the largest size that is kept of a log."""
    query = f'SELECT last("root") FROM "{MEASUREMENT}" WHERE "origin" = $origin'  # noqa: S608 - a constant
    return max((int(row[0]) for row in client.query_rows(query, {"origin": found.origin})), default=0)


def line(found: Checkpoint, note: str) -> bytes:
    """Return the point in line protocol."""
    origin = found.origin.replace("\\", "\\\\").replace(",", "\\,").replace("=", "\\=").replace(" ", "\\ ")
    text = note.replace("\\", "\\\\").replace('"', '\\"')
    return f'{MEASUREMENT},origin={origin} root="{found.root.hex()}",note="{text}" {found.size}'.encode()


def main(bucket: str) -> str:
    """Return why the checkpoint on stdin is refused, which ends the program with exit code 1; '' if it is kept."""
    try:
        client = Client(InfluxSettings.load(given={"bucket": bucket}))
        try:
            client.check_bucket()
            return keep(client, sys.stdin.buffer.read())
        finally:
            client.close()
    except StoreError as e:
        return str(e)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]) or 0)
