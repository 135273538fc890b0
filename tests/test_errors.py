"""Every error and warning survives pickle and copy, with its message and all its members."""

from __future__ import annotations

import copy
import importlib
import inspect
import pickle  # noqa: TID251 - errors cross processes by it, and these bytes are this test's own
import pkgutil
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import eventstore
import gateways
import projections
from eventstore import (
    MIRRORED,
    CorruptJournal,
    DuplicateEvent,
    Gap,
    InvalidEvent,
    NotReplicated,
    OutcomeUnknown,
    Record,
    StoreError,
    UnknownContract,
    VersionConflict,
)
from gateways.importers.values import Question

RECORD = Record(
    bytes(16), "note/-/1", "tested.Noted", 1, 5, b"{}", "me", "", None, None, 7, 1, 9, bytes(32), "main"
)  # fmt: skip
# What a constructor's parameter is given, by its annotation.
EXAMPLES = {
    "str": "it's\N{SNOWMAN}",
    "str | None": "x",
    "int": 7,
    "int | None": 7,
    "Decimal": Decimal("6000.25"),
    "float": 0.5,
    "bool": True,
    "bytes": bytes(range(16)),
    "BaseException": ValueError("inside"),
    "Record": RECORD,
    "Record | None": RECORD,
    "Durability": MIRRORED,
    "Sequence[bytes]": (bytes(16), bytes(range(16))),
    "Sequence[str]": ("A", "B"),
    "Sequence[Record]": (RECORD,),
    "Sequence[Question]": (Question("time.zone", "the times have no zone", ("09:00",), ("UTC",)),),
    "tuple[int, str, str]": (2, "Time", "09:00"),
    "Path": Path("state.json"),
    "object": {"id": 1},
}


def import_everything() -> None:
    for package in (eventstore, projections, gateways):
        for info in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if not info.name.endswith("__main__"):
                importlib.import_module(info.name)


def subclasses(base: type[Any]) -> Iterator[type[Any]]:
    for cls in type.__subclasses__(base):
        yield cls
        yield from subclasses(cls)


def ours() -> list[type[Any]]:
    import_everything()
    packages = {"eventstore", "projections", "gateways"}
    found: set[type[Any]] = {StoreError, *subclasses(StoreError), *subclasses(Warning)}
    return sorted((cls for cls in found if cls.__module__.partition(".")[0] in packages), key=lambda cls: cls.__name__)


def example_of(cls: type[Any]) -> Any:  # noqa: ANN401 - any error
    arguments: list[Any] = []
    named: dict[str, Any] = {}
    # Of the class itself Python knows no signature where the constructor is a built-in exception's.
    for parameter in list(inspect.signature(cls.__init__).parameters.values())[1:]:
        if parameter.kind is parameter.VAR_POSITIONAL:
            arguments.append("what happened")
        elif parameter.kind is not parameter.VAR_KEYWORD:
            annotation = parameter.annotation
            written = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
            assert written in EXAMPLES, f"{cls.__name__}.{parameter.name}: add an example of {written} to EXAMPLES"
            value = EXAMPLES[written]
            if parameter.kind is parameter.KEYWORD_ONLY:
                named[parameter.name] = value
            else:
                arguments.append(value)
    error = cls(*arguments, **named)
    error.remembered = ["a member set later"]
    return error


def through_pickle(error: Any) -> Any:  # noqa: ANN401 - any error
    return pickle.loads(pickle.dumps(error))  # noqa: S301 - the bytes of the line itself


WAYS = [through_pickle, copy.copy, copy.deepcopy]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("cls", ours(), ids=lambda cls: cls.__name__)
def test_an_error_arrives_whole(cls: type[Any], way: Callable[[Any], Any]) -> None:
    error = example_of(cls)
    arrived = way(error)
    assert type(arrived) is cls
    assert str(arrived) == str(error)
    assert repr(arrived) == repr(error)
    assert {name: repr(value) for name, value in vars(arrived).items()} == {
        name: repr(value) for name, value in vars(error).items()
    }


def test_the_public_errors_are_among_them() -> None:
    names = {cls.__name__ for cls in ours()}
    public = {name for name in eventstore.__all__ if issubclass_of_error(getattr(eventstore, name))}
    assert public <= names
    assert {"PartitionParked", "BadRow", "SnapshotWarning", "MissingInput"} <= names


def issubclass_of_error(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, StoreError)


def test_an_error_of_ones_own_needs_nothing_for_it() -> None:
    arrived = through_pickle(Mine("desk", limit=5))
    assert (str(arrived), arrived.desk, arrived.limit) == ("desk has 5", "desk", 5)


class Mine(InvalidEvent):
    def __init__(self, desk: str, *, limit: int) -> None:
        self.desk, self.limit = desk, limit
        super().__init__(f"{desk} has {limit}")


def test_a_note_travels_with_its_error() -> None:
    error = VersionConflict("order/A/1", 1, 2)
    error.add_note("while importing")
    assert through_pickle(error).__notes__ == ["while importing"]
    assert through_pickle(OutcomeUnknown([bytes(16)], "a sync failed")).ids == (bytes(16),)


def test_the_public_errors_take_what_they_are_about_alone() -> None:
    """As a program's own tests make them, of a store that they stand in for."""
    ids = (bytes(16), bytes(range(16)))
    for error in (OutcomeUnknown(ids), NotReplicated(ids)):
        assert error.ids == ids
        assert "2 event(s)" in str(error)
        assert "None" not in str(error)
    corrupt = CorruptJournal(7)
    assert (corrupt.position, str(corrupt).startswith("position 7: ")) == (7, True)
    gap = Gap("main", 3, 9)
    assert (gap.log, gap.after, gap.found) == ("main", 3, 9)
    assert DuplicateEvent(ids[0], RECORD).record is RECORD
    assert UnknownContract("ESZ5").symbol == "ESZ5"
