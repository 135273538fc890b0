"""The fail-over drill: a pair, appenders and followers are killed, cut off and suspended; then everything is checked.

python -m tests.postgres.drill [--events N] [--kills K] [--seconds S] [--seed N]
"""

from __future__ import annotations

import argparse
import contextlib
import random
import shutil
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import eventstore
from eventstore import EventStore, Record, Unavailable
from eventstore.journals.postgres.side import PostgresSide
from eventstore.trading import LockoutSet
from projections.shares import SHARES
from tests.postgres.appending import Appenders, appending
from tests.postgres.following import EVERY, Caught, FollowerProcess, digests_of, following, has_to_lock
from tests.postgres.pairs import PostgresPair, running_pair
from tests.postgres.scenes import WAITING, await_waiting
from tests.projections.cutting import from_zero
from tests.reliability.checking import WAIT_SECONDS, check, label_of

VERSION: Final = 18
# The processes of connections that were dropped wait on while there is no standby.
SETTINGS: Final = {"max_connections": "200"}
BEYOND_THE_LEASE_SECONDS: Final = 3.7
UNDECIDED_EVENTS: Final = 5 * EVERY
STALL_SECONDS: Final = 0.3
OLD_PRIMARY_SECONDS: Final = 1.0
SETTLED_SECONDS: Final = 0.5
ANSWER_SECONDS: Final = 3 * WAIT_SECONDS
POLL_SECONDS: Final = 0.02
Say = Callable[[str], None]


class Drilled(NamedTuple):
    """What a drill consists of: how many events are acknowledged at least, and what happens meanwhile."""

    events: int
    kills: int
    appenders: int = 8
    workers: int = 4
    """So many processes share the accounts and run the policies."""
    followers: int = 1
    """So many fold the whole log."""
    worker_kills: int = 10
    joint_kills: int = 1
    """How often all workers are killed, and restarted only after more was appended."""
    suspensions: int = 2
    cuts: int = 5
    stalls: int = 1
    seconds: float = 900.0
    """After what time it has failed."""


class Outcome(NamedTuple):
    """What a drill that has passed came to."""

    records: int
    acknowledged: int
    lockouts: int
    returns: list[float]
    """Of each fail-over: seconds from when a standby confirmed again to the first acknowledgement."""
    outages: list[float]
    """Seconds from the kill to that."""


class Drill:
    """One drill: `run` raises an AssertionError for whatever does not hold."""

    def __init__(
        self,
        pair: PostgresPair,
        appenders: Appenders,
        followers: Sequence[FollowerProcess],
        idle: EventStore,
        *,
        chance: random.Random,
        say: Say,
    ) -> None:
        self._pair, self._appenders, self._followers, self._idle = pair, appenders, followers, idle
        self._workers = [follower for follower in followers if follower.works]
        self._chance, self._say = chance, say
        self._checked, self._end = 0, 0.0
        self.returns: list[float] = []
        self.outages: list[float] = []

    def run(self, plan: Drilled) -> None:
        """Append so many events; meanwhile let everything happen, spread over the time between fail-overs."""
        happenings = [
            *[self._kill_a_worker] * plan.worker_kills,
            *[self._kill_all_workers] * plan.joint_kills,
            *[self._suspend_a_worker] * plan.suspensions,
            *[self._cut_a_commit] * plan.cuts,
            *[self._stall_the_standby] * plan.stalls,
        ]
        self._chance.shuffle(happenings)
        self._end = time.monotonic() + plan.seconds
        cycles = plan.kills + 1
        for cycle in range(1, cycles + 1):
            own = happenings[cycle - 1 :: cycles]
            first, last = plan.events * (cycle - 1) // cycles, plan.events * cycle // cycles
            for number, happening in enumerate(own, 1):
                self._await(first + (last - first) * number // (len(own) + 1))
                happening()
            self._await(last)
            if cycle < cycles:
                self._fail_over(cycle)

    def _await(self, count: int) -> None:
        """Wait until so many records have been acknowledged in all."""
        last, progressed = -1, time.monotonic()
        while (found := len(self._appenders.acked())) < count:
            now = time.monotonic()
            if found > last:
                last, progressed = found, now
            assert now - progressed < WAIT_SECONDS, f"nothing was acknowledged for {WAIT_SECONDS:.0f} s after {found:,}"
            assert now < self._end, f"out of time with {found:,} acknowledged"
            time.sleep(POLL_SECONDS)

    # What happens between fail-overs

    def _kill_a_worker(self) -> None:
        worker = self._chance.choice(self._followers)
        worker.kill()
        worker.start()
        self._say(f"  {worker.name} killed and restarted")

    def _kill_all_workers(self) -> None:
        """What is appended until they are back has to be decided on nevertheless."""
        for worker in self._workers:
            worker.kill()
        self._await(len(self._appenders.acked()) + UNDECIDED_EVENTS)
        for worker in self._workers:
            worker.start()
        self._say("  all workers killed, and restarted later")

    def _suspend_a_worker(self) -> None:
        """Suspend one until others have its shares: it may be in the middle of an append, a cut or a cursor's write."""
        worker = self._chance.choice(self._workers)
        with worker.suspended():
            time.sleep(BEYOND_THE_LEASE_SECONDS)
        self._say(f"  {worker.name} suspended for {BEYOND_THE_LEASE_SECONDS} s")

    def _cut_a_commit(self) -> None:
        """End a connection whose commit waits for the standby: with or without the standby's answer on its way."""
        with self._pair.stalled() if self._chance.random() < 0.5 else contextlib.nullcontext():
            self._end_a_wait("pg_terminate_backend")
        self._pair.await_confirmed()
        self._say("  a connection ended in COMMIT")

    def _stall_the_standby(self) -> None:
        with self._pair.stalled():
            self._end_a_wait("pg_cancel_backend")
            time.sleep(STALL_SECONDS)
        self._pair.await_confirmed()
        self._say("  the standby stalled, and a wait for it canceled")

    def _end_a_wait(self, function: str) -> None:
        sql = f"SELECT {function}(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep' LIMIT 1"  # noqa: S608 - constants
        with self._pair.primary.connect() as connection:
            end = time.monotonic() + WAIT_SECONDS
            while not connection.execute(sql).fetchall():
                assert time.monotonic() < end, "no commit waits for the standby"

    # The fail-over

    def _fail_over(self, cycle: int) -> None:
        """Kill the primary; promote, check; let the old one run before its rewind; rewind: the roles are exchanged."""
        pair = self._pair
        seen = self._idle.head()
        began = time.monotonic()
        self._kill_the_primary()
        pair.promote()
        promoted = time.monotonic() - began
        ((head,),) = pair.primary.execute("SELECT max(position) FROM eventstore_main.event")
        assert head >= seen, f"position {seen} was read, and the new primary ends at {head}"
        self._check_acknowledged()
        ahead = self._old_primary_returns(head)
        acked = self._appenders.acked()
        assert max(ack.position for ack in acked) <= head, "something was acknowledged without a standby"
        count = len(acked)
        pair.rewind()
        back = time.monotonic()
        while len(self._appenders.acked()) == count:
            assert time.monotonic() < back + WAIT_SECONDS, "nothing is acknowledged after the fail-over"
            time.sleep(POLL_SECONDS / 4)
        first = time.monotonic()
        self.returns.append(first - back)
        self.outages.append(first - began)
        self._say(
            f"cycle {cycle}: {count:,} acknowledged; promoted after {promoted:.1f} s; the old one had {ahead} more; "
            f"first append {first - back:.2f} s after the standby's return, {first - began:.1f} s after the kill"
        )

    def _kill_the_primary(self) -> None:
        """Kill it at any moment or, every other time, while it has commits that its standby lacks."""
        if self._chance.random() < 0.5:
            self._pair.primary.kill()
            return
        with self._pair.stalled(cut=True):
            await_waiting(self._pair)
            self._pair.primary.kill()

    def _check_acknowledged(self) -> None:
        """Check on the new primary what was acknowledged since the last check."""
        new = self._appenders.acked()[self._checked :]
        self._checked += len(new)
        if not new:
            return
        with eventstore.open(self._pair.primary.url(log="main"), read_only=True) as store:
            first = min(ack.position for ack in new)
            stored = {record.position: record.id for record in store.read(after=first - 1)}
            lost = [ack for ack in new if stored.get(ack.position) != ack.id]
            assert not lost, f"{len(lost)} of {len(new)} are lost: {lost[:3]}"
            last = store.head()
            assert sorted(stored) == list(range(first, last + 1)), f"a gap between {first} and {last}"

    def _old_primary_returns(self, head: int) -> int:
        """Run the old primary for a while; return how many records it has that were never acknowledged."""
        old = self._pair.standby
        old.start()
        sql = "SELECT count(*) FROM eventstore_main.event"
        ((before,),) = old.execute(sql)
        end = time.monotonic() + OLD_PRIMARY_SECONDS
        while time.monotonic() < end:
            # One that was idle during the fail-over, and one that has seen nothing of it.
            self._check_head(self._idle, head)
            with contextlib.suppress(Unavailable), eventstore.open(self._pair.url(log="main"), read_only=True) as fresh:
                self._check_head(fresh, head)
        assert old.execute(sql) == [(before,)], "the old primary has committed an append"
        assert not old.execute(WAITING), "an append waits on the old primary"
        return int(before) - head

    def _check_head(self, store: EventStore, head: int) -> None:
        """Nothing can be committed meanwhile: whatever differs is the old primary's."""
        with contextlib.suppress(Unavailable):
            found = store.head()
            assert found == head, f"position {found} was read, and the new primary ends at {head}"
            assert [record.position for record in store.read(after=head - 1)] == [head]


def drill(plan: Drilled, seed: int, directory: Path, say: Say) -> Outcome:
    """Run a drill in a directory; raise an AssertionError for what does not hold."""
    with contextlib.ExitStack() as stack:
        pair = stack.enter_context(running_pair(VERSION, settings=SETTINGS))
        url = pair.url(log="main", durability="replicated")
        idle = stack.enter_context(eventstore.open(url))
        followers = stack.enter_context(following(url, directory, workers=plan.workers, followers=plan.followers))
        say(
            f"seed {seed}: {plan.appenders} processes append, {plan.workers} share the accounts, {plan.followers} "
            f"follow the log; {pair.primary!r} leads"
        )
        with appending(url, directory, plan.appenders, seconds=plan.seconds + 2 * WAIT_SECONDS) as appenders:
            found = Drill(pair, appenders, followers, idle, chance=random.Random(seed), say=say)
            found.run(plan)
        acked = appenders.acked()
        say(f"{len(acked):,} acknowledged; checking")
        records = checked(idle, followers, appenders)
        return Outcome(len(records), len(acked), len(lockouts(records)), found.returns, found.outages)


def checked(store: EventStore, followers: Sequence[FollowerProcess], appenders: Appenders) -> list[Record]:
    """Check the log, the lockouts and the followers' books once nothing is appended; return the records."""
    caught = settled(followers, store)
    records = check(store, appenders.acked())
    check_lockouts(records)
    check_epochs(store)
    shares, common = digests_of(from_zero(store, len(records)))
    for follower, each in zip(followers, caught, strict=True):
        assert each.position == len(records), f"{follower.name} is at {each.position}, the log at {len(records)}"
        assert not each.parked, f"{follower.name} has {each.parked} parked"
        assert each.common == common, f"{follower.name} differs in what belongs to every book"
        wrong = [share for share, found in each.digests.items() if found != shares.get(share, "")]
        assert not wrong, f"the book of {follower.name} differs from a fold of the log in shares {wrong}"
    return records


def check_epochs(store: EventStore) -> None:
    """In every view and partition each next owner has cut later than the one before."""
    for key, found in epochs_of(store).items():
        positions = [position for _, position in found]
        assert positions == sorted(positions), f"the cuts of {key} by epoch: {found}"


def epochs_of(store: EventStore) -> dict[str, list[tuple[int, int]]]:
    """Return the epochs and positions of the cuts of each view and partition, in the order of the epochs."""
    assert isinstance(store.side, PostgresSide)
    found: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for name, epoch, position in store.side.asked("SELECT view, epoch, position FROM part WHERE epoch IS NOT NULL"):
        found[name].append((epoch, position))
    return {name: sorted(each) for name, each in found.items()}


def settled(followers: Sequence[FollowerProcess], store: EventStore) -> list[Caught]:
    """Return where all followers are once nothing more is decided and each share has one worker."""
    end = time.monotonic() + ANSWER_SECONDS
    while True:
        head = store.head()
        caught = caught_up(followers, head)
        held = [
            share for follower, each in zip(followers, caught, strict=True) if follower.works for share in each.digests
        ]
        if (
            store.head() == head
            and {each.position for each in caught} == {head}
            and sorted(held) == list(range(SHARES))
        ):
            return caught
        assert time.monotonic() < end, (
            f"the workers hold {sorted(held)}, at {[each.position for each in caught]} of {head}"
        )
        time.sleep(SETTLED_SECONDS)


def caught_up(followers: Sequence[FollowerProcess], position: int) -> list[Caught]:
    """Let all followers catch up to a position at once."""
    for follower in followers:
        follower.ask(position)
    return [follower.answer(ANSWER_SECONDS) for follower in followers]


def lockouts(records: Sequence[Record]) -> Counter[bytes | None]:
    """Return what caused lockouts, and how often."""
    return Counter(record.causation_id for record in records if isinstance(record.event, LockoutSet))


def check_lockouts(records: Sequence[Record]) -> None:
    """Each order that has to lock its account has done so once, and nothing else has."""
    causes = {record.id for record in records if has_to_lock(label_of(record))}
    found = lockouts(records)
    missing, more = causes - found.keys(), [each for each, count in found.items() if count > 1 or each not in causes]
    assert not missing, f"{len(missing)} of {len(causes)} lockouts are missing"
    assert not more, f"{len(more)} lockouts are there twice, or without a cause"


@contextlib.contextmanager
def _own_directory(seed: int) -> Iterator[Path]:
    """Make a directory, which is kept where the drill fails; the error then names the seed."""
    directory = Path(tempfile.mkdtemp(prefix="drill-"))
    try:
        yield directory
    except BaseException as error:
        error.add_note(f"drill: failed; --seed {seed} repeats its choices; its processes' errors are in {directory}")
        raise
    shutil.rmtree(directory)


def put(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - the product


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one drill; an error, and so exit code 1, says what does not hold, and the seed."""
    parser = argparse.ArgumentParser(
        prog="drill", description="Fail a REPLICATED log over again and again, and check that nothing is missing."
    )
    parser.add_argument("--events", type=int, default=60_000, help="how many are acknowledged at least")
    parser.add_argument("--kills", type=int, default=3, help="how often the primary is killed")
    parser.add_argument("--seconds", type=float, default=Drilled(0, 0).seconds, help="after what time it has failed")
    parser.add_argument("--seed", type=int, help="repeats the choices of an earlier drill, though not its timing")
    given = parser.parse_args(arguments)
    seed = random.SystemRandom().randrange(1_000_000) if given.seed is None else given.seed
    plan = Drilled(given.events, given.kills, seconds=given.seconds)
    began = time.monotonic()
    with _own_directory(seed) as directory:
        found = drill(plan, seed, directory, lambda text: put(f"{time.monotonic() - began:6.1f} s  {text}"))
    passed = time.monotonic() - began
    put(f"drill: passed in {passed:.0f} s: {found.acknowledged:,} acknowledged events are there once, without a gap")
    put(f"  {found.lockouts:,} lockouts, none missing or doubled; all books equal a fold of the log, share by share")
    put(
        f"  first append: {max(found.returns, default=0):.2f} s at most after a standby's return, "
        f"{max(found.outages, default=0):.1f} s after a kill"
    )


if __name__ == "__main__":
    main()
