"""Why a figure is what it is: realized results, a balance, a position, an account's headroom."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from eventstore import InvalidEvent, StoreError
from eventstore.streams import unescaped
from eventstore.trading import PositionSide
from projections.auditing.causes.answer import CausalLink, FigureMade, Role, Why
from projections.auditing.causes.parts import FigureParts, Parts
from projections.decimals import FIXED
from projections.replay import as_of
from projections.risk.account_figures import figures_of
from projections.risk.limits.kind import KINDS, RestsOn
from projections.risk.limits.trailing_drawdown import Drawdown, TrailingDrawdownParameters
from projections.valuation import Status
from projections.views.accounts import own_currency, starting_balance
from projections.views.limits.parameters import kind_of, read_enabled

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventstore import Record
    from projections.auditing.causes.search import LogSearch
    from projections.views.limits.limit import Limit
    from projections.views.valuing import Amounts

REALIZED, BALANCE, POSITION = "realized", "balance", "position/"
FIGURES = (REALIZED, BALANCE, f"{POSITION}SYMBOL")
_ZERO = Decimal(0)
_ROUNDED = Decimal("1e-9")


class _Explained(NamedTuple):
    figures: tuple[FigureMade, ...]
    parts: Parts
    limit: Record | None = None
    begun: Record | None = None


def explained(search: LogSearch, account: str, name: str, at: int | None) -> Why:
    """Return what a figure of an account is made of, as known at an instant (UNIX ns), by default now."""
    position = search.head if at is None else search.store.position_at(at)
    last = search.at(position)
    instant = (0 if last is None else last.recorded_at) if at is None else at
    made = FigureParts(search.store, account, position, as_of(search.store, position=position, account=account))
    found = _explained(search, made, _Question(account, name, position, instant))
    for each in found.parts.unknown:
        search.note(each)
    first = [(Role.LIMIT, found.limit), (Role.MARK, found.begun)]
    links = [
        CausalLink(role=role, record=each, sentence=search.sentence(each)) for role, each in first if each is not None
    ]
    parts = {part.log_position: part for part in found.parts.found}
    for record in search.of_account(account, list(parts)):
        part = parts[record.position]
        sentence = search.sentence(record)
        links.append(CausalLink(role=part.role, record=record, sentence=sentence, amounts=part.amounts))
    return Why(
        asked=f"why {name} of {account}",
        account=account,
        answer="; ".join(map(_answer, found.figures)),
        at=instant,
        figures=found.figures,
        causes=tuple(links),
        effects_until=search.head,
        head=search.head,
        unknown=tuple(search.unknown),
    )


class _Question(NamedTuple):
    account: str
    name: str
    position: int
    at: int


def _explained(search: LogSearch, made: FigureParts, asked: _Question) -> _Explained:
    if not made.is_known:
        msg = f"log {search.store.log} has no records of account {asked.account} up to position {asked.position:,}"
        raise InvalidEvent(msg)
    if asked.name == REALIZED:
        return _realized(search, made, asked)
    if asked.name == BALANCE:
        return _balance(search, made, asked)
    if asked.name.startswith(POSITION):
        return _position(search, made, asked)
    return _headroom(search, made, asked)


def _realized(search: LogSearch, made: FigureParts, asked: _Question) -> _Explained:
    parts = made.of_days([made.name_at(asked.at)])
    currency = own_currency(made.book, asked.account)
    name = f"realized, net of fees, on {made.name_at(asked.at).removeprefix('~')}"

    def amounts() -> Amounts:
        return {each.currency: each.net_result for each in made.book.pnl.day(asked.account, asked.at)}

    figures = _figures(asked.account, name, currency, amounts, parts)
    for each in figures:
        _compare(search, each, _ZERO)
    return _Explained(figures, parts)


def _balance(search: LogSearch, made: FigureParts, asked: _Question) -> _Explained:
    parts = made.of_balance(made.life)
    currency = own_currency(made.book, asked.account)
    started = starting_balance(made.book, asked.account)

    def amounts() -> Amounts:
        return {each.currency: each.folded for each in made.book.accounts.balances(asked.account)}

    own, *others = _figures(asked.account, BALANCE, currency, amounts, parts)
    if started is not None:
        own = replace(own, terms={"starting_balance": f"{started:f}"})
    _compare(search, own, started or _ZERO)
    for each in others:
        _compare(search, each, _ZERO)
    return _Explained((own, *others), parts, begun=search.at(made.opened))


def _figures(
    account: str, name: str, currency: str | None, amounts: Callable[[], Amounts], parts: Parts
) -> tuple[FigureMade, ...]:
    """Return a figure for each currency, the account's own first, as the fold has them.

    UNKNOWN where a contract or a view's state is missing for them.
    """
    try:
        known = amounts()
    except StoreError as e:
        return (FigureMade(name=name, account=account, currency=currency, status=Status.UNKNOWN, why=str(e)),)
    others = sorted(each for each, amount in known.items() if each is not None and each != currency and amount)
    own = [] if currency is None and others and not known.get(None) else [currency]
    return tuple(
        FigureMade(
            name=name,
            account=account,
            amount=known.get(each, _ZERO),
            currency=each,
            added=(parts.sums or {}).get(each or "", _ZERO),
        )
        for each in (*own, *others)
    )


def _compare(search: LogSearch, figure: FigureMade, started: Decimal) -> None:
    """Note where the records found do not add up to a figure, beyond what is rounded."""
    if figure.amount is None or figure.added is None:
        return
    expected = FIXED.subtract(figure.amount, started)
    if abs(FIXED.subtract(expected, figure.added)) > _ROUNDED:
        search.note(
            f"{figure.account}: the records listed add up to {figure.added:f} instead of {expected:f}: "
            "the rest is kept as sums, without its records or under another day"
        )


def _position(search: LogSearch, made: FigureParts, asked: _Question) -> _Explained:
    """Return a position, or both sides of it where the venue keeps two, unless one is asked for by `/LONG`."""
    symbol, sides = unescaped(asked.name.removeprefix(POSITION)), tuple(PositionSide)
    whole, _, side = symbol.rpartition("/")
    if whole and side in sides:
        symbol, sides = whole, (PositionSide(side),)
    found = [made.book.positions.get(asked.account, symbol, each) for each in sides]
    if len(found) > 1:
        known = {(each.symbol, each.side) for each in made.book.positions.of(asked.account)}
        found = [each for each in found if (each.symbol, each.side) in known] or found[:1]
        if not known.intersection((each.symbol, each.side) for each in found) and not made.book.contracts.find(symbol):
            search.note(f"{asked.account} has traded nothing by the name {symbol!r:.80}, and no contract has it")
    figures = [
        FigureMade(
            name=f"{POSITION}{symbol}{'' if each.side is PositionSide.NET else f'/{each.side}'}",
            account=asked.account,
            amount=each.quantity,
        )
        for each in found
    ]
    return _Explained(tuple(figures), made.held(found[0].symbol, sides))


def _headroom(search: LogSearch, made: FigureParts, asked: _Question) -> _Explained:
    account, rule_id = asked.account, asked.name
    limit = made.book.limits.get(account, rule_id, asked.at)
    if limit is None:
        known = ", ".join(each.rule_id for each in made.book.limits.of(account, asked.at)) or "none"
        msg = (
            f"{account} has neither a figure nor a limit {rule_id!r:.80}: figures are {', '.join(FIGURES)}, "
            f"its limits then were {known}"
        )
        raise InvalidEvent(msg)
    found = next((each for each in made.book.limits.headroom(account, asked.at) if each.rule_id == rule_id), None)
    parts = _of_kind(search, made, limit, asked)
    figure = FigureMade(name=rule_id, account=account, status=Status.UNKNOWN)
    if found is not None:
        figure = FigureMade(
            name=rule_id,
            account=account,
            amount=found.figure,
            limit=found.limit,
            currency=found.currency,
            status=found.status,
            why=found.why,
            added=parts.added(found.currency),
        )
        if found.currency is not None and (others := parts.others(found.currency)):
            search.note(f"{account}: its records added {others} as well, and currencies are not added up here")
    return _Explained((figure,), parts, search.at(limit.position))


def _of_kind(search: LogSearch, made: FigureParts, limit: Limit, asked: _Question) -> Parts:
    kind = KINDS.get(kind_of(limit.rule_id))
    rests_on = RestsOn.LIMIT if kind is None else kind.rests_on
    day = made.name_at(asked.at)
    match rests_on:
        case RestsOn.DAY | RestsOn.WEEK:
            return made.of_days([day] if rests_on is RestsOn.DAY else made.names_of_week(day.removeprefix("~")))
        case RestsOn.HIGH:
            return made.since(_high_position(search, made, limit, asked))
        case RestsOn.COUNT:
            return made.counted(day, orders=limit.parameters.get("unit") == "orders", count=None)
        case RestsOn.TRIPS:
            return made.of_trips([trip.position for trip in made.book.trips.of(asked.account)[-1:]])
        case RestsOn.POSITIONS:
            return made.held()
        case RestsOn.LIMIT:
            return Parts()


def _high_position(search: LogSearch, made: FigureParts, limit: Limit, asked: _Question) -> int:
    """Return the log position of the mark that a drawdown is measured from, or of the account's beginning."""
    parameters = read_enabled(limit)
    marks: list[str] = []
    if isinstance(parameters, TrailingDrawdownParameters):
        found = Drawdown.of(figures_of(made.book, asked.account, asked.at), parameters)
        marks = [] if found is None else found.details().get("marks", [])
    records = [search.by_id(bytes.fromhex(each), before=asked.position) for each in marks]
    return max((each.position for each in records if each is not None), default=made.life)


def _answer(figure: FigureMade) -> str:
    amount = "not known" if figure.amount is None else f"{figure.amount:f} {figure.currency or ''}".rstrip()
    limit = "" if figure.limit is None else f" of {figure.limit:f}"
    why = f" ({figure.status}: {figure.why})" if figure.why else ""
    return f"{figure.account}: {figure.name} {amount}{limit}{why}"
