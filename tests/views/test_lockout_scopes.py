"""Scopes of lockouts: any other text is refused, and means the whole account in a log that has one."""

from typing import Any

import msgspec
import pytest

from eventstore import Event, EventStore, InvalidEvent, Record
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import Allows, LockoutCleared, LockoutExpired, LockoutExtended, LockoutSet
from tests.views.position_folding import Folding

BAD = [
    "", "Account", "ACCOUNT", " account", "account ", "accounts", "symbol", "symbol:", "symbol: ", "symbol: ESZ5",
    "symbol:ESZ5 ", "Symbol:ESZ5", " symbol:ESZ5", "symbol :ESZ5", "root:", "root:\t", "ROOT:ES", "root:ES\n", "ES",
    "symbol=ESZ5", "group:x", "symbol:E\nS", "*",
]  # fmt: skip
GOOD = ["account", "symbol:ESZ5", "symbol:esz5", "symbol:BRK B", "symbol:CON.F.US.EP.Z25", "root:ES", "root:account"]


def events(scope: str) -> list[Event]:
    return [LockoutSet(rule_id="r", scope=scope), LockoutExtended(scope=scope), LockoutCleared(scope=scope),
            LockoutExpired(scope=scope)]  # fmt: skip


@pytest.mark.parametrize("scope", BAD)
def test_any_other_text_is_refused(scope: str) -> None:
    with EventStore(MemoryJournal()) as store:
        for event in events(scope):
            with pytest.raises(InvalidEvent, match="expected account, symbol:NAME or root:NAME"):
                store.append("lockout/A/r", event)
        assert store.head() == 0


@pytest.mark.parametrize("scope", GOOD)
def test_a_scope_is_the_account_a_symbol_or_a_root(scope: str) -> None:
    with EventStore(MemoryJournal()) as store:
        for event in events(scope):
            store.append("lockout/A/r", event)
        assert store.head() == 4


@pytest.mark.parametrize("allows", ["EVERYTHING", "", "reduce_only", None, 1])
def test_what_a_lockout_allows_is_a_member_of_its_enum(allows: Any) -> None:  # noqa: ANN401 - anything
    with EventStore(MemoryJournal()) as store, pytest.raises(InvalidEvent, match="allows"):
        store.append("lockout/A/r", LockoutSet(rule_id="r", allows=allows))


def old(book: Folding, event: Event, scope: str) -> Record:
    """Return a record as an earlier version stored it: the scope was not checked."""
    record = book.record("lockout/A/r", event)
    stored = {**msgspec.json.decode(record.data), "scope": scope}
    return msgspec.structs.replace(record, data=msgspec.json.encode(stored))


@pytest.mark.parametrize("scope", BAD)
def test_in_an_old_log_it_means_the_whole_account(scope: str) -> None:
    book = Folding()
    book.deliver(old(book, LockoutSet(rule_id="r", until=100, allows=Allows.REDUCE_ONLY), scope))
    [held] = book.lockouts.active("A", 10, "ESZ5")
    assert (held.scope, held.allows) == ("account", Allows.REDUCE_ONLY)
    book.deliver(old(book, LockoutExtended(until=200), scope))
    assert [each.until for each in book.lockouts.active("A", 10)] == [200]
    book.deliver(old(book, LockoutCleared(), scope))
    assert book.lockouts.active("A", 10) == ()
    assert book.lockouts.anomalies("A") == ()
