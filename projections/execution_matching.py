"""Which executions of two sources are the same: one by one, several at one price, or several at their average price."""

from __future__ import annotations

import itertools
import re
from bisect import bisect_left
from collections import defaultdict
from decimal import Decimal, localcontext
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from eventstore.clock import NANOSECONDS
from projections.decimals import FIXED, ZERO

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

WINDOW_NS = 86_400 * NANOSECONDS
"""How long the executions that one average price is of may last."""
RUN_MAX = 500
SUBSET_MAX = 12
# How far an average price may be off: half of its last digit, which was rounded, but no more than these.
_ROUNDING_MAX, _RELATIVE_MAX = Decimal("0.005"), Decimal("1e-6")

_DIGITS = re.compile(r"\d+", re.ASCII)
_HEXADECIMAL = re.compile(r"[0-9a-fA-F-]{16,}", re.ASCII)

Origin = TypeVar("Origin")
F = TypeVar("F")
K = TypeVar("K")


class ComparedExecution(NamedTuple, Generic[Origin]):
    """An execution of one source; `number` is its own in the source, `origin` what it was read from."""

    number: int
    at: int
    quantity: Decimal
    price: Decimal
    trade_id: str
    origin: Origin

    @property
    def second(self) -> int:
        """Its second since 1970."""
        return self.at // NANOSECONDS

    @property
    def nearest_second(self) -> int:
        """The same, rounded, as some exports do."""
        return (self.at + NANOSECONDS // 2) // NANOSECONDS

    def is_in_second_of(self, other: ComparedExecution[Any]) -> bool:
        """Return whether the times may be the same, one of them cut off or rounded to the second."""
        if self.second == other.second:
            return True
        is_whole = self.at % NANOSECONDS == 0 or other.at % NANOSECONDS == 0
        return is_whole and self.nearest_second == other.nearest_second


class Match(NamedTuple, Generic[F, K]):
    """Executions of a file and those of the log that are the same."""

    fresh: tuple[ComparedExecution[F], ...]
    known: tuple[ComparedExecution[K], ...]


class _Left(Generic[Origin]):
    """The executions of a source that are not matched yet, in order of time."""

    def __init__(self, executions: Iterable[ComparedExecution[Origin]]) -> None:
        self._all = sorted(executions, key=attrgetter("at", "number"))
        self._numbers = {each.number for each in self._all}

    def __iter__(self) -> Iterator[ComparedExecution[Origin]]:
        return (each for each in self._all if each.number in self._numbers)

    def take(self, executions: Iterable[ComparedExecution[Origin]]) -> None:
        """Take out executions that are matched."""
        self._numbers.difference_update(each.number for each in executions)

    def tidy(self) -> None:
        """Drop what was taken, so that what follows does not pass over it again and again."""
        self._all = list(self)

    def in_second_of(self, other: ComparedExecution[Any]) -> Iterator[tuple[int, ComparedExecution[Origin]]]:
        """Yield those of the second of another execution, each with its index."""
        index = bisect_left(self._all, other.at - NANOSECONDS, key=attrgetter("at"))
        for number, each in enumerate(itertools.islice(self._all, index, None), index):
            if each.at > other.at + NANOSECONDS:
                return
            if each.number in self._numbers and each.is_in_second_of(other):
                yield number, each

    def run(self, index: int, step: int) -> Iterator[ComparedExecution[Origin]]:
        """Yield those from an index on, forwards or backwards."""
        while 0 <= index < len(self._all):
            if self._all[index].number in self._numbers:
                yield self._all[index]
            index += step


def compared(
    fresh: Iterable[ComparedExecution[F]], known: Iterable[ComparedExecution[K]]
) -> tuple[list[Match[F, K]], list[tuple[ComparedExecution[F], ComparedExecution[K]]]]:
    """Compare executions of one account, contract and side; return those that are the same, and the doubtful ones.

    Doubtful is one of the file that happened in the same second as one of the log that is not the same as any: the two
    may have parts in common, or nothing.
    """
    fresh_left, known_left = _Left(fresh), _Left(known)
    matches: list[Match[F, K]] = []
    with localcontext(FIXED):
        for match in _steps(fresh_left, known_left):
            fresh_left.take(match.fresh)
            known_left.take(match.known)
            matches.append(match)
    left = {each.second: each for each in known_left}
    return matches, [(each, left[each.second]) for each in fresh_left if each.second in left]


def kind_of_id(trade_id: str) -> str:
    """Return what ids of one kind have in common: what stands before the first digit, if that says anything."""
    if _HEXADECIMAL.fullmatch(trade_id):
        return "hexadecimal"
    return _DIGITS.split(trade_id, maxsplit=1)[0][:8]


def is_average(price: Decimal, parts: Sequence[tuple[Decimal, Decimal]]) -> bool:
    """Return whether a price is the average of quantities at prices, as far as its digits say it."""
    money = sum((quantity * each for quantity, each in parts), ZERO)
    exponent = price.as_tuple().exponent
    assert isinstance(exponent, int), price  # a price is finite
    tolerance = min(Decimal((0, (5,), exponent - 1)), _ROUNDING_MAX, abs(price) * _RELATIVE_MAX)
    return abs(money / sum((quantity for quantity, _ in parts), ZERO) - price) <= tolerance


def _steps(fresh: _Left[F], known: _Left[K]) -> Iterator[Match[F, K]]:
    """Yield matches, the most certain first; the caller takes each out of both before it asks for the next."""
    yield from _equals(fresh, known, "second")
    yield from _equals(fresh, known, "nearest_second")
    yield from _sums(fresh, known)
    yield from _averages(fresh, known)
    yield from _parts(fresh, known)


def _averages(fresh: _Left[F], known: _Left[K]) -> Iterator[Match[F, K]]:
    """Yield one execution and those of which it is the average."""
    fresh.tidy()
    known.tidy()
    for one in list(fresh):
        if run := _run_of(one, known):
            yield Match((one,), tuple(run))
    for another in list(known):
        if parts := _run_of(another, fresh):
            yield Match(tuple(parts), (another,))


def _equals(fresh: _Left[F], known: _Left[K], second: str) -> Iterator[Match[F, K]]:
    """Yield executions of one second, quantity and price, of several those with the same id."""
    waiting: defaultdict[tuple[object, ...], list[ComparedExecution[K]]] = defaultdict(list)
    for each in known:
        waiting[getattr(each, second), each.quantity, each.price].append(each)
    for one in list(fresh):
        same = waiting.get((getattr(one, second), one.quantity, one.price), [])
        alike = [each for each in same if each.is_in_second_of(one)]
        if alike:
            chosen = next((each for each in alike if each.trade_id == one.trade_id), alike[0])
            same.remove(chosen)
            yield Match((one,), (chosen,))


def _sums(fresh: _Left[F], known: _Left[K]) -> Iterator[Match[F, K]]:
    """Yield executions of one second and price whose sums are the same."""
    for ones, others in _at_one_price(fresh, known):
        if _total(ones) == _total(others):
            yield Match(tuple(ones), tuple(others))


def _parts(fresh: _Left[F], known: _Left[K]) -> Iterator[Match[F, K]]:
    """Yield executions of one second and price that are a part of what the log has, or hold it."""
    for ones, others in _at_one_price(fresh, known):
        total = _total(others)
        chosen = ones if _total(ones) < total else _adding_up_to(total, None, ones)
        if chosen:
            yield Match(tuple(chosen), tuple(others))


def _at_one_price(
    fresh: _Left[F], known: _Left[K]
) -> Iterator[tuple[list[ComparedExecution[F]], list[ComparedExecution[K]]]]:  # fmt: skip
    known_at = _by_price(known)
    for key, ones in _by_price(fresh).items():
        if key in known_at:
            yield ones, known_at[key]


def _by_price(
    executions: Iterable[ComparedExecution[Origin]],
) -> dict[tuple[int, Decimal], list[ComparedExecution[Origin]]]:
    found: defaultdict[tuple[int, Decimal], list[ComparedExecution[Origin]]] = defaultdict(list)
    for each in executions:
        found[each.second, each.price].append(each)
    return found


def _run_of(whole: ComparedExecution[F], parts: _Left[K]) -> list[ComparedExecution[K]]:
    """Return the executions that a whole is the average of: such as end or begin in its second, else within it."""
    here = list(parts.in_second_of(whole))
    for index, _ in here:
        for step in (-1, 1):
            found = _added_up(whole, parts.run(index, step))
            if found:
                return found
    return _adding_up_to(whole.quantity, whole.price, [each for _, each in here])


def _added_up(whole: ComparedExecution[F], run: Iterator[ComparedExecution[K]]) -> list[ComparedExecution[K]]:
    found, total = list[ComparedExecution[K]](), ZERO
    for each in itertools.islice(run, RUN_MAX):
        if abs(each.at - whole.at) > WINDOW_NS:
            break
        found.append(each)
        total += each.quantity
        if total >= whole.quantity:
            break
    return found if total == whole.quantity and _is_average_of(whole.price, found) else []


def _adding_up_to(
    total: Decimal, price: Decimal | None, executions: Sequence[ComparedExecution[Origin]]
) -> list[ComparedExecution[Origin]]:  # fmt: skip
    """Return some of a few executions whose quantities add up to a total, at an average price if one is given."""
    if len(executions) > SUBSET_MAX:
        return []
    for size in range(len(executions), 0, -1):
        for chosen in itertools.combinations(executions, size):
            if _total(chosen) == total and (price is None or _is_average_of(price, chosen)):
                return list(chosen)
    return []


def _total(executions: Iterable[ComparedExecution[Origin]]) -> Decimal:
    return sum((each.quantity for each in executions), ZERO)


def _is_average_of(price: Decimal, parts: Iterable[ComparedExecution[Origin]]) -> bool:
    return is_average(price, [(each.quantity, each.price) for each in parts])
