"""Definitions of contracts by a broker: none changes what a point is worth, or takes a name of another contract."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from eventstore import Batch, EventStore
from eventstore.trading import ContractDefined, NoteAdded
from gateways.messages import Recorder
from gateways.messages.projectx import ProjectX
from projections import Book
from tests.messages.projectx_messages import CONTRACT_ID, answer, contract, trade

D = Decimal


def defined(**members: object) -> dict[str, Any]:
    """Return a definition of a contract that the log does not have."""
    return contract(**({"id": "CON.F.US.MBT.Z26", "name": "MBTZ6", "tickSize": 5, "tickValue": 0.5} | members))


def searched(*contracts: object) -> dict[str, Any]:
    return answer("Contract/search", contracts=list(contracts))


def worth(book: Book, name: str) -> Decimal | None:
    found = book.contracts.find(name)
    return None if found is None else found.multiplier


def notes(book: Book) -> list[str]:
    return [each.event.text for each in book.read(types=(NoteAdded,))]  # type: ignore[attr-defined]


def test_a_contract_that_is_defined_twice_in_one_answer_keeps_the_first_worth(recorder: Recorder, book: Book) -> None:
    recorder.record(searched(defined(name="AAAZ6"), trade(), defined(name="AAAZ6", tickValue=0.0005)))
    assert worth(book, "AAAZ6") == D("0.1")
    assert "AAAZ6 is worth 0.1 USD a point in this log" in notes(book)[-1]
    # By another of its names as well.
    recorder.record(searched(defined(id="X", name="BBBZ6"), defined(id="X", name="CCCZ6", tickValue=5)))
    assert worth(book, "X") == D("0.1")


@pytest.mark.parametrize(("id_", "name"), [("CON.ESZ6", "MNQZ6"), ("ESZ6", "MNQZ6"), (CONTRACT_ID, "CON.ESZ6")])
def test_a_name_of_another_contract_is_not_taken(recorder: Recorder, book: Book, id_: str, name: str) -> None:
    es = ContractDefined(symbol="ESZ6", multiplier=D(50), currency="USD", broker_ids=("CON.ESZ6",))
    book.append("contract/-/ESZ6", es)
    recorder.record(searched(contract(id=id_, name=name)))
    assert (worth(book, "CON.ESZ6"), worth(book, "ESZ6"), worth(book, CONTRACT_ID)) == (D(50), D(50), D(2))
    assert "are names of ESZ6 and MNQZ6 in this log" in notes(book)[-1]


@pytest.mark.parametrize(("tick_size", "tick_value"), [(5, 5e-9), (5, 5e9), (5e-9, 0.05), (0.5, 0.5 * 1.01)])
def test_a_listed_future_that_is_worth_something_else_is_not_defined(
    recorder: Recorder, book: Book, tick_size: float, tick_value: float
) -> None:
    recorder.record(searched(defined(tickSize=tick_size, tickValue=tick_value)))
    assert book.contracts.find("MBTZ6") is None
    assert "and a future of MBT 0.1: append ContractDefined" in notes(book)[-1]


@pytest.mark.parametrize("members", [{}, {"tickSize": 1, "tickValue": 0.1}, {"tickSize": 500}])
def test_a_listed_future_may_be_stated_in_cents_or_by_another_tick(
    recorder: Recorder, book: Book, members: dict[str, object]
) -> None:
    recorder.record(searched(defined(**members)))
    assert book.contracts.find("MBTZ6") is not None


def test_a_listed_worth_also_counts_where_the_log_has_none(recorder: Recorder, book: Book) -> None:
    book.append("contract/-/MBTZ6", ContractDefined(symbol="MBTZ6", currency="USD"))
    recorder.record(searched(defined(tickValue=5e-9)))
    assert worth(book, "MBTZ6") is None
    recorder.record(searched(defined()))
    found = book.contracts.get("MBTZ6")
    assert found is not None
    assert found.multiplier == D("0.1")


def test_what_another_process_defines_in_between_is_compared_too(
    book: Book, store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = book.append_many
    other = [ContractDefined(symbol="AAAZ6", multiplier=D(7), currency="USD")]

    def append_many(batches: list[Batch], **options: Any) -> Any:  # noqa: ANN401
        if other:
            store.append("contract/-/AAAZ6", other.pop())
        return append(batches, **options)

    monkeypatch.setattr(book, "append_many", append_many)
    Recorder(book, ProjectX()).record(searched(defined(name="AAAZ6")))
    assert worth(book, "AAAZ6") == D(7)
    assert "AAAZ6 is worth 7 USD a point in this log" in notes(book)[-1]
