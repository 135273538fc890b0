"""Names in the documents exist as written, after `import eventstore` and `import projections` alone."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
NAMES = """
eventstore.open eventstore.connect eventstore.EventStore eventstore.EventReader eventstore.EventReader.read
eventstore.EventReader.follow eventstore.EventReader.head eventstore.EventReader.version eventstore.EventReader.root
eventstore.EventReader.verify eventstore.EventReader.close eventstore.EventStore.append
eventstore.EventStore.append_many eventstore.EventStore.enqueue eventstore.EventStore.flush
eventstore.EventStore.backup eventstore.EventStore.mirror
eventstore.Batch eventstore.Pending eventstore.Record eventstore.Draft eventstore.Verification
eventstore.InfluxSettings eventstore.InfluxSettings.load eventstore.SYNCED eventstore.QUEUED eventstore.VOLATILE
eventstore.MIRRORED eventstore.Event eventstore.event eventstore.ManualClock eventstore.SystemClock
eventstore.Unchanged eventstore.AccountChanged
eventstore.StoreError eventstore.VersionConflict eventstore.DuplicateEvent eventstore.InvalidEvent
eventstore.EventTooLarge eventstore.Overloaded eventstore.Closed eventstore.CorruptJournal eventstore.Gap
eventstore.Unavailable eventstore.NotMirrored eventstore.ReadOnly eventstore.StorageFull eventstore.OutcomeUnknown
eventstore.UnknownContract eventstore.trading eventstore.trading.Side.BUY eventstore.trading.Side.SELL
eventstore.trading.OrderType.STOP_LIMIT eventstore.trading.OrderFilled
projections.open projections.as_of projections.diff projections.steps projections.Book projections.View
projections.Book.position projections.Book.append projections.Book.append_many projections.Book.observe
projections.Book.refresh projections.Book.snapshot projections.Book.close
projections.Worker projections.CutPolicy projections.Calendar projections.Policies projections.Policies.start
projections.Policies.tick projections.Policies.stop projections.rules.shipped_rules projections.risk.check
projections.risk.submit projections.risk.Submitted projections.risk.Answer projections.risk.Proposal
projections.risk.Cancel
projections.seeds.load projections.reconciliation.reconcile projections.reconciliation.record
"""
ASKED = """
orders.get orders.open trades.of trades.totals positions.get positions.of lockouts.active lockouts.history
equity.get limits.of enforcement.pending accounts.balance accounts.known pnl.days pnl.by_symbol recovery
"""
# What a dotted name in a document may be of besides a name in the code.
FILES = re.compile(r"\.(?:toml|md|py|db|sqlite|json|jsonl|lock)$")
UNASKED = ("eventstore.testing", "eventstore.aio", "projections.aio")
"""Modules that nothing imports unasked: they need pytest, or asyncio, which takes a program 40 ms to import."""
ASYNCIO = """
eventstore.aio.open eventstore.aio.AsyncEventStore eventstore.aio.AsyncPending eventstore.aio.AsyncEventStore.append
eventstore.aio.AsyncEventStore.append_many eventstore.aio.AsyncEventStore.enqueue eventstore.aio.AsyncEventStore.flush
eventstore.aio.AsyncEventStore.read eventstore.aio.AsyncEventStore.follow eventstore.aio.AsyncEventStore.head
eventstore.aio.AsyncEventStore.version eventstore.aio.AsyncEventStore.root eventstore.aio.AsyncEventStore.verify
eventstore.aio.AsyncEventStore.backup eventstore.aio.AsyncEventStore.close
projections.aio.open projections.aio.AsyncBook projections.aio.AsyncBook.append projections.aio.AsyncBook.append_many
projections.aio.AsyncBook.observe projections.aio.AsyncBook.refresh projections.aio.AsyncBook.snapshot
projections.aio.AsyncBook.submit projections.aio.AsyncBook.check projections.aio.AsyncBook.close
"""
WRITTEN = re.compile(r"`((?:eventstore|projections)(?:\.[A-Za-z_]\w*)+)")


def missing(names: list[str], imports: str = "") -> list[str]:
    """Return those that a fresh process does not reach by attributes, from the two packages that it imports."""
    code = (
        "import sys, eventstore, projections\n"
        f"{imports}\n"
        "for name in sys.argv[1:]:\n"
        "    first, *rest = name.split('.')\n"
        "    found = {'eventstore': eventstore, 'projections': projections}[first]\n"
        "    for part in rest:\n"
        "        found = getattr(found, part, None)\n"
        "    if found is None:\n"
        "        print(name)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *names], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_the_public_names_are_reached_as_they_are_written() -> None:
    assert missing(NAMES.split()) == []


def test_a_name_that_is_not_there_is_found_missing() -> None:
    assert missing(["eventstore.no_such", "projections.risk.no_such", "eventstore.open"]) == [
        "eventstore.no_such",
        "projections.risk.no_such",
    ]


def test_a_book_answers_what_the_documents_ask() -> None:
    code = (
        "import sys, tempfile, eventstore, projections\n"
        "with tempfile.TemporaryDirectory() as place, eventstore.open(place) as store:\n"
        "    with projections.open(store) as book:\n"
        "        for name in sys.argv[1:]:\n"
        "            found = book\n"
        "            for part in name.split('.'):\n"
        "                found = getattr(found, part)\n"
    )
    subprocess.run([sys.executable, "-c", code, *ASKED.split()], check=True, cwd=ROOT)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_a_name_in_a_document_is_reached_as_it_is_written(document: Path) -> None:
    names = {name for name in WRITTEN.findall(document.read_text("utf-8")) if not FILES.search(name)}
    assert missing(sorted(name for name in names if not name.startswith(UNASKED))) == []


def test_the_names_for_asyncio_programs_are_reached_once_their_modules_are_imported() -> None:
    assert missing([*ASYNCIO.split(), "eventstore.aio.no_such"], "import eventstore.aio, projections.aio") == [
        "eventstore.aio.no_such"
    ]
