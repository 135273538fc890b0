"""The lead of a commit is handed to a thread that is between two of its steps."""

import threading
from collections.abc import Sequence
from typing import Any

import pytest

from eventstore import EventStore
from eventstore.commits import Committer, Pending
from eventstore.journal import Group
from eventstore.journals.memory import MemoryJournal
from tests.store.facts import rejected

WAIT_SECONDS = 20.0


def test_a_follower_that_is_handed_the_lead_before_it_waits_writes_what_it_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    journal = MemoryJournal()
    commit, enter = journal.commit, Committer._enter
    is_inside, has_entered, is_handed = threading.Event(), threading.Event(), threading.Event()
    found: dict[str, object] = {}

    def slow_commit(groups: Sequence[Group]) -> Any:  # noqa: ANN401 - passed on as it is
        is_inside.set()
        assert has_entered.wait(WAIT_SECONDS)
        return commit(groups)

    def late_enter(self: Committer, request: Pending, *, last: bool) -> bool:
        leads = enter(self, request, last=last)
        if threading.current_thread().name == "second":
            # It stands still here, between the queue and its latch, until the first one has handed the lead over.
            has_entered.set()
            assert is_handed.wait(WAIT_SECONDS)
        return leads

    monkeypatch.setattr(journal, "commit", slow_commit)
    monkeypatch.setattr(Committer, "_enter", late_enter)
    store = EventStore(journal)

    def append(name: str) -> None:
        try:
            found[name] = [record.position for record in store.append(f"order/ACC1/{name}", rejected(name))]
        except RuntimeError as e:
            found[name] = e
        finally:
            is_handed.set()

    threads = [threading.Thread(target=append, args=(name,), name=name) for name in ("first", "second")]
    threads[0].start()
    assert is_inside.wait(WAIT_SECONDS)
    threads[1].start()
    for thread in threads:
        thread.join(WAIT_SECONDS)
    assert found == {"first": [1], "second": [2]}
    store.close()
