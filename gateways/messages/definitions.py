"""What a broker's definition of a contract adds to the log's: names, and what was not stated; never another worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import fields, replace

from eventstore.errors import InvalidEvent
from eventstore.streams import stream_of
from eventstore.trading import ContractDefined, Payoff

if TYPE_CHECKING:
    from gateways.messages.mapped import MappedEvent
    from projections import Book


def new_definition(book: Book, mapped: MappedEvent, contract: ContractDefined) -> MappedEvent | None:
    """Return the definition to append, None if the log has all of it; raise InvalidEvent for another worth of a point.

    A contract that the log has under another of these names keeps its own, and every member that it states.
    """
    known = _known(book, contract)
    if known is None:
        return mapped
    ours, theirs = (known.point_value, known.currency), (contract.point_value, contract.currency)
    if any(here is not None and there is not None and here != there for here, there in zip(ours, theirs, strict=True)):
        msg = (
            f"{known.symbol} is worth {ours[0]} {ours[1]} a point in this log, and {theirs[0]} {theirs[1]} by this "
            "message: append a new ContractDefined if the log is wrong"
        )
        raise InvalidEvent(msg)
    # A source that does not know payoffs says LINEAR.
    if contract.payoff is Payoff.INVERSE and known.payoff is not Payoff.INVERSE:
        msg = (
            f"{known.symbol} is a linear contract in this log, and an inverse one by this message: append a new "
            "ContractDefined if the log is wrong"
        )
        raise InvalidEvent(msg)
    names = {*known.broker_ids, *contract.broker_ids, contract.symbol} - {known.symbol}
    missing = {
        field.name: getattr(contract, field.name)
        for field in fields(contract)
        if field.default is None and getattr(known, field.name) is None
    }
    if known.point_value is not None:
        missing = {name: value for name, value in missing.items() if name != "multiplier"}
    definition = replace(known, broker_ids=tuple(sorted(names)), **missing)
    if definition == replace(known, broker_ids=tuple(sorted(known.broker_ids))):
        return None
    return replace(mapped, stream=stream_of("contract", "-", known.symbol), event=definition)


def _known(book: Book, contract: ContractDefined) -> ContractDefined | None:
    """Return the log's newest definition of a contract, by any of its names."""
    book.refresh()
    found = next(
        (each for name in (contract.symbol, *contract.broker_ids) if (each := book.contracts.find(name))), None
    )
    if found is None:
        return None
    newest = None
    for record in book.read(stream=stream_of("contract", "-", found.symbol), types=(ContractDefined,)):
        newest = record.event
    return newest if isinstance(newest, ContractDefined) else None
