"""Shared by the tests of enforcers: functions that note what they are called with, and enforcers that settle."""

from __future__ import annotations

import threading
from collections.abc import Callable

from projections import Book, Enforcer, Task
from projections.enforcer import Handled
from projections.views.enforcement import Enforcement
from tests.waiting import until

DEADLINE = 30


def settle(enforcer: Enforcer) -> None:
    """Let it look until nothing is to be done."""
    until(enforcer.look)


def answer_to(book: Book, request_id: str = "R1", account: str = "A") -> Enforcement:
    book.refresh()
    found = book.enforcement.get(account, request_id)
    assert found is not None
    return found


def waiting_for(gate: threading.Event | threading.Barrier) -> Callable[[Task], None]:
    """Return a function that ends when others say so."""

    def wait(task: Task) -> None:
        gate.wait(DEADLINE)

    return wait


class Desk:
    """A function that notes what it is called with, and what an enforcer reported."""

    def __init__(self, result: object = None) -> None:
        self.result = result
        self.calls: list[str] = []
        self.lines: list[str] = []
        self.handled: list[Handled] = []

    def __call__(self, task: Task) -> object:
        self.calls.append(f"{task.account} {task.request.request_id} {task.request.action}")
        if isinstance(self.result, BaseException):
            raise self.result
        return self.result

    def enforcer(self, book: Book, **more: object) -> Enforcer:
        return Enforcer(book, self, report=self.lines.append, handled=self.handled.append, **more)  # type: ignore[arg-type]
