"""A log is moved from its primary, whichever of several servers in a URL that is."""

from __future__ import annotations

from pathlib import Path

import pytest

import eventstore
from eventstore import Unavailable
from eventstore.migration import migrate
from eventstore.trading import Marked
from tests.postgres.pairs import PostgresPair
from tests.postgres.servers import url_of

pytestmark = pytest.mark.untraced


def append(url: str, count: int) -> None:
    with eventstore.open(url) as store:
        store.append("mark/-/x", [Marked(name="x")] * count)


def test_a_standby_that_is_behind_is_not_read(pair: PostgresPair, tmp_path: Path) -> None:
    append(pair.primary.url(), 3)
    with pair.stalled():
        append(pair.primary.url(), 2)
        standby_first = url_of([pair.standby.port, pair.primary.port], "postgres", {"log": "main"})
        assert migrate(standby_first, tmp_path / "moved").size == 5


def test_a_standby_alone_is_refused(pair: PostgresPair, tmp_path: Path) -> None:
    append(pair.primary.url(), 3)
    with pytest.raises(Unavailable, match="standby"):
        migrate(pair.standby.url(), tmp_path / "moved")
    assert not (tmp_path / "moved").exists()


def test_an_old_primary_that_still_runs_is_not_read(pair: PostgresPair, tmp_path: Path) -> None:
    append(pair.primary.url(), 3)
    pair.promote()
    append(pair.primary.url(), 2)
    assert migrate(pair.url(), tmp_path / "moved").size == 5


def test_a_log_is_moved_to_the_newest_primary(pair: PostgresPair, tmp_path: Path) -> None:
    append(str(tmp_path / "data"), 300)
    pair.promote()
    url = pair.url(log="main")
    assert migrate(tmp_path / "data", url).size == 300
    with eventstore.open(pair.primary.url()) as store:
        assert store.head() == 300
