"""The settings of limits, of accounts and of groups, and the accounts' protection modes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from eventstore.trading import (
    AccountConfigured,
    Approved,
    ClockJumped,
    GroupDefined,
    LimitsSet,
    ProtectionMode,
    SessionOpened,
    SessionReset,
)
from projections.changes.compared import ANY, ComparedView
from projections.view import GROUP, SHARED
from projections.views.limits.protection import mode_of
from projections.views.limits.view import LimitsView

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from eventstore import Record
    from projections.book import Book
    from projections.changes.compared import Concerned
    from projections.changes.pasts import ComparedBooks

_BEGINS = SessionOpened | SessionReset | ClockJumped | Approved | AccountConfigured
"""What brings a setting into force that waits for a trading day or for a second person, or takes it back."""


class ComparedLimits(ComparedView):
    """Every setting of a rule, by the rule: each says since when it is in force. A group's are those of `@NAME`."""

    name: ClassVar[str] = "limits"
    absent: ClassVar[Any] = ()

    @override
    def partitions(self, book: Book) -> Iterable[str]:
        own = [name for name in book.partitions(LimitsView.name) if not name.startswith(GROUP) and name != SHARED]
        return [*own, *map(GROUP.__add__, book.groups.names())]

    @override
    def values(self, book: Book, account: str) -> Mapping[str, Any]:
        if not account.startswith(GROUP) and book.state(LimitsView.name, account) is None:
            return {}
        found: dict[str, tuple[Any, ...]] = {}
        for setting in book.limits.history(account):
            found[setting.rule_id] = (*found.get(setting.rule_id, ()), setting)
        return found

    @override
    def concerned(self, record: Record, books: ComparedBooks) -> Iterator[Concerned]:
        match record.event:
            case LimitsSet() as event:
                yield record.account, event.rule_id
            case Approved() | AccountConfigured():
                yield record.account, ANY
                yield GROUP, ANY
            case GroupDefined():
                yield from ((GROUP + name, ANY) for book in books.both for name in book.groups.names())
            case SessionOpened() | SessionReset() | ClockJumped():
                yield record.account, ANY
                yield from ((GROUP + name, ANY) for name in sorted(books.groups_of.get(record.account, ())))
                yield GROUP, ANY
            case _:
                return

    @override
    def records(
        self, found: Mapping[Concerned, Sequence[Record]], account: str, name: str, books: ComparedBooks
    ) -> list[Record]:  # fmt: skip
        own = super().records(found, account, name, books)
        # All accounts show the time by which a group's limits are set, also one that is in no group; and a second
        # person approves for any of a group's members.
        return own or (list(found.get((GROUP, ANY), ())) if account.startswith(GROUP) else [])


class ComparedModes(ComparedView):
    """The protection modes that an account was given, each with since when it is in force."""

    name: ClassVar[str] = "protection"
    absent: ClassVar[Any] = ()

    @override
    def partitions(self, book: Book) -> Iterable[str]:
        return [name for name in book.partitions(LimitsView.name) if not name.startswith(GROUP)]

    @override
    def values(self, book: Book, account: str) -> Mapping[str, Any]:
        state = book.state(LimitsView.name, account)
        return {} if state is None else {"mode": tuple(map(mode_of, state.protection.settings))}

    @override
    def concerned(self, record: Record, books: ComparedBooks) -> Iterator[Concerned]:
        if isinstance(record.event, ProtectionMode | _BEGINS):
            yield record.account, "mode"
