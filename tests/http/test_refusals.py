"""Every route × scope × account: what is refused, as `docs/SECURITY.md` says it; and that no route is forgotten."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.http.refusals import HEADING, table, written


@pytest.mark.slow
def test_the_table_of_refusals_is_what_the_service_does(tmp_path: Path) -> None:
    found = table(tmp_path)
    assert len(found) > len(HEADING)
    assert written() == found, "python -m tests.http.refusals writes it"
