"""Reference: executions that several exports have, each in its own way, and what is right if each is booked once."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True)
class Fill:
    """What happened: one execution of an order, at a time in ms."""

    order: int
    number: int
    buys: bool
    quantity: int
    price: Decimal
    at: int


@dataclass(frozen=True)
class Shown:
    """An execution as an export shows it."""

    name: str
    buys: bool
    quantity: Decimal
    price: Decimal
    at: int


def each_fill(fills: list[Fill]) -> list[Shown]:
    """Return an export of executions, to the millisecond."""
    return [Shown(f"F{f.number}", f.buys, Decimal(f.quantity), f.price, f.at) for f in fills]


def each_second(fills: list[Fill]) -> list[Shown]:
    """Return an export of executions, to the second."""
    return [Shown(f"S-{f.number}", f.buys, Decimal(f.quantity), f.price, f.at // 1000 * 1000) for f in fills]


def each_order(fills: list[Fill]) -> list[Shown]:
    """Return an export of orders: average price, and the second of the last execution."""
    orders: dict[int, list[Fill]] = {}
    for fill in fills:
        orders.setdefault(fill.order, []).append(fill)
    shown = []
    for number, parts in orders.items():
        quantity = sum(part.quantity for part in parts)
        money = sum((part.quantity * part.price for part in parts), Decimal(0))
        price = round(money / quantity, 9)
        last = max(part.at for part in parts) // 1000 * 1000
        shown.append(Shown(f"O:{number}", parts[0].buys, Decimal(quantity), price, last))
    return shown


def totals(shown: list[Shown]) -> tuple[Decimal, Decimal]:
    """Return what is held, and the money that was paid for it to the cent."""
    signed = [(each.quantity if each.buys else -each.quantity, each.price) for each in shown]
    return sum((q for q, _ in signed), Decimal(0)), round(sum((q * p for q, p in signed), Decimal(0)), 2)
