"""The process with policies that is killed at one of its steps, and the server that forks it.

python -m tests.projections.policy_lives < orders, a line of JSON each
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, ClassVar

import apsw
import msgspec
from typing_extensions import override

import eventstore
import projections
from eventstore import Event, ManualClock
from eventstore.journals.postgres.connection import Connection
from eventstore.trading import (
    EnforcementAction,
    EnforcementRequested,
    LockoutSet,
    OrderFilled,
    QuoteReceived,
    Side,
)
from eventstore.watermarks import Watermark, Watermarks
from projections import Book
from projections.risk.policies import Decision, Policies, Trigger, TriggerKind, cursors
from tests.reliability.steps import Moment, Steps

START = 1_790_000_000_000_000_000
SECOND = 1_000_000_000
LEAST = -10
# Each account's result, sale by sale: to the limit and back, or far past it.
MADE = {"A": (-4, -6, 9), "B": (-30,)}


class Order(msgspec.Struct, frozen=True):
    """When to die: `amid` a step or `after` it; after step 0 is before the first. Past the last step it lives on."""

    directory: str
    moment: Moment
    number: int
    name: str = ""


class Loss:
    """Locks an account at each sale that leaves it with -10 points or less, and requests to flatten it."""

    name = "loss"
    types: ClassVar[tuple[type[Event], ...]] = (OrderFilled,)
    quotes: ClassVar[bool] = True
    timed: ClassVar[bool] = True

    def decide(self, book: Book, trigger: Trigger) -> Iterable[Decision]:
        if isinstance(trigger.event, OrderFilled) and trigger.event.side is Side.SELL:
            made = book.positions.get(trigger.account, "ES").realized_points
            if made <= LEAST:
                request = EnforcementRequested(rule_id="loss", action=EnforcementAction.FLATTEN)
                locked = LockoutSet(rule_id="loss", reason=f"{made}")
                streams = f"lockout/{trigger.account}/loss", f"enforcement/{trigger.account}/loss"
                yield Decision(tuple(zip(streams, (locked, request), strict=True)))
        elif trigger.kind is TriggerKind.TIME:
            yield Decision(((f"lockout/{trigger.account}/daily", LockoutSet(rule_id="daily")),))


def fills(label: str, made: int) -> list[Event]:
    def fill(side: Side, price: int) -> OrderFilled:
        trade_id = f"{label}{side}"
        return OrderFilled(trade_id=trade_id, symbol="ES", side=side, quantity=Decimal(1), price=Decimal(price))

    return [fill(Side.BUY, 100), fill(Side.SELL, 100 + made)]


def live(directory: str, name: str) -> None:
    """Register the policies, trade, tick and stop."""
    clock = ManualClock(START)
    with eventstore.open(directory, clock=clock) as store, projections.open(store) as book:
        policies = Policies(book, [Loss()]).start(ticking=False)
        for number in range(max(map(len, MADE.values()))):
            for account, made in MADE.items():
                if number < len(made):
                    book.append(f"order/{account}/{name}{number}", fills(f"{name}{account}{number}", made[number]))
                    book.observe("quote/-/ES", QuoteReceived(symbol="ES", last=Decimal(1)))
            clock.advance(20 * SECOND)
            policies.tick()
        policies.stop()


class _Marks(Watermarks):
    """Files beside the journal; each change of one is a step too."""

    steps: ClassVar[Steps]

    @override
    def write(self, name: str, mark: Watermark, **how: Any) -> None:
        write = super().write
        self.steps.step(lambda: write(name, mark, **how))


def count_statements(steps: Steps) -> None:
    """Take each statement of a connection to PostgreSQL for a step."""
    execute = Connection.execute

    def counted(connection: Connection, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - those of psycopg
        answers: list[Any] = []
        steps.step(lambda: answers.append(execute(connection, *arguments, **options)))
        return answers[0]

    Connection.execute = counted  # type: ignore[assignment,method-assign]


def serve() -> None:
    """Fork a process for each line of standard input, which dies or lives to its end; print its signal or 0."""
    for line in sys.stdin:
        order = msgspec.json.decode(line, type=Order)
        child = os.fork()
        if not child:
            code = 1
            try:
                _Marks.steps = steps = Steps()
                apsw.set_default_vfs("steps")
                count_statements(steps)
                cursors.Watermarks = _Marks  # type: ignore[attr-defined]
                steps.die(order.moment, order.number)
                live(order.directory, order.name)
                code = 0
            except BaseException:  # noqa: BLE001 - any error is printed for the parent, and the fork ends here
                traceback.print_exc()
            os._exit(code)
        status = os.waitpid(child, 0)[1]
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    serve()
