"""What is passed on to `append` is typed: a misspelt argument fails in mypy --strict, and when it is called."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import projections
from eventstore import Batch, EventStore, trading
from eventstore.batch import AppendOptions, EnqueueOptions
from eventstore.journals.memory import MemoryJournal
from eventstore.reader import FollowOptions, ReadOptions
from projections import Book
from projections.opening import OpenOptions
from projections.risk.submitting import SubmitOptions

ROOT = Path(__file__).resolve().parent.parent
EVENT = trading.PositionAdjusted(symbol="ESZ5", quantity=Decimal(1), reason=trading.AdjustmentReason.OPENING)
STREAM = "position/ACC1/ESZ5"
# Each line of a caller, and what mypy says of it: nothing, or a part of its message.
CALLS = {
    "book.append(s, e, expected=3, key='k', occurred_at=1, durability=MIRRORED, actor='a', note='n')": "",
    "book.append(s, e, correlation_id=bytes(16), causation_id=None)": "",
    "book.append(s, e, expcted=3)": 'Unexpected keyword argument "expcted" for "append" of "Book"',
    "book.append(s, e, expected='three')": 'Argument "expected" to "append" of "Book" has incompatible type "str"',
    "book.append(s, e, unchanged=Unchanged(accounts=['A', '-'], since=book.position))": "",
    "book.append(s, e, unchanged=3)": 'Argument "unchanged" to "append" of "Book" has incompatible type "int"',
    "book.append_many([Batch(s, e)], durability=MIRRORED, unchanged=Unchanged(since=3))": "",
    "book.append_many([Batch(s, e)], durabilty=MIRRORED)": 'Unexpected keyword argument "durabilty"',
    "book.append_many([PreparedBatch(s, [])])": 'List item 0 has incompatible type "PreparedBatch"',
    "views_book.append(s, e, actor='a')": "",
    "views_book.append(s, e, actr='a')": 'Unexpected keyword argument "actr" for "append" of "BookReader"',
    "store.append(s, e, expcted=3)": 'Unexpected keyword argument "expcted" for "append" of "EventStore"',
    "store.enqueue(s, e, durability=MIRRORED)": 'Unexpected keyword argument "durability" for "enqueue"',
    "await aio_store.append(s, e, expected=3, key='k', durability=MIRRORED, unchanged=Unchanged(since=3))": "",
    "await aio_store.append(s, e, expcted=3)": 'argument "expcted" for "append" of "AsyncEventStore"',
    "await aio_store.append_many([Batch(s, e)], durabilty=MIRRORED)": 'Unexpected keyword argument "durabilty"',
    "await (await aio_store.enqueue(s, e, key='k'))": "",
    "await aio_store.enqueue(s, e, durability=MIRRORED)": 'Unexpected keyword argument "durability" for "enqueue"',
    "[record.position async for record in aio_store.read(after=3, stream=s, limit=7)]": "",
    "aio_store.read(aftr=3)": 'Unexpected keyword argument "aftr" for "read" of "AsyncEventStore"',
    "aio_store.follow(limit=3)": 'Unexpected keyword argument "limit" for "follow" of "AsyncEventStore"',
    "aio_store.append(s, e)": "must be used",
    "await aio_book.append(s, e, expected=3)": "",
    "await aio_book.append(s, e, expcted=3)": 'Unexpected keyword argument "expcted" for "append" of "AsyncBook"',
    "(await aio_book.submit('A', 'O-1', order, 1, key='k')).answer.passed": "",
    "await aio_book.submit('A', 'O-1', order, 1, kee='k')": 'Unexpected keyword argument "kee" for "submit"',
    "projections.aio.open(aio_store, acounts=['A'])": 'Unexpected keyword argument "acounts" for "open"',
    "reader.append(s, e)": '"EventReader" has no attribute "append"',
}
HEAD = """\
from eventstore import MIRRORED, Batch, Event, EventReader, EventStore, Unchanged
from eventstore.record import PreparedBatch
import projections.aio
from eventstore.aio import AsyncEventStore
from eventstore.trading import OrderSubmitted
from projections import Book
from projections.aio import AsyncBook
from projections.view import BookReader


async def calls(
    book: Book, views_book: BookReader, store: EventStore, reader: EventReader, s: str, e: Event,
    aio_store: AsyncEventStore, aio_book: AsyncBook, order: OrderSubmitted,
) -> None:
"""


@pytest.mark.slow
@pytest.mark.untraced
def test_mypy_refuses_a_misspelt_argument_of_an_append(tmp_path: Path) -> None:
    caller = tmp_path / "caller.py"
    caller.write_text(HEAD + "".join(f"    {call}\n" for call in CALLS))
    command = [sys.executable, "-m", "mypy", "--strict", "--hide-error-context", "--no-pretty", str(caller)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    first = HEAD.count("\n") + 1
    found = [line for line in done.stdout.splitlines() if ": error: " in line]
    refused = {number: message for number, message in enumerate(CALLS.values(), first) if message}
    assert [int(line.split(":")[1]) for line in found] == list(refused), done.stdout
    for line, message in zip(found, refused.values(), strict=True):
        assert message in line


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        ("append", {"expcted": 3}),
        ("append", {"expected": 0, "actr": "me"}),
        ("append_many", {"durabilty": 3}),
        ("append_many", {"key": "k"}),
    ],
)
def test_a_misspelt_argument_of_a_book_is_refused_and_nothing_written(verb: str, arguments: dict[str, Any]) -> None:
    with EventStore(MemoryJournal()) as store, projections.open(store) as book:
        given = (STREAM, EVENT) if verb == "append" else ([Batch(STREAM, EVENT)],)
        with pytest.raises(TypeError, match=f"unexpected keyword argument '{next(reversed(arguments))}'"):
            getattr(book, verb)(*given, **arguments)
        assert (store.head(), book.position) == (0, 0)


def test_the_options_that_are_passed_on_are_those_of_the_store() -> None:
    parameters = inspect.signature(EventStore.append, eval_str=False).parameters.values()
    options = [parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
    assert list(AppendOptions.__annotations__) == options
    batch = [name for name in Batch.__struct_fields__ if name not in {"stream", "events"}]
    assert batch == [name for name in options if name not in {"durability", "unchanged"}]
    assert inspect.signature(Book.append).parameters["options"].annotation == "Unpack[AppendOptions]"


@pytest.mark.parametrize(
    ("options", "function", "left_out"),
    [
        (EnqueueOptions, EventStore.enqueue, set()),
        (ReadOptions, EventStore.read, set()),
        (FollowOptions, EventStore.follow, {"cancel"}),
        (OpenOptions, projections.open, set()),
        (SubmitOptions, projections.risk.submit, set()),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_the_options_of_asyncio_programs_are_those_of_all(
    options: type[object], function: Callable[..., object], left_out: set[str]
) -> None:
    parameters = inspect.signature(function, eval_str=False).parameters.values()
    names = {parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY}
    assert set(options.__annotations__) == names - left_out
