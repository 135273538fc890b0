"""Contract suites for those who write a source or a journal: subclass one, give it a fixture, run pytest."""

from eventstore.testing.drafts import HISTORY, LATER, batch, draft, drafts
from eventstore.testing.journal_contract import JournalContract
from eventstore.testing.looped import LoopedStore
from eventstore.testing.maintenance_contract import MaintenanceContract
from eventstore.testing.naive import naive_digest, naive_root
from eventstore.testing.source_contract import SourceContract
from eventstore.testing.store_contract import EventStoreContract
from eventstore.testing.threads import in_time

__all__ = [
    "HISTORY",
    "LATER",
    "EventStoreContract",
    "JournalContract",
    "LoopedStore",
    "MaintenanceContract",
    "SourceContract",
    "batch",
    "draft",
    "drafts",
    "in_time",
    "naive_digest",
    "naive_root",
]
