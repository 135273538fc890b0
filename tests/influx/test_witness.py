"""The example witness in InfluxDB: a checkpoint in a bucket of its own, and a contradiction refused."""

from __future__ import annotations

import subprocess
import sys

import pytest

from eventstore import InfluxSettings
from eventstore.proofs import Checkpoint
from eventstore.proofs.keys import PrivateKey
from tests.cli.command import ROOT, plain_environment

LOG = PrivateKey("example.com/the log's,a=b".replace(" ", "_"), bytes(range(32)))


def ask(settings: InfluxSettings, size: int, root: bytes) -> tuple[int, str]:
    bare = Checkpoint(LOG.public.name, size, root, ('said "so"',))
    note = bare.with_signatures([LOG.sign(bare.body)]).text
    reached = {"URL": settings.url, "ORG": settings.org, "BUCKET": "another", "TOKEN": settings.token}
    environment = plain_environment() | {f"EVENTSTORE_INFLUX_{name}": value for name, value in reached.items()}
    command = [sys.executable, str(ROOT / "examples" / "witness_influx.py"), settings.bucket]
    done = subprocess.run(  # noqa: PLW1510 - the exit code is what is looked at
        command, input=note, capture_output=True, text=True, timeout=120, env=environment
    )
    return done.returncode, done.stderr


@pytest.mark.slow
def test_a_bucket_keeps_what_it_gets_and_refuses_two_histories(settings: InfluxSettings) -> None:
    assert ask(settings, 7, bytes(32)) == (0, "")
    assert ask(settings, 9, bytes(32)) == (0, "")
    assert ask(settings, 9, bytes(32)) == (0, "")
    code, errors = ask(settings, 7, bytes([1] * 32))
    assert code == 1
    assert "another root is kept for size 7" in errors
    for size in (7, 8):
        code, errors = ask(settings, size, bytes(32))
        assert (code, f"size 9 was kept before, and this is {size}" in errors) == (1, True)
    assert ask(settings, 10, bytes(32)) == (0, "")
