"""Whether some process runs a log's policies: by locks, which a kill releases; if none does, no new exposure."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path

import pytest

import eventstore
import projections
from eventstore import EventStore, ManualClock
from eventstore.clock import NANOSECONDS
from eventstore.files import FileLock, is_locked
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import AccountOpened, ContractDefined, Side, Verdict
from projections import Book, risk
from projections.risk.policies import Policies, account_sets
from projections.risk.policies.lease import FILE, Lease
from projections.risk.policies.liveness import PolicyRun, run_of, why_unjudged
from projections.risk.proposals import Proposal
from tests.places import Place
from tests.projections.policy_scene import Loss, running
from tests.projections.rules_day import NOON
from tests.waiting import WAIT_SECONDS, until

pytestmark = pytest.mark.in_each_place

RUNNING, ENDED, NEVER = PolicyRun.RUNNING, PolicyRun.ENDED, PolicyRun.NEVER


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
def reader(store: EventStore) -> Iterator[Book]:
    """Return a book of another process, which runs no policies."""
    for account in ("A", "B", "C"):
        store.append(f"account/{account}/-", AccountOpened(starting_balance=Decimal(1), currency="USD"))
    store.append("contract/-/ES", ContractDefined(symbol="ES", multiplier=Decimal(50), currency="USD"))
    with projections.open(store, snapshots=False) as opened:
        yield opened


def seen(reader: Book, *accounts: str) -> list[PolicyRun]:
    """Return what a book sees once it may look again."""
    reader.refresh()
    reader.reader.clock.advance(NANOSECONDS)  # type: ignore[attr-defined]
    return [run_of(reader, account) for account in accounts or ("A",)]


def verdict(reader: Book, account: str = "A") -> tuple[Verdict, str]:
    order = Proposal(account=account, symbol="ES", side=Side.BUY, quantity=Decimal(1), order_type="MARKET")  # type: ignore[arg-type]
    answer = risk.check(reader, order, NOON)
    return answer.verdict, answer.reason


def opened(store: EventStore, *accounts: str) -> Book:
    return projections.open(store, snapshots=False, accounts=accounts or None)


def test_on_a_log_without_policies_the_check_judges_alone(reader: Book) -> None:
    assert seen(reader) == [NEVER]
    assert why_unjudged(reader, "A") is None
    assert verdict(reader)[0] is Verdict.PASS


def test_policies_run_until_they_are_stopped(store: EventStore, reader: Book) -> None:
    policies = running(opened(store), Loss())
    assert seen(reader) == [RUNNING]
    assert verdict(reader)[0] is Verdict.PASS
    policies.stop()
    assert seen(reader) == [ENDED]
    rejected, reason = verdict(reader)
    assert rejected is Verdict.REJECT
    assert "no process runs the policies of log main for A, so its limits are unjudged" in reason
    assert "was stopped or killed; start it again, or run the policies in this process" in reason
    policies.start(ticking=False)
    assert seen(reader) == [RUNNING]


def test_a_book_s_own_policies_count_at_once(store: EventStore, reader: Book) -> None:
    running(opened(store), Loss()).stop()
    assert seen(reader) == [ENDED]
    own = running(reader, Loss())
    assert run_of(reader, "A") is RUNNING
    own.stop()


def test_a_book_looks_at_most_once_a_second(store: EventStore, reader: Book, clock: ManualClock) -> None:
    policies = running(opened(store), Loss())
    assert seen(reader) == [RUNNING]
    policies.stop()
    clock.advance(NANOSECONDS - 1)
    assert run_of(reader, "A") is RUNNING
    clock.advance(1)
    assert run_of(reader, "A") is ENDED


def test_a_process_that_runs_other_accounts_judges_none_of_these(store: EventStore, reader: Book) -> None:
    running(opened(store, "A", "C"), Loss()).stop()
    other = running(opened(store, "B"), Loss())
    assert seen(reader, "A", "B", "C", "new") == [ENDED, RUNNING, ENDED, ENDED]
    everyone = running(opened(store), Loss())
    assert seen(reader, "A", "B", "C", "new") == [RUNNING] * 4
    other.stop()
    assert seen(reader, "A", "B") == [RUNNING, RUNNING]
    everyone.stop()
    assert seen(reader, "A", "B") == [ENDED, ENDED]


def test_a_holder_of_the_lease_that_names_no_accounts_runs_them_for_all(store: EventStore, reader: Book) -> None:
    lease = Lease(store)
    assert lease.is_held()
    assert seen(reader) == [RUNNING]
    lease.release()
    assert seen(reader) == [ENDED]


def test_a_second_process_takes_over_what_the_first_showed(store: EventStore, reader: Book) -> None:
    first, second = running(opened(store, "A"), Loss()), running(opened(store, "A"), Loss())
    first.stop()
    reader.reader.clock.advance(NANOSECONDS)  # type: ignore[attr-defined]
    second.tick()
    assert seen(reader) == [RUNNING]
    second.stop()
    assert seen(reader) == [ENDED]


@pytest.mark.in_directory
@pytest.mark.parametrize("content", [b"", b"[", b'["B"]', b"\xff", b'{"A":1}'])
def test_a_damaged_list_of_accounts_proves_nothing(store: EventStore, reader: Book, content: bytes) -> None:
    running(opened(store, "B"), Loss())
    running(opened(store, "A"), Loss())
    assert store.directory is not None
    (store.directory / f"policies{account_sets.name_of(['A'])}.accounts").write_bytes(content)
    assert seen(reader, "A", "B") == [ENDED, RUNNING]


@pytest.mark.in_directory
@pytest.mark.parametrize("content", [b"", b'["A"]', None])
def test_a_set_whose_accounts_are_not_known_does_not_run_for_all(
    store: EventStore, reader: Book, content: bytes | None
) -> None:
    policies = running(opened(store, "B"), Loss())
    assert store.directory is not None
    written = store.directory / f"policies{account_sets.name_of(['B'])}.accounts"
    if content is None:
        written.unlink()
    else:
        written.write_bytes(content)
    # It holds the lease as well, which says nothing about other accounts.
    assert policies._area.leads("ACC1")
    assert seen(reader, "A", "B") == [ENDED, ENDED]
    assert verdict(reader)[0] is Verdict.REJECT


@pytest.mark.in_directory
def test_a_set_whose_lock_cannot_be_read_does_not_run_for_all(store: EventStore, reader: Book) -> None:
    running(opened(store, "B"), Loss()).stop()
    assert store.directory is not None
    name = account_sets.lock_of(account_sets.name_of(["B"]))
    (store.directory / name).unlink()
    (store.directory / name).symlink_to(name)
    assert Lease(store).is_held()
    assert seen(reader, "A", "B") == [ENDED, ENDED]


@pytest.mark.in_directory
@pytest.mark.parametrize("moment", ["starts", "ends"])
def test_a_process_that_starts_or_ends_meanwhile_does_not_run_for_all(
    store: EventStore, reader: Book, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    policies = running(opened(store, "B"), Loss())
    if moment == "starts":
        policies.stop()

    looked_at: list[str] = []

    def look(path: Path) -> bool:
        # The sets' locks are looked at before the process takes its two, or after it has released them.
        if path.name == FILE and looked_at and moment == "starts":
            policies.start(ticking=False)
        found = is_locked(path)
        if path.name == FILE and moment == "ends":
            policies.stop()
        looked_at.append(path.name)
        return found

    monkeypatch.setattr("eventstore.files.is_locked", look)
    assert seen(reader, "A") == [ENDED]
    assert any("@" in name for name in looked_at)


@pytest.mark.in_directory
def test_a_lock_that_cannot_be_read_proves_nothing(store: EventStore, reader: Book) -> None:
    assert store.directory is not None
    running(opened(store), Loss()).stop()
    for name in (FILE, account_sets.lock_of(account_sets.EVERY)):
        (store.directory / name).unlink()
        (store.directory / name).symlink_to(name)
    assert seen(reader) == [ENDED]


@pytest.mark.in_directory
def test_a_damaged_cursor_shows_that_policies_ran(store: EventStore, reader: Book) -> None:
    running(opened(store), Loss()).stop()
    assert store.directory is not None
    for cursor in (store.directory / "watermarks").glob("policy.*"):
        cursor.write_bytes(b"?")
    assert seen(reader) == [ENDED]


def test_a_book_of_the_past_asks_no_process(store: EventStore) -> None:
    store.append("account/A/-", AccountOpened(starting_balance=Decimal(1), currency="USD"))
    running(opened(store), Loss()).stop()
    past = projections.as_of(store, position=1)
    assert run_of(past, "A") is PolicyRun.UNKNOWN
    assert why_unjudged(past, "A") is None


def test_a_log_in_memory_has_one_process(clock: ManualClock) -> None:
    with EventStore(MemoryJournal(), clock=clock) as store:
        reader = opened(store)
        assert seen(reader) == [NEVER]
        policies, second = running(opened(store, "A"), Loss()), running(opened(store, "A"), Loss())
        assert seen(reader, "A", "B") == [RUNNING, ENDED]
        policies.stop()
        policies.stop()
        assert seen(reader) == [RUNNING]
        second.stop()
        assert seen(reader) == [ENDED]


def test_a_store_closed_under_the_policies_ends_them(place: Place, reader: Book) -> None:
    with eventstore.open(place) as store:
        policies = Policies(opened(store), [Loss()]).start()
        assert seen(reader) == [RUNNING]
        thread = policies._thread
        assert thread is not None
    thread.join(WAIT_SECONDS)
    assert seen(reader) == [ENDED]


def test_a_start_that_fails_shows_nothing(store: EventStore, reader: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    policies = Policies(opened(store), [Loss()])
    with monkeypatch.context() as patched:
        patched.setattr(policies, "_replay_missed", None)
        with pytest.raises(TypeError):
            policies.start()
    assert seen(reader) == [NEVER]


# Processes


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "tests.projections.test_policy_runs", *arguments]


@pytest.mark.parametrize("accounts", [(), ("A", "B")])
def test_a_kill_of_the_process_leaves_its_accounts_unjudged(
    store: EventStore, reader: Book, place: Place, accounts: Sequence[str]
) -> None:
    with subprocess.Popen(
        command(str(place), *accounts), stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    ) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "running\n"
            assert seen(reader, "A", "B") == [RUNNING, RUNNING]
            assert verdict(reader)[0] is Verdict.PASS
        finally:
            os.kill(child.pid, signal.SIGKILL)
        assert child.wait(WAIT_SECONDS) == -signal.SIGKILL
    # A server takes a moment to see that its client is gone.
    until(lambda: seen(reader, "A", "B") == [ENDED, ENDED])
    assert verdict(reader)[0] is Verdict.REJECT
    policies = running(opened(store, *accounts), Loss())
    assert seen(reader, "A") == [RUNNING]
    policies.stop()


def test_who_asks_keeps_nobody_from_starting(tmp_path: Path) -> None:
    """Readers that ask without a pause, in another process too, delay a starter by no more than some retries."""
    path = tmp_path / "lock"
    path.touch()
    ended = threading.Event()

    def ask() -> None:
        while not ended.is_set():
            is_locked(path)

    asking = [threading.Thread(target=ask, daemon=True) for _ in range(2)]
    for thread in asking:
        thread.start()
    taken = 0
    for _ in range(50):
        lock = FileLock(path)
        taken += any(lock.take() for _ in range(50))
        lock.release()
    ended.set()
    for thread in asking:
        thread.join(WAIT_SECONDS)
    assert taken == 50


def test_those_who_ask_at_once_do_not_take_each_other_for_the_holder(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch()
    found: list[bool] = []
    asking = [
        threading.Thread(target=lambda: found.append(any(is_locked(path) for _ in range(2_000)))) for _ in range(4)
    ]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join(WAIT_SECONDS)
    assert found == [False] * 4


def test_a_fork_s_child_does_not_hold_what_its_parent_held(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock")
    assert lock.take()
    waiting, ending = os.pipe()
    child = os.fork()
    if not child:
        os.close(ending)
        os.read(waiting, 1)
        os._exit(0)
    assert is_locked(tmp_path / "lock"), "the child has not unlocked it"
    lock.release()
    # The child gives up its copy as soon as it runs, which takes a while where all cores are busy.
    until(lambda: not is_locked(tmp_path / "lock"))
    os.close(ending)
    os.waitpid(child, 0)


def run(directory: str, accounts: Sequence[str]) -> None:
    """Be the process that runs the policies, and wait to be killed."""
    with eventstore.open(directory) as store, Policies(opened(store, *accounts), [Loss()]):
        print("running", flush=True)  # noqa: T201 - the parent waits for it
        signal.pause()


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2:])
