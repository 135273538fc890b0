"""A plain model of which received prices still mean what they did: by definitions, names that move, and splits."""

from __future__ import annotations

from typing import Any


class RepricingModel:
    """What names of contracts mean, what was received under them, and up to when that is not a price."""

    def __init__(self) -> None:
        self.terms: dict[str, Any] = {}
        self.listed: dict[str, tuple[str, ...]] = {}
        self.aliases: dict[str, str] = {}
        self.of_name: dict[str, int] = {}
        self.of_symbol: dict[str, int] = {}
        self.received: list[tuple[str, int, Any]] = []

    def restart(self) -> None:
        self.received.clear()

    def meaning(self, name: str) -> str | None:
        return name if name in self.terms else self.aliases.get(name)

    def define(self, symbol: str, terms: Any, names: tuple[str, ...], at: int) -> None:  # noqa: ANN401 - compared only
        listed = self.listed.get(symbol, ())
        before = {name: self.meaning(name) for name in (symbol, *listed, *names)}
        if self.terms.get(symbol, terms) != terms:
            self.of_symbol[symbol] = at
        self.terms[symbol], self.listed[symbol] = terms, names
        dropped = [name for name in listed if name not in names and self.aliases.get(name) == symbol]
        self.aliases = {name: meant for name, meant in self.aliases.items() if name not in dropped}
        self.aliases |= dict.fromkeys(names, symbol)
        for name, meant in before.items():
            if meant is None and name in self.of_symbol and self.meaning(name) == symbol:
                self.of_symbol[symbol] = max(self.of_symbol.get(symbol, -1), self.of_symbol[name])
            elif meant not in {None, self.meaning(name)}:
                self.of_name[name] = at

    def split(self, name: str, at: int) -> None:
        self.of_symbol[self.meaning(name) or name] = at

    def quoted(self, name: str, at: int, price: Any) -> None:  # noqa: ANN401 - returned only
        self.received.append((name, at, price))

    def price(self, asked: str) -> Any:  # noqa: ANN401 - as it was given
        """Return the newest price of what a name means, None without one."""
        symbol = self.meaning(asked) or asked
        usable = [
            (at, price)
            for name, at, price in self.received
            if (self.meaning(name) or name) == symbol
            and at > max(self.of_name.get(name, -1), self.of_symbol.get(symbol, -1))
        ]
        return max(usable)[1] if usable else None
