"""What must hold of any log: everything acknowledged is there, once, in order, with no partial batch."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from eventstore import Event, EventStore, Record
from eventstore.events import UnknownEvent
from eventstore.trading import OrderReported, OrderSubmitted, Side

ROOT = Path(__file__).resolve().parents[2]
WORKER = [sys.executable, "-m", "tests.reliability.worker"]
WAIT_SECONDS = 60.0


class Ack(NamedTuple):
    """A record that an append has returned: from here on it may never be gone."""

    position: int
    id: bytes


def acks_of(records: Iterable[Record]) -> list[Ack]:
    return [Ack(record.position, record.id) for record in records]


def submitted(label: str = "") -> Event:
    """Return an event that must be appended, and carries a label to be known again by."""
    return OrderSubmitted(symbol="ESZ5", side=Side.BUY, quantity=Decimal(1), reference=label)


def reported(label: str) -> Event:
    """Return an event that may be enqueued."""
    return OrderReported(broker_order_id=label)


def label_of(record: Record) -> str:
    event = record.event
    assert not isinstance(event, UnknownEvent)
    return str(getattr(event, "reference", None) or getattr(event, "broker_order_id", None) or "")


def environment(**settings: str) -> dict[str, str]:
    """Return a child's environment, without what would have coverage write files of its own into the count."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("COV", "PYTEST"))}
    path = os.pathsep.join([str(ROOT), *filter(None, [kept.get("PYTHONPATH")])])
    return kept | {"PYTHONPATH": path} | settings


def read_acks(path: Path) -> list[Ack]:
    """Read a worker's own file of acknowledgements; the killed one's last line may be half there."""
    return acks_in(path.read_bytes()) if path.exists() else []


def acks_in(text: bytes) -> list[Ack]:
    """Read whole lines; what follows the last line's end is left."""
    lines = text.split(b"\n")[:-1]
    return [Ack(int(position), bytes.fromhex(id_.decode())) for position, id_ in (line.split() for line in lines)]


def check(store: EventStore, acked: Iterable[Ack] = ()) -> list[Record]:
    """Check a log wholly; return its records."""
    records = list(store.read())
    found = store.verify()
    assert found.ok, found
    assert found.checked == len(records) == store.head()
    check_places(records)
    check_acknowledged(records, acked)
    check_batches(records)
    check_writers(records)
    return records


def check_places(records: Sequence[Record]) -> None:
    """Positions, versions and times: none left out, none twice, none going back."""
    assert [record.position for record in records] == list(range(1, len(records) + 1))
    versions: Counter[str] = Counter()
    before = 0
    for record in records:
        versions[record.stream] += 1
        assert record.version == versions[record.stream], record
        assert record.recorded_at > before, record
        before = record.recorded_at
    assert len({record.id for record in records}) == len(records)


def check_acknowledged(records: Sequence[Record], acked: Iterable[Ack]) -> None:
    for position, id_ in acked:
        assert position <= len(records), f"position {position} was acknowledged, and the log ends at {len(records)}"
        found = records[position - 1].id
        assert found == id_, f"position {position} was acknowledged with {id_.hex()}, and holds {found.hex()}"


def check_batches(records: Sequence[Record]) -> None:
    """All events of one batch carry its id as correlation and its size as note: side by side, or none of them.

    What a policy decided has a correlation too, and no note.
    """
    batches: dict[bytes, list[Record]] = {}
    for record in records:
        if record.correlation_id is not None and record.note:
            batches.setdefault(record.correlation_id, []).append(record)
    for batch in batches.values():
        assert len(batch) == int(batch[0].note), f"{len(batch)} of a batch of {batch[0].note} are there: {batch}"
        assert batch[-1].position - batch[0].position == len(batch) - 1


def check_writers(records: Sequence[Record]) -> None:
    """A writer labels its events NAME:1, NAME:2 …: of each, what is there begins at 1 and leaves nothing out."""
    last: Counter[str] = Counter()
    for record in records:
        name, _, number = label_of(record).partition(":")
        if number:
            last[name] += 1
            assert int(number) == last[name], f"after {name}:{last[name] - 1} comes {name}:{number}"
