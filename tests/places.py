"""Where the store of a test is: in a directory, and in PostgreSQL too where the test is marked `in_each_place`.

A test takes `place` (tests/conftest.py), or what is made of it, and gives it to `eventstore.open`. The mark stands on a
test or on a module, of which a test marked `in_directory` is left out. What is about a journal's files runs in a
directory only: where it is opened and read-only media, SQLite's definitions and damage, backups, disks that fail, and
the snapshots and the mirror, which are kept beside a file. tests/postgres has the like of it for tables. Nor is
repeated there what is refused before any journal is asked.
"""

from __future__ import annotations

from pathlib import Path

import pytest

DIRECTORY, POSTGRES = PLACES = ("directory", "postgres")

Place = Path | str
"""What `eventstore.open` takes: a directory, or a URL."""


def in_each_place(metafunc: pytest.Metafunc) -> None:
    """Run what is marked and takes a place in each; `slow=True` leaves PostgreSQL to `make slow`."""
    item = metafunc.definition
    mark = item.get_closest_marker("in_each_place")
    if mark is None or "place" not in metafunc.fixturenames or item.get_closest_marker("in_directory"):
        return
    marks = [pytest.mark.slow] if mark.kwargs.get("slow") else []
    metafunc.parametrize("place", [DIRECTORY, pytest.param(POSTGRES, marks=marks)], indirect=True)


def named(place: Place, log: str) -> Place:
    """Return the place of another log beside that of a place: in PostgreSQL, where a rotation would make it."""
    if isinstance(place, Path) or log == "main":
        return place
    from eventstore.journals.postgres import Location

    location = Location.of(place)
    number = log.removeprefix(f"{location.log}.")
    schema = f"{location.schema}.{number}" if number.isdecimal() else f"{location.schema}_{log}"
    return location._replace(log=log, schema=schema).url


def within(place: Place, name: object) -> Place:
    """Return the place of another log: a directory in a directory, or a schema whose name begins as the first one's."""
    if isinstance(place, Path):
        return place / str(name)
    from eventstore.journals.postgres import Location

    location = Location.of(place)
    return location._replace(schema=f"{location.schema}_{name}").url
