"""An instant is recognised by its type, in structs and in events' data, never by a member's name."""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

import eventstore
import gateways
import projections
from eventstore import Event, Instant, Record
from eventstore.readable import annotations_of
from eventstore.trading import LockoutSet, OrderFilled, Side
from gateways.presenting.documents import plain, readable_data
from projections.views.quotes import Quote

AT = 1_763_568_000_000_000_000
TEXT = "2025-11-19T16:00:00.000000000Z"


class Leg(msgspec.Struct):
    """A part of an event."""

    opened_at: Instant
    until: int
    price: Decimal


@eventstore.event(schema=1)
class LegsPlanned(Event, frozen=True):
    """An event of another's own."""

    legs: tuple[Leg, ...] = ()
    by_name: Mapping[str, Leg] = msgspec.field(default_factory=dict)
    moments: Sequence[Instant] = ()
    quoted_at: Instant | None = None
    at: int = 0
    anything: Any = None


class Named(NamedTuple):
    """A tuple with names."""

    when: Instant
    at: int


def test_a_struct_s_instants_are_known_by_their_type() -> None:
    planned = LegsPlanned(legs=(Leg(AT, 7, Decimal(1)),), by_name={"at": Leg(AT, 7, Decimal(2))}, moments=[AT], at=7)
    shown = plain(planned)
    assert shown["legs"] == [{"opened_at": TEXT, "until": 7, "price": "1"}]
    assert shown["by_name"]["at"]["opened_at"] == TEXT
    assert (shown["moments"], shown["quoted_at"], shown["at"]) == ([TEXT], None, 7)
    assert plain(Named(AT, AT)) == {"when": TEXT, "at": AT}


def test_an_id_is_a_uuid_and_other_bytes_are_hexadecimal() -> None:
    assert plain([bytes(16), b"\xff", date(2025, 11, 19), Side.BUY, True]) == [
        *("00000000-0000-0000-0000-000000000000", "ff", "2025-11-19", "BUY", True),
    ]


def test_every_instant_of_a_quote_is_a_time() -> None:
    names = [name for name in Quote.__struct_fields__ if name.endswith("_at")]
    assert len(names) > 3
    members: dict[str, Any] = {name: AT if name.endswith("_at") else None for name in Quote.__struct_fields__}
    quote = Quote(**members)
    shown = plain(quote)
    assert {shown[name] for name in names} == {TEXT}


@pytest.fixture
def recorded(tmp_path: Path) -> Iterator[Callable[[Event], Record]]:
    with eventstore.open(tmp_path) as store:
        streams = {"LockoutSet": "lockout/A/r", "OrderFilled": "order/A/1"}
        yield lambda event: store.append(streams.get(type(event).__name__, "plan/A/1"), event)[0]


def shown(record: Record) -> Any:  # noqa: ANN401 - any JSON
    return json.loads(readable_data(record, lambda at: f"<{at}>"))


def test_the_instants_of_data_are_shown_as_times_and_nothing_else_changes(recorded: Callable[[Event], Record]) -> None:
    record = recorded(LockoutSet(rule_id="r", until=AT, details={"until": AT}))
    assert shown(record) == json.loads(record.data) | {"until": f"<{AT}>"}
    planned = LegsPlanned(
        legs=(Leg(AT, 7, Decimal(1)),),
        by_name={"x": Leg(AT + 8, 9, Decimal(2))},
        moments=[AT],
        at=AT,
        anything={"at": AT},
    )
    record = recorded(planned)
    assert shown(record) == {
        "legs": [{"opened_at": f"<{AT}>", "until": 7, "price": "1"}],
        "by_name": {"x": {"opened_at": f"<{AT + 8}>", "until": 9, "price": "2"}},
        "moments": [f"<{AT}>"],
        "at": AT,
        "anything": {"at": AT},
    }


def test_figures_of_data_are_shown_without_powers_of_ten(recorded: Callable[[Event], Record]) -> None:
    fill = OrderFilled(trade_id="1E+2", symbol="X", side=Side.BUY, quantity=Decimal("5E+1"), price=Decimal("1.50"))
    assert shown(recorded(fill)) == {
        "trade_id": "1E+2",
        "symbol": "X",
        "side": "BUY",
        "quantity": "50",
        "price": "1.50",
    }


def test_data_that_is_not_json_is_shown_as_it_is(recorded: Callable[[Event], Record]) -> None:
    record = msgspec.structs.replace(recorded(LockoutSet(rule_id="r", until=AT)), data=b'{"until":17')
    assert readable_data(record, str) == '{"until":17'
    foreign = msgspec.structs.replace(record, type="NobodyKnows", data=b'{"until":17}')
    assert readable_data(foreign, str) == '{"until":17}'


def test_a_document_s_times_are_in_the_zone_asked_for() -> None:
    assert plain(Leg(AT, 1, Decimal(1)), UTC)["opened_at"] == TEXT


def structs() -> list[type[msgspec.Struct]]:
    """Return every struct of the project."""
    for package in (eventstore, projections, gateways):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    found, waiting = [], [msgspec.Struct]
    while waiting:
        waiting += (subclasses := waiting.pop().__subclasses__())
        found += [
            each for each in subclasses if each.__module__.split(".")[0] in {"eventstore", "projections", "gateways"}
        ]
    return found


def test_every_struct_s_annotations_can_be_read() -> None:
    assert len([annotations_of(cls) for cls in structs()]) > 100


def test_whatever_a_view_calls_an_instant_is_one_by_its_type() -> None:
    """A member that is named like a time and is a mere number would be shown as nineteen digits."""
    wrong = []
    for cls in [each for each in structs() if each.__module__.startswith(("projections.views", "eventstore.trading"))]:
        for name, hint in annotations_of(cls).items():
            is_number = hint in {int, int | None}
            if is_number and (name.endswith("_at") or name in {"at", "until"}):
                wrong.append(f"{cls.__module__}.{cls.__qualname__}.{name}")
    assert sorted(set(wrong)) == []
