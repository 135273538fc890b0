"""What is kept of signed logs for later versions is read by this one."""

from pathlib import Path

from tests.proofs import keeping, keeping_bundles


def test_what_is_kept_is_read_again(tmp_path: Path) -> None:
    keeping.check(keeping.make(tmp_path))


def test_bundles_that_are_kept_are_verified_again(tmp_path: Path) -> None:
    keeping_bundles.make(tmp_path)
    keeping_bundles.check(tmp_path, tmp_path)
