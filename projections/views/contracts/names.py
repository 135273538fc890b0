"""All names of one instrument, and its root, for whatever applies to a symbol or to a root."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from projections.views.contracts.view import ContractsState

# The root of a futures symbol stands before its month letter and a year of one or two digits: ES in ESZ5.
_FUTURE = re.compile(r"(.+)[FGHJKMNQUVXZ]\d{1,2}", re.ASCII)


def names_and_root(contracts: ContractsState | None, symbol: str) -> tuple[set[str], str | None]:
    """Return the names of an instrument, given its symbol or a broker's name for it, and its root or None."""
    contract = None if contracts is None else contracts.find(symbol)
    names = {symbol} if contract is None else {contract.symbol, symbol, *contract.broker_ids}
    if contract is not None and contract.root is not None:
        return names, contract.root
    return names, root_of(symbol if contract is None else contract.symbol)


def root_of(symbol: str) -> str | None:
    """Return the root that a future's symbol contains: ES for ESZ5."""
    future = _FUTURE.fullmatch(symbol)
    return None if future is None else future[1]


def all_names(contracts: ContractsState | None, symbol: str) -> tuple[str, ...]:
    """Return all names of an instrument, the given one first, and its root last if it has one."""
    names, root = names_and_root(contracts, symbol)
    return (symbol, *sorted(names - {symbol}), *(() if root is None else (root,)))
