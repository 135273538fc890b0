"""What is kept of signed logs for later versions is read by this one."""

from pathlib import Path

from tests.proofs import keeping


def test_what_is_kept_is_read_again(tmp_path: Path) -> None:
    keeping.check(keeping.make(tmp_path))
