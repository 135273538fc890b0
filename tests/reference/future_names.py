"""Reference: which symbol each futures contract has in a log, whatever its rows call it."""

from __future__ import annotations

LETTERS = "FGHJKMNQUVXZ"


class FutureNames:
    """The first contract of a root, month and last digit of the year has the short symbol, others the long one."""

    def __init__(self) -> None:
        self.symbols: dict[tuple[str, int, int], str] = {}

    def of(self, root: str, month: int, year: int) -> str:
        """Return the symbol of a contract, which stays once it has one."""
        contract = (root, month, year)
        short = f"{root}{LETTERS[month - 1]}{year % 10}"
        if contract not in self.symbols:
            self.symbols[contract] = f"{short[:-1]}{year}" if short in self.symbols.values() else short
        return self.symbols[contract]
