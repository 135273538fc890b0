"""What pasts are compared in: the facts that a book states of an account, and the records that concern each."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from eventstore import StoreError
from eventstore.trading import ContractDefined
from projections.changes.change import ALL, Unanswered, is_absent
from projections.view import GROUP, SHARED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from eventstore import Event, Record
    from projections.book import Book
    from projections.changes.pasts import ComparedBooks

ANY = "/"
"""Instead of a fact's name, for a record that may concern each of its account."""

Concerned = tuple[str, str]
"""An account, and the name of one fact."""


class ComparedView:
    """One kind of facts: what a book states of each account by name, and which records concern which."""

    name: ClassVar[str]
    absent: ClassVar[Any] = None
    """What stands for a fact that is not there: an empty tuple where several lockouts or settings make it."""

    def partitions(self, book: Book) -> Iterable[str]:
        """Return the accounts that may have such facts, SHARED for what belongs to none."""
        raise NotImplementedError

    def values(self, book: Book, account: str) -> Mapping[str, Any]:
        """Return the facts of an account by name."""
        raise NotImplementedError

    def concerned(self, record: Record, books: ComparedBooks) -> Iterator[Concerned]:
        """Yield what a record may change, by an account and the name of a fact or ANY."""
        raise NotImplementedError

    def pairs(
        self, books: ComparedBooks, account: str, named: Iterable[str]
    ) -> Iterator[tuple[str, Any, Any]]:  # fmt: skip
        """Yield what may differ, with its value before and after; records name `named`."""
        before, after = (answers_of(self, book, account) for book in books.both)
        if before.keys() == {ALL} or after.keys() == {ALL}:
            yield from _unanswered(before, after)
            return
        for name in dict.fromkeys([*before, *after]):
            yield name, before.get(name, self.absent), after.get(name, self.absent)

    def records(
        self, found: Mapping[Concerned, Sequence[Record]], account: str, name: str, books: ComparedBooks
    ) -> list[Record]:
        """Return the records that concern one fact, in order; `found` has those that concern any of this view."""
        return in_order(found.get((account, name), ()), found.get((account, ANY), ()))


class ListedView(ComparedView):
    """Facts that are listed as a whole, and those of both pasts compared by name.

    `within` are the views whose partitions may have some, `types` the events that concern them, all without any, and
    `named` gives the name that an event is about. With `of_contracts`, definitions of traded contracts count too.
    """

    def __init__(
        self,
        name: str,
        within: str | tuple[str, ...],
        values: Callable[[Book, str], Mapping[str, Any]],
        types: tuple[type[Event], ...] | None = None,
        named: Callable[[Any, Record], str | None] | None = None,
        *,
        of_contracts: bool = False,
        absent: object = None,
    ) -> None:
        self.name, self.absent = name, absent  # type: ignore[misc]
        self._within = (within,) if isinstance(within, str) else within
        self._values, self._types, self._named, self._of_contracts = values, types, named, of_contracts

    @override
    def partitions(self, book: Book) -> Iterable[str]:
        found = dict.fromkeys(name for view in self._within for name in book.partitions(view))
        return [name for name in found if not name.startswith(GROUP)]

    @override
    def values(self, book: Book, account: str) -> Mapping[str, Any]:
        return self._values(book, account)

    @override
    def concerned(self, record: Record, books: ComparedBooks) -> Iterator[Concerned]:
        event = record.event
        if self._types is None or isinstance(event, self._types):
            yield record.account, (None if self._named is None else self._named(event, record)) or ANY
        elif self._of_contracts and isinstance(event, ContractDefined):
            yield SHARED, ANY

    @override
    def records(
        self, found: Mapping[Concerned, Sequence[Record]], account: str, name: str, books: ComparedBooks
    ) -> list[Record]:  # fmt: skip
        own = super().records(found, account, name, books)
        if not own:
            # One event may change what another one names: a trade reported again, a request asked again.
            own = in_order(*(records for (of, _), records in found.items() if of == account))
        if not self._of_contracts or account == SHARED:
            return own
        traded = books.traded(account)
        return in_order(own, [each for each in found.get((SHARED, ANY), ()) if not names_of(each).isdisjoint(traded)])


def answers_of(view: ComparedView, book: Book, account: str) -> dict[str, Any]:
    """Return the facts of an account by name; only why not, under ALL, where a book cannot state them."""
    try:
        found = view.values(book, account)
    except StoreError as e:
        return {ALL: Unanswered(str(e))}
    return {name: value for name, value in found.items() if not is_absent(value)}


def in_order(*several: Sequence[Record]) -> list[Record]:
    """Return records of several lists, each once, in order of log position."""
    filled = [each for each in several if each]
    if len(filled) == 1:
        return list(filled[0])
    found = {record.position: record for each in filled for record in each}
    return [found[position] for position in sorted(found)]


def names_of(record: Record) -> set[str]:
    """Return the names that a definition gives a contract."""
    event = record.event
    return {event.symbol, *event.broker_ids} if isinstance(event, ContractDefined) else set()


def numbered(facts: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return facts by name; the second of a name, and further ones, with their number."""
    seen: Counter[str] = Counter()
    found = {}
    for name, fact in facts:
        seen[name] += 1
        found[name if seen[name] == 1 else f"{name} ({seen[name]})"] = fact
    return found


def _unanswered(before: dict[str, Any], after: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Yield each fact of the one book that can state them, beside why the other cannot."""
    why_before, why_after = before.get(ALL), after.get(ALL)
    yield ALL, why_before, why_after
    for name, value in before.items():
        if name != ALL:
            yield name, value, why_after
    for name, value in after.items():
        if name != ALL:
            yield name, why_before, value
