"""What the positions of a state say is held, by symbol: only where nothing about it is open.

It is reported beside the fills, as a broker's word is, and never becomes a fill: where it differs from them, new
exposure is rejected until somebody has reconciled it. So one position that is not clear leaves out its whole symbol.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from eventstore.streams import ENTITY_BYTES_MAX
from projections.decimals import EXACTLY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_LONG, _SHORT = frozenset({"long", "buy", "b"}), frozenset({"short", "sell", "s"})
_SIDES = ("direction", "side", "position_side", "type")
_FIGURE_MAX = Decimal("1e100")


class StatedHolding(NamedTuple):
    """What a position says of a symbol: a signed quantity, or why none can be said."""

    symbol: str
    quantity: Decimal | None
    why: str = ""


def holdings(positions: Mapping[str, Any]) -> tuple[dict[str, Decimal], dict[str, str]]:
    """Return the quantity of each symbol over all positions, and for each symbol without one the reason."""
    found: dict[str, Decimal] = {}
    unclear: dict[str, str] = {}
    for pair, position in positions.items():
        for holding in _of(position):
            if holding.quantity is None:
                unclear.setdefault(holding.symbol, f"position {pair}: {holding.why}")
            else:
                found[holding.symbol] = EXACTLY.add(found.get(holding.symbol, Decimal(0)), holding.quantity)
    return {symbol: quantity for symbol, quantity in found.items() if symbol not in unclear}, unclear


def _of(position: object) -> Iterator[StatedHolding]:
    if not isinstance(position, dict):
        return
    symbol = position.get("symbol")
    if isinstance(symbol, str) and _is_symbol(symbol):
        yield StatedHolding(symbol, *_signed(position, "quantity", _SIDES))
    for leg in ("1", "2"):
        symbol = position.get(f"symbol{leg}")
        if isinstance(symbol, str) and _is_symbol(symbol):
            quantity, why = _signed(position, f"volume{leg}", (f"order{leg}_type",), needs_side=True)
            yield StatedHolding(symbol, quantity, why)


def _is_symbol(symbol: str) -> bool:
    if not symbol.strip() or not symbol.isprintable():
        return False
    return len(symbol.replace("/", "%2F").encode("utf-8", "replace")) <= ENTITY_BYTES_MAX


def _signed(
    position: Mapping[str, Any], member: str, sides: tuple[str, ...], *, needs_side: bool = False
) -> tuple[Decimal | None, str]:
    """Return a quantity with its sign, or None and why: the words of its side and its sign must agree."""
    quantity = _number(position.get(member))
    if quantity is None:
        return None, f"its {member} is missing or not a number"
    words = {position[name].strip().lower() for name in sides if isinstance(position.get(name), str)}
    signs = {1 if word in _LONG else -1 for word in words if word in _LONG | _SHORT}
    unknown = sorted(words - _LONG - _SHORT)
    if unknown and not signs:
        return None, f"its side is {unknown[0]!r:.40}, which is neither long nor short"
    if len(signs) > 1:
        return None, f"{' and '.join(sides)} contradict one another"
    if not signs:
        return (None, f"{sides[0]} is missing, so its side is unknown") if needs_side else (quantity, "")
    (sign,) = signs
    if quantity < 0 and sign > 0:
        return None, f"it is long, and its {member} is below zero"
    return quantity.copy_abs() * sign, ""


def _number(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    return number if number.is_finite() and abs(number) < _FIGURE_MAX else None
