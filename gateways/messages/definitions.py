"""What a broker's definition of a contract adds to the log's: names, and what was not stated; never another worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import fields, replace

from eventstore.errors import InvalidEvent
from eventstore.streams import stream_of
from eventstore.trading import Asset, ContractDefined, Payoff
from gateways.importers.contracts import builtin_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gateways.messages.mapped import MappedEvent
    from projections import Book


def new_definition(book: Book, mapped: MappedEvent, contract: ContractDefined) -> MappedEvent | None:
    """Return the definition to append, None if the log has all of it.

    Raises InvalidEvent for another worth of a point than in the log or, for a new one, in the table of futures; and for
    names of two contracts. A contract that the log has under another of these names keeps its own, and every member
    that it states.
    """
    known = _known(book, contract)
    if known is None:
        _check_listed(contract)
        return mapped
    if known.point_value is None:
        _check_listed(contract)
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


def parts_defined(events: Iterable[MappedEvent]) -> Iterator[list[MappedEvent]]:
    """Yield events in parts of which none defines a contract twice: each definition is compared with what is known."""
    part: list[MappedEvent] = []
    defined: set[str] = set()
    for each in events:
        if isinstance(each.event, ContractDefined):
            names = set(_names(each.event))
            if names & defined:
                yield part
                part, defined = [], set()
            defined |= names
        part.append(each)
    yield part


def _check_listed(contract: ContractDefined) -> None:
    """Raise InvalidEvent for a future whose root is in the table of futures, and is worth something else there.

    A source may state prices in another unit, such as cents: then a tick is worth the same.
    """
    table = builtin_table()
    listed = None if contract.root is None else table.entry(table.root(contract.root))
    if listed is None or contract.asset is not Asset.FUTURE or contract.currency != listed.currency:
        return
    if contract.exchange not in {None, listed.exchange}:
        return
    future = listed.defined(contract.symbol, contract.symbol)
    is_worth_it = contract.point_value == future.point_value or contract.tick_value == future.tick_value
    if contract.point_value is not None and not is_worth_it:
        msg = (
            f"{contract.symbol} is worth {contract.point_value} {contract.currency} a point by this message, and a "
            f"future of {contract.root} {future.point_value}: append ContractDefined with what is right"
        )
        raise InvalidEvent(msg)


def _names(contract: ContractDefined) -> tuple[str, ...]:
    return contract.symbol, *contract.broker_ids


def _known(book: Book, contract: ContractDefined) -> ContractDefined | None:
    """Return the log's newest definition of a contract, by any of its names; raise InvalidEvent if two have them."""
    book.refresh()
    known = {each.symbol: each for name in _names(contract) if (each := book.contracts.find(name)) is not None}
    if not known:
        return None
    if len(known) > 1:
        msg = (
            f"{', '.join(_names(contract))} are names of {' and '.join(sorted(known))} in this log, and of one "
            "contract by this message: append a new ContractDefined if the log is wrong"
        )
        raise InvalidEvent(msg)
    (found,) = known.values()
    newest = None
    for record in book.read(stream=stream_of("contract", "-", found.symbol), types=(ContractDefined,)):
        newest = record.event
    return newest if isinstance(newest, ContractDefined) else None
