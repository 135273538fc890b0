"""Forks an enforcer for each line on stdin, a real process that a test can kill; imports take their time only once.

A line is a directory, the gateway's URL, by how many seconds the clocks are ahead, and where the process kills itself.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from typing_extensions import override

import eventstore
import projections
from eventstore import SystemClock
from eventstore.trading import EnforcementAction
from projections import Enforcer, Task
from projections.enforcer import enforcer as engine
from projections.risk.enforcement.claims import RequestClaim
from tests.enforcement.projectx_gateway import TOKEN

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "enforce_projectx.py"


def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("enforce_projectx", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class AheadClock(SystemClock):
    """The machine's clocks, ahead: what an earlier process claimed is over without waiting for it."""

    def __init__(self, seconds: int) -> None:
        self._ahead = seconds * 1_000_000_000

    @override
    def now_ns(self) -> int:
        return SystemClock.now_ns() + self._ahead

    @override
    def monotonic_ns(self) -> int:
        return SystemClock.monotonic_ns() + self._ahead


def kill(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def run(module: Any, directory: str, url: str, ahead: str, step: str) -> None:  # noqa: ANN401 - a module
    """Enforce once in this process, and kill it at a step."""
    os.environ |= {"PROJECTX_URL": url, "PROJECTX_TOKEN": TOKEN, "PROJECTX_ACCOUNTS": "ACC1=4711"}
    module.PAUSE_SECONDS = 0.01

    def carry_out(task: Task) -> None:
        if step == "claimed":
            kill()
        module.carry_out(task)

    answer = RequestClaim.answer

    def answer_or_die(self: RequestClaim, *, success: bool, details: dict[str, Any] | str = "") -> bool:
        if self.request.action is EnforcementAction.FLATTEN:
            kill()
        return answer(self, success=success, details=details)

    if step == "unclaimed":
        RequestClaim.begin = kill  # type: ignore[assignment,method-assign]
    if step == "unanswered":
        RequestClaim.answer = answer_or_die  # type: ignore[method-assign]
    engine.BUSY_WAIT_SECONDS = 0.001
    with eventstore.open(directory, clock=AheadClock(int(ahead))) as store, projections.open(store) as book:
        Enforcer(book, carry_out).run(once=True)


def put(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def main() -> None:
    module = example()
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            # What fails is printed by Python itself, and not by a second copy of this loop.
            code = 1
            try:
                run(module, *line.split())
                code = 0
            finally:
                sys.stderr.flush()
                os._exit(code)
        put(pid)
        put(os.waitpid(pid, 0)[1])


if __name__ == "__main__":
    main()
