"""Altered points: `connect(...).verify` finds them, alone or with a root that was kept, and never crashes."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

import eventstore
from eventstore import CorruptJournal, Gap, Record, Refused, Verification
from eventstore.record import Digester
from tests.influx.api import Server
from tests.influx.test_checking import COUNT, Shipped
from tests.proving import rounds

pytestmark = pytest.mark.usefixtures("impatient")


class Way(NamedTuple):
    """What is done to which records, and whether it is found without a root that was kept elsewhere."""

    alter: Callable[[Shipped, random.Random], Sequence[Record]]
    alone: bool


@pytest.fixture
def shipped(tmp_path: Path, server: Server, bucket: str) -> Shipped:
    return Shipped(tmp_path, server, bucket)


def changed(shipped: Shipped, record: Record, **members: object) -> Record:
    """Write a record's point with other members, and the digest that these have."""
    shipped.delete(record)
    made = msgspec.structs.replace(record, **members)
    made = msgspec.structs.replace(made, digest=Digester(shipped.journal.log_id).digest(made))
    shipped.write(shipped.line(made))
    return made


def content(shipped: Shipped, chance: random.Random) -> Sequence[Record]:
    record = chance.choice(shipped.records)
    member, value = chance.choice(
        [("actor", "mallory"), ("note", ""), ("occurred_at", record.occurred_at - 1), ("id", bytes(16))]
    )
    return [record, changed(shipped, record, **{member: value})]


def data(shipped: Shipped, chance: random.Random) -> Sequence[Record]:
    record = chance.choice(shipped.records)
    return [record, changed(shipped, record, data=record.data.replace(b"60", b"61"))]


def exchanged(shipped: Shipped, chance: random.Random) -> Sequence[Record]:
    """Two records at each other's position and time."""
    one, two = chance.sample(shipped.records, 2)
    for record in (one, two):
        shipped.delete(record)
    for record, place in ((one, two), (two, one)):
        changed(shipped, record, position=place.position, recorded_at=place.recorded_at)
    return [one, two]


def gap(shipped: Shipped, chance: random.Random) -> Sequence[Record]:
    first = chance.randrange(COUNT - 2)
    removed = shipped.records[first : chance.randrange(first + 1, COUNT - 1)]
    for record in removed:
        shipped.delete(record)
    return removed


def tail(shipped: Shipped, chance: random.Random) -> Sequence[Record]:
    """An older honest copy."""
    removed = shipped.records[chance.randrange(1, COUNT) :]
    for record in removed:
        shipped.delete(record)
    return removed


def doubled(shipped: Shipped, chance: random.Random) -> Sequence[Record]:
    """A second record of a position."""
    record = chance.choice(shipped.records[1:-1])
    made = msgspec.structs.replace(record, recorded_at=record.recorded_at + 1, note="twice")
    shipped.write(shipped.line(made))
    return [record, made]


WAYS = {
    "content": Way(content, alone=False),
    "data": Way(data, alone=False),
    "exchanged": Way(exchanged, alone=False),
    "a gap": Way(gap, alone=True),
    "an older copy": Way(tail, alone=False),
    "doubled": Way(doubled, alone=True),
}


def verified(shipped: Shipped, **kept: object) -> Verification:
    """Return the verdict; what cannot be read says so by an error."""
    with eventstore.connect(settings=shipped.settings) as reader:
        try:
            return reader.verify(**kept)  # type: ignore[arg-type] # root and size
        except Gap as e:
            return Verification(ok=False, checked=e.after, first_bad=e.after + 1, reason=str(e))
        except CorruptJournal as e:
            return Verification(ok=False, checked=0, first_bad=e.position, reason=e.reason)
        except Refused as e:
            # Two points of one position: which of them is the record is not decided here.
            return Verification(ok=False, checked=0, first_bad=0, reason=str(e))


@pytest.mark.container
def test_every_altered_point_is_found_or_a_kept_root_finds_it(shipped: Shipped) -> None:
    with eventstore.open(shipped.directory.parent, read_only=True) as store:
        size, root = store.root()
    assert verified(shipped, root=root, size=size).ok
    for seed in rounds("altered points", test=6, prove=300):
        chance = random.Random(seed)
        name = list(WAYS)[seed % len(WAYS)]
        touched = WAYS[name].alter(shipped, chance)
        alone, kept = verified(shipped), verified(shipped, root=root, size=size)
        assert not kept.ok, (seed, name, kept)
        assert kept.reason, (seed, name, kept)
        if WAYS[name].alone:
            assert not alone.ok, (seed, name, alone)
        elif alone.ok:
            # What no root proves is named.
            assert any("past which no root of the tree is known" in each for each in alone.unproved), (name, alone)
        for record in touched:
            shipped.delete(record)
        for record in shipped.records:
            if any(record.position == each.position for each in touched):
                shipped.write(shipped.line(record))
        assert verified(shipped, root=root, size=size).ok, (seed, name)
