"""`stop` and `resume`: at once, atomic, repeatable, from any process, whatever state the account is in; and undone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import apsw
import pytest

import eventstore
import projections
from eventstore import EventStore, InvalidEvent, Record
from eventstore.trading import (
    AccountReopened,
    Allows,
    EnforcementAction,
    EnforcementRequested,
    EnforcementTaken,
    GroupDefined,
    LimitsSet,
    LockoutCleared,
    LockoutSet,
    OrderSubmitted,
    Side,
    Verdict,
)
from projections import Book
from projections.risk import submit
from projections.risk.enforcement import stopping
from projections.risk.enforcement.claims import claim
from projections.risk.enforcement.stopping import resume, stop, stopped
from projections.views.enforcement import EnforcementView
from tests.cli.command import Run
from tests.enforcement.scene import opened, trade

ACTIONS = [EnforcementAction.CANCEL_ORDERS, EnforcementAction.FLATTEN]


@pytest.fixture
def book(store: EventStore) -> Iterator[Book]:
    with projections.open(store) as found:
        opened(found)
        opened(found, "B")
        yield found


@pytest.fixture
def data(tmp_path: Path) -> Path:
    with eventstore.open(tmp_path / "data") as store, projections.open(store) as book:
        for account in ("ACC1", "ACC2"):
            opened(book, account)
    return tmp_path / "data"


def kinds(records: tuple[Record, ...]) -> list[str]:
    return [record.type for record in records]


def test_it_locks_and_asks_in_one_append(book: Book, store: EventStore) -> None:
    [found] = stop(store, ["A"], "the feed is wrong", actor="me")
    assert kinds(found.records) == ["LockoutSet", "EnforcementRequested", "EnforcementRequested"]
    positions = [record.position for record in found.records]
    assert positions == list(range(positions[0], positions[0] + 3))
    assert {record.recorded_at - found.records[0].recorded_at for record in found.records} <= {0, 1, 2}
    book.refresh()
    [held] = book.lockouts.active("A", store.clock.now_ns())
    assert (held.rule_id, held.allows, held.until, held.revocable) == ("stop", Allows.NOTHING, None, True)
    assert held.reason == "the feed is wrong"
    assert [request.action for request in book.enforcement.pending("A")] == ACTIONS
    assert {record.actor for record in found.records} == {"me"}
    assert book.lockouts.active("B", store.clock.now_ns()) == ()


def test_only_what_carries_a_request_out_passes(book: Book, store: EventStore) -> None:
    trade(book, Side.BUY, "2")
    stop(store, ["A"], "enough")
    book.refresh()
    close = OrderSubmitted(symbol="ES", side=Side.SELL, quantity=Decimal(2))
    flatten = book.enforcement.pending("A")[-1]
    now = store.clock.now_ns()
    assert submit(book, "A", "O2", close, now).answer.verdict is Verdict.REJECT
    assert submit(book, "A", "O3", close, now, caused_by=flatten.id).answer.verdict is Verdict.PASS


def test_nothing_is_read_but_the_account_s_lockouts(
    book: Book, store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that it takes no longer on a long log."""
    read, streams = store.read, []

    def noted(**options: Any) -> Iterator[Record]:  # noqa: ANN401 - those of `read`
        streams.append(options["stream"])
        return read(**options)

    monkeypatch.setattr(store, "read", noted)
    stop(store, ["A"], "enough")
    assert set(streams) == {"account/A/-", "approval/A/", "lockout/A/"}


def test_stopped_again_it_stays_as_it_is(book: Book, store: EventStore) -> None:
    [first] = stop(store, ["A"], "enough")
    [again] = stop(store, ["A"], "really enough")
    assert again.records == ()
    assert again.lockout == first.lockout
    assert again.lockout is not None
    assert again.lockout.reason == "enough"


def test_several_are_stopped_together(book: Book, store: EventStore) -> None:
    stop(store, ["A"], "enough")
    found = stop(store, ["A", "B", "B"], "enough")
    assert [(each.account, len(each.records)) for each in found] == [("A", 0), ("B", 3)]


def test_more_than_fit_into_one_append_are_stopped_too(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "AT_ONCE_MAX", 2)
    found = stop(store, [f"A{number}" for number in range(5)], "enough")
    assert [len(each.records) for each in found] == [3] * 5


@pytest.mark.parametrize("accounts", [None, 5, b"A"])
def test_what_names_no_accounts_is_refused(store: EventStore, accounts: Any) -> None:  # noqa: ANN401 - any
    with pytest.raises(InvalidEvent, match="a sequence of account names"):
        stop(store, accounts, "enough")


def test_one_account_may_be_named_as_text(store: EventStore) -> None:
    assert [each.account for each in stop(store, "ACC1", "enough")] == ["ACC1"]


@pytest.mark.parametrize("account", ["-", "", "a b", "A/B", None])
def test_a_name_that_no_account_can_have_stops_nothing(book: Book, store: EventStore, account: Any) -> None:  # noqa: ANN401
    before = store.head()
    with pytest.raises(InvalidEvent):
        stop(store, ["A", account], "enough")
    assert store.head() == before


@pytest.mark.parametrize("reason", ["", " \n", None, 3])
def test_a_reason_is_needed(book: Book, store: EventStore, reason: Any) -> None:  # noqa: ANN401 - not text
    with pytest.raises(InvalidEvent, match="reason is text that says why"):
        stop(store, ["A"], reason)
    with pytest.raises(InvalidEvent, match="reason is text that says why"):
        resume(book, ["A"], actor="me", reason=reason)
    with pytest.raises(InvalidEvent, match="actor is text that says who"):
        resume(book, ["A"], actor=reason, reason="why not")


@pytest.mark.parametrize(
    "ending",
    [
        ("lockout/A/stop", LockoutCleared(by="me")),
        ("account/A/-", AccountReopened(starting_balance=Decimal(1), currency="USD")),
    ],
    ids=["cleared", "reopened"],
)
def test_what_was_ended_since_is_stopped_again(book: Book, store: EventStore, ending: tuple[str, Any]) -> None:
    stop(store, ["A"], "enough")
    book.append(*ending, actor="me")
    assert stopped(store, "A") is None
    [again] = stop(store, ["A"], "once more")
    assert len(again.records) == 3
    book.refresh()
    # Each stop's requests are its own.
    assert not book.enforcement.anomalies("A")


def test_a_lockout_of_a_part_under_the_same_rule_is_not_a_stop(book: Book, store: EventStore) -> None:
    book.append("lockout/A/stop", LockoutSet(rule_id="stop", scope="symbol:ES"))
    [found] = stop(store, ["A"], "enough")
    assert len(found.records) == 3


def test_an_account_whose_views_have_failed_is_stopped(
    store: EventStore, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        msg = "broken"
        raise LookupError(msg)

    monkeypatch.setattr(EnforcementView, "apply", fail)
    book.append("enforcement/A/R1", EnforcementRequested(rule_id="desk", action=EnforcementAction.FLATTEN))
    assert ("enforcement", "A") in book.parked
    [found] = stop(store, ["A"], "enough")
    assert len(found.records) == 3
    assert [each.rule_id for each in book.lockouts.active("A", store.clock.now_ns())] == ["stop"]


def test_two_that_stop_at_once_stop_once(tmp_path: Path) -> None:
    with eventstore.open(tmp_path) as first, eventstore.open(tmp_path) as second:
        opened(first)
        gate, found = threading.Barrier(2), []

        def run(store: EventStore) -> None:
            gate.wait()
            found.append(stop(store, ["A"], "enough")[0])

        threads = [threading.Thread(target=run, args=(store,)) for store in (first, second)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert sorted(len(each.records) for each in found) == [0, 3]
        assert len(list(first.read(types=(EnforcementRequested,)))) == 2


def test_resuming_ends_the_stop_alone(book: Book, store: EventStore) -> None:
    stop(store, ["A"], "enough")
    book.append("lockout/A/daily-loss", LockoutSet(rule_id="daily-loss", revocable=False))
    [found] = resume(book, ["A"], actor="boss", reason="slept over it")
    assert kinds(found.records) == ["LockoutCleared", "EnforcementTaken", "EnforcementTaken"]
    assert {record.actor for record in found.records} == {"boss"}
    assert [each.rule_id for each in book.lockouts.active("A", store.clock.now_ns())] == ["daily-loss"]
    assert stopped(store, "A") is None
    assert book.enforcement.pending("A") == ()
    [again] = resume(book, ["A"], actor="boss", reason="slept over it")
    assert again.records == ()


def test_resuming_stops_who_carries_the_stop_out(book: Book, store: EventStore) -> None:
    stop(store, ["A"], "enough")
    book.refresh()
    cancel, flatten = book.enforcement.pending("A")
    book.append(f"enforcement/A/{cancel.request_id}", EnforcementTaken(request_id=cancel.request_id, success=True))
    held = claim(book, flatten, "an enforcer")
    assert held is not None
    resume(book, ["A"], actor="boss", reason="a mistake")
    assert not held.is_held()
    # What was answered before stays as it was answered.
    assert [each.success for each in book.enforcement.of("A")] == [True, False]


def test_the_command_stops_and_resumes(data: Path, run: Run) -> None:
    ended = run("stop", "ACC1", "--reason", "enough", "--data", data)
    assert ended.code == 0
    assert ended.out.startswith("ACC1 stopped: positions ")
    assert "locked without end date by stop (account), lets nothing through" in ended.out
    assert "the requests are pending until" in ended.err
    again = run("stop", "ACC1", "--reason", "enough", "--data", data)
    assert (again.code, again.err) == (0, "")
    assert again.out.startswith("ACC1 was stopped already: nothing was changed\n")
    ended = run("resume", "ACC1", "--actor", "boss", "--reason", "slept", "--data", data)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("ACC1 resumed: positions ")
    ended = run("resume", "ACC1", "--actor", "boss", "--reason", "slept", "--data", data)
    assert (ended.code, ended.out) == (2, "")
    assert "ACC1 is not stopped" in ended.err


def test_all_are_stopped_and_resumed(data: Path, run: Run) -> None:
    run("stop", "ACC2", "--reason", "enough", "--data", data)
    document = run("stop", "--all", "--reason", "enough", "--json", "--data", data).document
    assert [(each["account"], each["changed"]) for each in document["accounts"]] == [("ACC1", True), ("ACC2", False)]
    assert [len(each["lockouts"]) for each in document["accounts"]] == [1, 1]
    assert [record["type"] for record in document["accounts"][0]["records"]] == [
        "LockoutSet", "EnforcementRequested", "EnforcementRequested",
    ]  # fmt: skip
    run("lock", "ACC2", "--data", data)
    ended = run("resume", "--all", "--actor", "boss", "--reason", "slept", "--json", "--data", data)
    assert [each["account"] for each in ended.document["accounts"]] == ["ACC1", "ACC2"]
    assert "ACC2 is still locked by manual" in ended.err
    ended = run("resume", "--all", "--actor", "boss", "--reason", "slept", "--data", data)
    assert (ended.code, ended.out) == (0, "no account is stopped\n")


def test_a_group_stands_for_its_members(data: Path, run: Run) -> None:
    with eventstore.open(data) as store:
        store.append("group/-/desk", GroupDefined(accounts=("ACC1", "ACC2")), actor="me")
        limit = LimitsSet(rule_id="daily-loss", parameters={"limit": "1000"})
        store.append("limits/@desk/daily-loss", limit, actor="me")
    ended = run("stop", "@desk", "@dsk", "ACC1", "--reason", "enough", "--json", "--data", data)
    assert [each["account"] for each in ended.document["accounts"]] == ["ACC1", "ACC2"]
    assert (ended.code, ended.err.splitlines()[-1]) == (
        2,
        "eventstore: there is no group @dsk with members in log main; nothing was stopped for it",
    )
    # Each is resumed by its own name.
    ended = run("resume", "@desk", "--actor", "boss", "--reason", "slept", "--data", data)
    assert ended.code == 2
    with eventstore.open(data) as store:
        with pytest.raises(InvalidEvent, match="@desk is a group, and each account is locked by itself"):
            stop(store, ["@desk"], "enough")
        store.append("lockout/@desk/stop", LockoutSet(rule_id="stop"))
    ended = run("stop", "--all", "--reason", "enough", "--json", "--data", data)
    assert [each["account"] for each in ended.document["accounts"]] == ["ACC1", "ACC2"]


def test_a_misspelt_account_does_not_keep_the_others_running(data: Path, run: Run) -> None:
    ended = run("stop", "ACC1", "ACC3", "a b", "--reason", "enough", "--data", data)
    assert ended.code == 2
    assert ended.out.startswith("ACC1 stopped: ")
    assert "there is no account 'ACC3' in log main: similar names are ACC1, ACC2; it was not stopped" in ended.err
    assert "account 'a b': 1 to 64 of" in ended.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("stop", "ACC1"), "Missing option '--reason'"),
        (("stop", "ACC1", "--reason", " "), "reason is text that says why"),
        (("stop", "--reason", "x"), "which accounts: name them, or give --all"),
        (("stop", "ACC1", "--all", "--reason", "x"), "name the accounts or give --all, not both"),
        (("resume", "ACC1", "--reason", "x"), "Missing option '--actor'"),
        (("resume", "ACC1", "--actor", "x"), "Missing option '--reason'"),
        (("resume", "ACC1", "--actor", "", "--reason", "x"), "actor is text that says who"),
        (("resume", "ACC3", "--actor", "x", "--reason", "x"), "there is no account 'ACC3'"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, tuple) else "",
)
def test_what_is_missing_is_named(data: Path, run: Run, arguments: tuple[str, ...], message: str) -> None:
    if arguments[0] == "resume":
        run("stop", "ACC1", "--reason", "enough", "--data", data)
    ended = run(*arguments, "--data", data)
    assert (ended.code, ended.out) == (2, "")
    assert message in ended.err


def test_a_busy_journal_is_waited_for(data: Path, run: Run) -> None:
    """Another process holds the journal's write lock for a moment."""
    connection = apsw.Connection(str(data / "main" / "journal.db"))
    connection.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.3, lambda: connection.execute("ROLLBACK"))
    release.start()
    ended = run("stop", "ACC1", "--reason", "enough", "--data", data)
    release.join()
    connection.close()
    assert ended.code == 0
    assert ended.out.startswith("ACC1 stopped: ")
