"""How an account stands by what is in the log: kept for the next check, for as long as nothing of it changes."""

from __future__ import annotations

import weakref
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from eventstore.trading import PositionSide, Side
from projections.view import SHARED
from projections.views.contracts import ContractsView
from projections.views.naming import names_and_root
from projections.views.positions import PositionsView

if TYPE_CHECKING:
    from collections.abc import Callable

    from projections.book import Book
    from projections.views.accounts import Account
    from projections.views.bests import Highs
    from projections.views.counters import Count
    from projections.views.limits import Limit
    from projections.views.made import Made
    from projections.views.orders import Order
    from projections.views.positions import Position

ZERO = Decimal(0)
ACCOUNTS_MAX = 10_000
NAMES_MAX = 10_000
_DAY_NS = 86_400_000_000_000

# What each group is made of: while none of these views changes, what was made of them holds.
_MADE_OF = {
    "span": ("positions", "limits"),
    "earned": ("positions", "accounts", "contracts"),
    "held": ("positions", "contracts"),
    "working": ("orders",),
    "sums": ("positions", "orders", "contracts"),
    "counted": ("counters",),
    "limited": ("limits",),
    "known": ("accounts", "positions", "contracts"),
    "marked": ("equity", "accounts", "positions", "contracts"),
    "highs": ("bests",),
    "best": ("positions", "accounts", "contracts", "bests"),
    "named": ("contracts",),
}
_VIEWS = tuple(dict.fromkeys(view for views in _MADE_OF.values() for view in views))
_INDEXES = {group: tuple(map(_VIEWS.index, views)) for group, views in _MADE_OF.items()}

Key = tuple[str, PositionSide, Side | None]


class Sums(NamedTuple):
    """Quantities by symbol: what is held over all sides, and what working orders would buy and sell."""

    held: dict[str, Decimal]
    buys: dict[str, Decimal]
    sells: dict[str, Decimal]


class Standing:
    """What checks ask of an account that nothing but the log changes, each looked up once.

    It holds at instants in `span`: no trading day begins or ends, and no limit comes into force, between the two.
    When a view moves on, a new one takes over what is not made of it. What raises is asked again by the next check.
    """

    def __init__(self, book: Book, account: str, at: int, turns: tuple[int, ...], before: Standing | None) -> None:
        self._book, self._account, self._at, self.turns = book, account, at, turns
        # Never changed once another view's turn has come: who still computes for an older one disturbs no newer.
        self._groups: dict[str, dict[str, Any]] = {
            group: before._groups[group]  # noqa: SLF001 - of its own class
            if before is not None and all(turns[index] == before.turns[index] for index in indexes)
            else {}
            for group, indexes in _INDEXES.items()
        }
        self.span: tuple[int, int] = self.kept("span", "span", self._find_span)

    def kept(self, group: str, name: str, make: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever is made
        """Return what was made of a group of views under a name, made now where it was not yet."""
        made = self._groups[group]
        if name not in made:
            made[name] = make()
        return made[name]

    def _find_span(self) -> tuple[int, int]:
        at, state = self._at, self._book.state(PositionsView.name, self._account)
        since, until = at - at % _DAY_NS, at - at % _DAY_NS + _DAY_NS
        if state is not None:
            span = state.ledger.told.span_at(at)
            since, until = span.since, span.until
        pending = [limit.in_force_at for limit in self._book.limits.pending(self._account, at)]
        return (
            max([since, *(limit.in_force_at or 0 for limit in self.limits)]),
            min([until, *(instant for instant in pending if instant is not None)]),
        )

    @property
    def limits(self) -> tuple[Limit, ...]:
        found: tuple[Limit, ...] = self.kept("limited", "limits", lambda: self._book.limits.of(self._account, self._at))
        return found

    @property
    def known(self) -> Account | None:
        account: Account | None = self.kept("known", "account", lambda: self._book.accounts.get(self._account))
        return account

    @property
    def currency(self) -> str | None:
        known = self.known
        return None if known is None else known.currency

    @property
    def balance(self) -> Decimal:
        balance: Decimal = self.kept("earned", "balance", lambda: self._book.accounts.balance(self._account))
        return balance

    @property
    def day(self) -> tuple[Made, ...]:
        made: tuple[Made, ...] = self.kept("earned", "day", lambda: self._book.pnl.day(self._account, self._at))
        return made

    @property
    def week(self) -> tuple[Made, ...]:
        made: tuple[Made, ...] = self.kept("earned", "week", lambda: self._book.pnl.week(self._account, self._at))
        return made

    @property
    def counts(self) -> Count:
        counts: Count = self.kept("counted", "day", lambda: self._book.counters.today(self._account, self._at))
        return counts

    @property
    def floor(self) -> Decimal | None:
        floor: Decimal | None = self.kept("marked", "floor", self._find_floor)
        return floor

    def _find_floor(self) -> Decimal | None:
        mark = self._book.equity.get(self._account)
        return None if mark is None else mark.floor

    @property
    def highs(self) -> Highs:
        """The highest marks of the account."""
        highs: Highs = self.kept("highs", "highs", lambda: self._book.bests.highs(self._account))
        return highs

    def best_of_day(self, currency: str | None, *, net: bool, marked: bool) -> Decimal:
        """Return the day's best result so far: as the fills made it, or as equity was marked."""
        best: Decimal = self.kept(
            "best", f"{currency} {net} {marked}", lambda: self._find_best(currency, net=net, marked=marked)
        )
        return best

    def _find_best(self, currency: str | None, *, net: bool, marked: bool) -> Decimal:
        if not marked:
            return self._book.bests.realized(self._account, self._at, currency, net=net)
        session = self._book.sessions.current(self._account, self._at)
        day = None if session is None else session.trading_day
        return self._book.bests.marked(self._account, day, self._at, net=net)

    @property
    def positions(self) -> tuple[Position, ...]:
        """Those that are open."""
        found: tuple[Position, ...] = self.kept("held", "positions", self._find_positions)
        return found

    def _find_positions(self) -> tuple[Position, ...]:
        return tuple(position for position in self._book.positions.of(self._account) if position.quantity)

    def held(self, symbol: str, side: PositionSide) -> Decimal:
        """Return how much is held on one side."""
        return sum((each.quantity for each in self.positions if (each.symbol, each.side) == (symbol, side)), ZERO)

    @property
    def closing(self) -> dict[Key, Decimal]:
        """What working orders may still execute, by symbol, the side of the position, and their own."""
        sums: dict[Key, Decimal] = self.kept("working", "closing", self._sum_working)
        return sums

    def _sum_working(self) -> dict[Key, Decimal]:
        sums: dict[Key, Decimal] = {}
        working: tuple[Order, ...] = self._book.orders.open(self._account)
        for order in working:
            if order.symbol is not None and order.leaves:
                key = (order.symbol, order.position_side, order.side)
                sums[key] = sums.get(key, ZERO) + order.leaves
        return sums

    @property
    def sums(self) -> Sums:
        sums: Sums = self.kept("sums", "sums", self._sum_up)
        return sums

    def _sum_up(self) -> Sums:
        held: dict[str, Decimal] = {}
        for position in self.positions:
            held[position.symbol] = held.get(position.symbol, ZERO) + position.quantity
        buys: dict[str, Decimal] = {}
        sells: dict[str, Decimal] = {}
        for (symbol, _, side), leaves in self.closing.items():
            sums = buys if side is Side.BUY else sells
            sums[symbol] = sums.get(symbol, ZERO) + leaves
        return Sums(held, buys, sells)

    def names(self, symbol: str) -> tuple[str, ...]:
        """Return all that a symbol is called, and its root last, where it has one."""
        known = self._groups["named"]
        names: tuple[str, ...] | None = known.get(symbol)
        if names is None:
            if len(known) >= NAMES_MAX:
                known.clear()
            found, root = names_and_root(self._book.state(ContractsView.name, SHARED), symbol)
            names = known[symbol] = (*sorted(found), *(() if root is None else (root,)))
        return names


class _Kept:
    """The newest standing of each account of a book, and which turns it goes by."""

    def __init__(self) -> None:
        self.standings: dict[str, Standing] = {}
        self.wanted: dict[str, tuple[tuple[str, str], ...]] = {}

    def of(self, book: Book, account: str, at: int) -> Standing:
        wanted = self.wanted.get(account)
        if wanted is None:
            if len(self.wanted) >= ACCOUNTS_MAX:
                self.wanted.clear()
                self.standings.clear()
            shared = (ContractsView.name,)
            wanted = self.wanted[account] = tuple((view, SHARED if view in shared else account) for view in _VIEWS)
        turns = book.turns(wanted)
        before = self.standings.get(account)
        if before is not None and not before.span[0] <= at < before.span[1]:
            before = None
        if before is not None and before.turns == turns:
            return before
        fresh = Standing(book, account, at, turns, before)
        if not fresh.span[0] <= at < fresh.span[1]:
            # A day or a limit that was told meanwhile begins between the older one and now.
            fresh = Standing(book, account, at, turns, None)
        self.standings[account] = fresh
        return fresh


_kept: weakref.WeakKeyDictionary[Book, _Kept] = weakref.WeakKeyDictionary()


def standing_of(book: Book, account: str, at: int) -> Standing:
    """Return how an account stands at an instant, with what earlier checks found that still holds."""
    kept = _kept.get(book)
    if kept is None:
        kept = _kept.setdefault(book, _Kept())
    return kept.of(book, account, at)
