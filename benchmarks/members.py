"""Processes that are members of a group of workers, to be started, asked to leave and killed.

python -m benchmarks.members URL NAME
"""

from __future__ import annotations

import sys
import threading
import time
from contextlib import suppress
from subprocess import PIPE, Popen

import eventstore
from projections.group_worker import GroupWorker
from projections.membership import GroupMember
from projections.rules import shipped_rules
from projections.shares import SHARES

GROUP = "bench"
LOOK_SECONDS = 0.01
WAIT_SECONDS = 60.0
_READY = "ready"


class MemberProcess:
    """One member in a process of its own; `shares` is how many it has last said that it works on."""

    def __init__(self, url: str, name: str) -> None:
        self.shares = 0
        self._process = Popen(
            [sys.executable, "-m", "benchmarks.members", url, name], stdin=PIPE, stdout=PIPE, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == f"{_READY}\n"
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.shares = int(line)

    def join(self) -> None:
        """Have it join the group."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def leave(self) -> None:
        """Have it hand over what it has, and end."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()

    def kill(self) -> None:
        self._process.kill()

    def wait(self) -> None:
        self.leave()
        self._process.wait(WAIT_SECONDS)
        assert self._process.stdout is not None
        self._process.stdout.close()


def until(*wanted: tuple[MemberProcess, int]) -> float:
    """Return the seconds until members work on so many shares each."""
    began = time.perf_counter()
    while any(member.shares != shares for member, shares in wanted):
        if time.perf_counter() - began > WAIT_SECONDS:
            msg = f"the members have {[member.shares for member, _ in wanted]} shares after {WAIT_SECONDS:g} s"
            raise TimeoutError(msg)
        time.sleep(LOOK_SECONDS)
    return time.perf_counter() - began


def rebalances(url: str, rounds: int) -> dict[str, list[float]]:
    """Return the seconds until all shares are worked on again when a member joins, leaves and is killed, by turns."""
    found: dict[str, list[float]] = {"join": [], "leave": [], "death": []}
    stays = MemberProcess(url, "stays")
    stays.join()
    until((stays, SHARES))
    for number in range(2 * rounds):
        other = MemberProcess(url, f"other-{number}")
        other.join()
        found["join"].append(until((stays, SHARES // 2), (other, SHARES // 2)))
        if number % 2:
            other.kill()
        else:
            other.leave()
        found["death" if number % 2 else "leave"].append(until((stays, SHARES)))
        other.kill()
        other.wait()
    stays.leave()
    stays.wait()
    return found


def _main(url: str, name: str) -> None:
    with eventstore.open(url) as store:
        worker = GroupWorker(GroupMember(store, GROUP, id=name), store, shipped_rules)
        print(_READY, flush=True)
        sys.stdin.readline()
        is_over = threading.Event()
        with worker:
            threading.Thread(target=_say, args=(worker, is_over), daemon=True).start()
            sys.stdin.read()
            is_over.set()


def _say(worker: GroupWorker, is_over: threading.Event) -> None:
    said = 0
    while not is_over.wait(LOOK_SECONDS):
        if (shares := len(worker.shares)) != said:
            said = shares
            print(shares, flush=True)


if __name__ == "__main__":
    _main(*sys.argv[1:])
