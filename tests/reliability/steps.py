"""The process that is killed at a step of a write, and the server that forks it.

python -m tests.reliability.steps < orders, a line of JSON each
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NoReturn

import apsw
import msgspec
from typing_extensions import override

import eventstore
import projections
from eventstore import ManualClock, trading
from tests.reliability.checking import WAIT_SECONDS
from tests.reliability.questions import WRITTEN_AT
from tests.reliability.states import STATES, make_base

Moment = Literal["amid", "after"]
CUT = "a cut"
# One after the other these leave a change in every view.
IN_A_CUT = [
    "limits tightened",
    "lockout with its enforcement",
    "session closed, marked and reset",
    "cash moved",
    "pair",
]
IN_A_CUT += ["contract fetched", "order submitted and accepted", "profit by a fill", "blackout scheduled"]


class Order(msgspec.Struct, frozen=True):
    """Whom to kill when: `amid` a step, of a write one half then, or `after` it; after step 0, before the first."""

    state: str
    directory: str
    acks: str
    moment: Moment
    number: int


class Ack(msgspec.Struct, frozen=True):
    """What a process wrote down once its write had returned: after how many steps, and what its book says then."""

    steps: int
    is_right: bool
    answer: str


class Steps(apsw.VFS):
    """The disk: of what SQLite asks the system for, each change of a file is a step, and this process dies at one."""

    def __init__(self) -> None:
        self.done = 0
        self._last: tuple[Moment, int] | None = None
        # By its name: this one is to be the default itself.
        self.real = apsw.vfs_names()[0]
        super().__init__("steps", self.real)

    def die(self, moment: Moment, number: int) -> None:
        """Die at the step of this number, counted from now on."""
        self.done, self._last = 0, (moment, number)
        if not number:
            _die()

    def step(self, whole: Callable[[], None], half: Callable[[], None] | None = None) -> None:
        self.done += 1
        if self._last == ("amid", self.done):
            if half is not None:
                half()
            _die()
        whole()
        if self._last == ("after", self.done):
            _die()

    @override
    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        return _File(self, name, flags)

    @override
    def xDelete(self, filename: str, syncdir: bool) -> None:
        self.step(lambda: super(Steps, self).xDelete(filename, syncdir))


class _File(apsw.VFSFile):
    def __init__(self, steps: Steps, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self._steps = steps
        super().__init__(steps.real, name, flags)

    @override
    def xWrite(self, data: bytes, offset: int) -> None:
        write = super().xWrite
        self._steps.step(lambda: write(data, offset), lambda: write(bytes(data[: len(data) // 2]), offset))

    @override
    def xSync(self, flags: int) -> None:
        self._steps.step(lambda: super(_File, self).xSync(flags))

    @override
    def xTruncate(self, newsize: int) -> None:
        self._steps.step(lambda: super(_File, self).xTruncate(newsize))


def live(order: Order, steps: Steps) -> None:
    """Write one state, or a cut of many, and write down that this is done; then die, if not before."""
    with eventstore.open(order.directory, clock=ManualClock(WRITTEN_AT)) as store, projections.open(store) as book:
        # The write-ahead log has something in it, as it has in a process that lives: that must outlast it, too.
        book.append("mark/-/begun", trading.Marked(name="begun"))
        answer: object
        expected: object
        if order.state == CUT:
            for name in IN_A_CUT:
                STATES[name].write(book)
            steps.die(order.moment, order.number)
            answer, expected = book.snapshot(), True
        else:
            state = STATES[order.state]
            steps.die(order.moment, order.number)
            state.write(book)
            answer, expected = state.ask(book), state.after
        ack = Ack(steps.done, answer == expected, repr(answer))
        Path(order.acks).write_bytes(msgspec.json.encode(ack))
        _die()


def serve() -> None:
    """For each line of standard input fork a process, which dies; answer with how it did."""
    with tempfile.TemporaryDirectory() as directory:
        # What is made once, as decoders are, is inherited. The store itself is closed: it would not be.
        make_base(Path(directory) / "data")
    for line in sys.stdin:
        order = msgspec.json.decode(line, type=Order)
        child = os.fork()
        if not child:
            try:
                # One that hangs dies of another signal.
                signal.alarm(int(WAIT_SECONDS))
                steps = Steps()
                apsw.set_default_vfs("steps")
                live(order, steps)
            except BaseException:  # noqa: BLE001 - printed for the parent, and the fork ends here
                traceback.print_exc()
            os._exit(1)
        status = os.waitpid(child, 0)[1]
        print(os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0, flush=True)  # noqa: T201 - the answer


def _die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


if __name__ == "__main__":
    serve()
