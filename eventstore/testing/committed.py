"""What a commit came to: records or an error, and what the journal holds after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.errors import StoreError
from eventstore.journal import Query

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventstore.journal import Journal, Outcome
    from eventstore.record import Record


def everything(journal: Journal) -> list[Record]:
    return list(journal.read(Query(limit=10_000)))


def leaves(journal: Journal) -> list[bytes]:
    return [record.digest for record in everything(journal)]


def failed(outcome: Outcome) -> StoreError:
    assert isinstance(outcome, StoreError), f"expected an error, not {outcome}"
    return outcome


def recorded(outcome: Outcome) -> Sequence[Record]:
    assert not isinstance(outcome, StoreError), f"expected records, not {outcome!r}"
    return outcome
