"""Reference: numbers as people write them, and what a text means in each way of writing."""

from __future__ import annotations

from decimal import Decimal

WAYS = [(decimal, thousands) for decimal in ".," for thousands in ("", ".", ",", " ", "'") if decimal != thousands]


def written(value: Decimal, way: tuple[str, str]) -> str:
    """Return a number in a way of writing, with as many decimals as it has."""
    decimal, thousands = way
    sign, text = ("-", str(-value)) if value < 0 else ("", str(value))
    whole, _, fraction = text.partition(".")
    groups: list[str] = []
    while whole:
        groups.insert(0, whole[-3:])
        whole = whole[:-3]
    grouped = thousands.join(groups)
    return f"{sign}{grouped}{decimal}{fraction}" if fraction else f"{sign}{grouped}"


def written_32nds(value: Decimal) -> str:
    """Return a price in eighths of 32nds, the third digit cut off as exchanges do."""
    whole = int(value)
    eighths = int((value - whole) * 256)
    return f"{whole}'{eighths // 8:02}{'01235678'[eighths % 8] if eighths % 8 else ''}"


def read(text: str, way: tuple[str, str]) -> Decimal | None:
    """Return what a text without signs means in a way of writing; None if it means nothing."""
    decimal, thousands = way
    whole, point, fraction = text.partition(decimal)
    groups = whole.split(thousands) if thousands else [whole]
    if not all(group.isdigit() for group in groups) or (point and not fraction.isdigit()):
        return None
    if len(groups) > 1 and (groups[0][0] == "0" or len(groups[0]) > 3 or any(len(group) != 3 for group in groups[1:])):
        return None
    return Decimal(f"{''.join(groups)}.{fraction or 0}")


def read_32nds(text: str) -> Decimal | None:
    """Return what a text without signs means as a price in 32nds; None if it means nothing."""
    whole, point, rest = text.partition("'")
    if not point:
        return read(text, (".", ""))
    if not (whole.isdigit() and rest.isdigit() and len(rest) in {2, 3} and int(rest[:2]) < 32):
        return None
    eighths = "01235678".find(rest[2:]) if rest[2:] else 0
    return None if eighths < 0 else int(whole) + Decimal(int(rest[:2]) * 8 + eighths) / 256


def readings(texts: list[str]) -> set[tuple[Decimal, ...]]:
    """Return what a column may mean: the numbers by each way in which all of it can be read."""
    found = [[read(text, way) for text in texts] for way in WAYS]
    found.append([read_32nds(text) for text in texts])
    return {tuple(number for number in column if number is not None) for column in found if None not in column}
