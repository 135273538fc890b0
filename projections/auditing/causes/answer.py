"""What `why` answers: a tree of causes, a tree of effects, the figure that was decided on, and what is not known."""

from __future__ import annotations

import enum
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from eventstore import Instant, Record
from eventstore.clock import format_time
from eventstore.html import table_html
from projections.valuation import Status

if TYPE_CHECKING:
    from collections.abc import Iterator


class Role(enum.StrEnum):
    """What a record has to do with the one above it in the tree."""

    CAUSE = "CAUSE"
    """It was recorded as the cause."""
    LOCKOUT = "LOCKOUT"
    """The lockout that asked for it, or that was in force."""
    LIMIT = "LIMIT"
    """The limit's setting; its actor set it."""
    MARK = "MARK"
    """The high or the floor was measured from here: a mark, or the account's beginning."""
    SCHEDULE = "SCHEDULE"
    """It scheduled what held then, such as a blackout."""
    CARRIED = "CARRIED"
    """It opened a position that was carried into the figure's period."""
    EXECUTION = "EXECUTION"
    """An execution, or an adjustment of a position, that the figure is made of."""
    CASH = "CASH"
    """A movement of cash that the figure is made of."""
    AMENDMENT = "AMENDMENT"
    """A later fee, a bust or a correction of one of the executions."""
    ORDER = "ORDER"
    """An order that the figure counts."""
    QUOTES = "QUOTES"
    """The quotes that were kept with the decision."""
    ORIGIN = "ORIGIN"
    """It began what the record is about: an order's submission, a lockout, a request."""
    NAMED = "NAMED"
    """The record names it: the trade that was corrected, what a note is about."""
    CHECK = "CHECK"
    """The check of the order before it was sent."""
    REQUEST = "REQUEST"
    """It was asked for together with the lockout."""
    EFFECT = "EFFECT"
    """It names the record as its cause."""
    FOLLOWED = "FOLLOWED"
    """It came later in the life of the same order, lockout or request."""


class CausalLink(msgspec.Struct, frozen=True, kw_only=True):
    """A record in a tree of causes or effects, as a sentence, with those that it rests on or led to itself.

    `amounts` are what it added to the figure above it, net of fees, by currency ("" where none is known). A record
    that is in the tree before has no links here: `is_repeated`.
    """

    role: Role
    record: Record
    sentence: str
    amounts: dict[str, Decimal] = {}
    links: tuple[CausalLink, ...] = ()
    is_repeated: bool = False

    def walk(self) -> Iterator[CausalLink]:
        """Yield it and all that is below it."""
        yield self
        for each in self.links:
            yield from each.walk()


class FigureMade(msgspec.Struct, frozen=True, kw_only=True):
    """A figure and what it was compared with, as the decision states them or as the fold has them.

    `terms` are the parts that the decision itself names, such as `realized`, `fees` and `unrealized`. `added` is the
    sum of what the executions and movements of cash in the tree added, in `currency`; None where nothing was added up.
    """

    name: str
    account: str
    amount: Decimal | None = None
    limit: Decimal | None = None
    currency: str | None = None
    status: Status = Status.KNOWN
    why: str = ""
    terms: dict[str, str] = {}
    quotes: dict[str, Any] = {}
    added: Decimal | None = None


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """Why something is as it is: what was asked, the answer as a sentence, and the records behind it as a tree.

    `record` is the one that was asked about, None for a figure. `causes` lead up to the first causes, `effects` down
    to what followed; they were searched for up to the log position `effects_until`, and everywhere where that is
    `head`. `unknown` says what the log does not show, or what was not looked for.
    """

    asked: str
    account: str
    answer: str
    at: Instant
    record: Record | None = None
    figures: tuple[FigureMade, ...] = ()
    causes: tuple[CausalLink, ...] = ()
    effects: tuple[CausalLink, ...] = ()
    effects_until: int = 0
    head: int = 0
    unknown: tuple[str, ...] = ()

    HEADERS: ClassVar[tuple[str, ...]] = ("", "log position", "at", "account", "", "added")

    def walk(self) -> Iterator[CausalLink]:
        """Yield every link of both trees, causes first."""
        for each in (*self.causes, *self.effects):
            yield from each.walk()

    @property
    def first_causes(self) -> tuple[CausalLink, ...]:
        """The ends of the tree of causes: what rests on nothing else that is recorded."""
        ends = (link for each in self.causes for link in each.walk() if not link.links and not link.is_repeated)
        return tuple(sorted(ends, key=_position))

    def of_role(self, *roles: Role) -> tuple[CausalLink, ...]:
        """Return the links of some roles, by log position, each record once."""
        found = {link.record.position: link for link in self.walk() if link.role in roles}
        return tuple(found[position] for position in sorted(found))

    def _repr_html_(self) -> str:
        rows = [row for title, links in self._parts() for row in _rows(title, links, 0)]
        rows += [("not known", "", "", "", each, "") for each in self.unknown]
        return table_html(self.HEADERS, rows, caption=f"{self.asked}: {self.answer}")

    def _parts(self) -> tuple[tuple[str, tuple[CausalLink, ...]], ...]:
        return ("", self.causes), ("", self.effects)


def _rows(title: str, links: tuple[CausalLink, ...], depth: int) -> Iterator[tuple[str, ...]]:
    for each in links:
        record = each.record
        name = "· " * depth + each.role.value.lower()
        added = ", ".join(f"{amount:+f} {currency}".rstrip() for currency, amount in each.amounts.items())
        yield name, str(record.position), format_time(record.occurred_at), record.account, each.sentence, added
        yield from _rows(title, each.links, depth + 1)


def _position(link: CausalLink) -> int:
    return link.record.position
