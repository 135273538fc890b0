"""Fixtures shared by the tests of proofs."""

from pathlib import Path

import pytest

from tests.proofs.signed_logs import SignedLog


@pytest.fixture
def log(tmp_path: Path) -> SignedLog:
    """Return a log of 600 records, of which two tiles are complete, with a key that has signed nothing."""
    made = SignedLog(tmp_path)
    made.grow(600)
    made.new_key()
    return made
