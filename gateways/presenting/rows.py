"""Records, orders, positions, lockouts, limits and changes as the cells of tables: one row for each value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.trading import Allows, PositionSide
from gateways.presenting.differences import differing_members
from gateways.presenting.documents import readable_data, realized_or_none
from gateways.presenting.escaping import escaped_json
from gateways.presenting.presenter import NONE
from projections.auditing.sentences.limits import parameters_text
from projections.changes import Unanswered
from projections.views.executions.anomalies import UNCERTAIN
from projections.views.executions.positions import Position
from projections.views.lockouts.lockout import Lockout
from projections.views.orders.view import Order

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eventstore import Record
    from gateways.presenting.presenter import Presenter
    from projections import Change
    from projections.views.enforcement import Enforcement
    from projections.views.executions.pnl import PnlTotals
    from projections.views.limits.limit import Limit

Cells = tuple[str, ...]

ORDER_COLUMNS = ("account", "order", "symbol", "side", ">leaves", ">of", ">price", "status")
POSITION_COLUMNS = ("account", "symbol", ">position", ">average", ">realized", ">fees", "in")
REPORT_COLUMNS = ("account", "symbol", ">quantity", "as of", "~difference")
LOCKOUT_COLUMNS = ("account", "rule", "scope", "allows", "until", "~why")
REQUEST_COLUMNS = ("account", "request", "action", "symbol", "since", ">attempt", "~done by", "~why")
LIMIT_COLUMNS = ("account", "rule", "~parameters", "in force from", "set by", ">position")
CHANGE_COLUMNS = ("account", "in", "what", "~before", "~after", "by log positions")
PNL_COLUMNS = ("account", "day", "symbol", "side", "in", ">realized", ">fees", ">cash", ">net", ">fills", ">volume")
_SHORT = Order | Position
_RECORDS_SHOWN = 4
_REASONS_SHOWN = 3


def record_fields(record: Record, shown: Presenter) -> Cells:
    """Return position, recorded_at, occurred_at, stream, version, type and data of a record."""
    times = (shown.time(record.recorded_at), shown.time(record.occurred_at))
    data = escaped_json(readable_data(record, shown.time))
    return (str(record.position), *times, record.stream, str(record.version), record.type, data)


def order_row(order: Order, shown: Presenter) -> Cells:
    price = order.limit_price if order.limit_price is not None else order.stop_price
    return (
        *(order.account, order.order_id, order.symbol or NONE, order.side or NONE),
        *(shown.quantity(order.leaves), shown.quantity(order.quantity), shown.price(price), order.status),
    )


def position_row(position: Position, shown: Presenter) -> Cells:
    currency = position.currency
    return (
        *(position.account, position.symbol, shown.quantity(position.quantity), shown.mean(position.average_price)),
        *(_realized(position, shown), shown.money(position.fees, currency), currency or NONE),
    )


def uncertain_line(position: Position) -> str:
    """Return why a position is not certain: its conflicting trades and its anomalies, by log position."""
    side = "" if position.side is PositionSide.NET else f"/{position.side}"
    found = [f"{each.kind} by {each.position}" for each in position.anomalies if each.kind in UNCERTAIN]
    found = [*(f"other figures or days reported of the trade at {each}" for each in position.conflicts), *found]
    return f"not certain: {position.account} {position.symbol}{side}: {_first_of(found)}"


def uncertain_pnl_lines(account: str, what: str, *, unpriced: int, uncertain_fees: int) -> list[str]:
    """Return why the profit and loss of a day, or of a symbol, is not certain; nothing if it is."""
    changes = f"{unpriced:,} {'change' if unpriced == 1 else 'changes'} without a price"
    trades = f"{uncertain_fees:,} {'trade' if uncertain_fees == 1 else 'trades'} reported with several fees"
    reasons = [text for count, text in ((unpriced, changes), (uncertain_fees, trades)) if count]
    return [f"not certain: {account} {what}: {'; '.join(reasons)}"] if reasons else []


def _first_of(reasons: list[str]) -> str:
    more = len(reasons) - _REASONS_SHOWN
    return "; ".join(reasons[:_REASONS_SHOWN]) + (f"; and {more:,} more" if more > 0 else "")


def report_row(position: Position, shown: Presenter) -> Cells:
    """Return what the broker reported of a position."""
    difference = "reported before the last fill" if position.superseded else shown.quantity(position.difference)
    return (
        *(position.account, position.symbol, shown.quantity(position.reported)),
        *(shown.time(position.reported_at), difference),
    )


def lockout_row(lockout: Lockout, shown: Presenter) -> Cells:
    until = "no end date" if lockout.until is None else shown.time(lockout.until)
    return (lockout.account, lockout.rule_id, lockout.scope, lockout.allows, until, lockout.reason or NONE)


def lockout_sentence(lockout: Lockout, shown: Presenter) -> str:
    """Return a lockout in force as `locked until ... by RULE (SCOPE)`."""
    end = "without end date" if lockout.until is None else f"until {shown.time(lockout.until)}"
    return f"locked {end} by {lockout.rule_id} ({lockout.scope})"


def lockout_effect(lockout: Lockout) -> str:
    """Return what a lockout lets through."""
    return "lets nothing through" if lockout.allows is Allows.NOTHING else "lets reductions through"


def request_row(request: Enforcement, shown: Presenter, at: int) -> Cells:
    """Return a pending enforcement request, and who carries it out at an instant."""
    return (
        *(request.account, request.request_id, request.action, request.symbol or NONE),
        *(shown.time(request.requested_at), str(request.attempt)),
        *(_standing(request, shown, at), request.reason or NONE),
    )


def _standing(request: Enforcement, shown: Presenter, at: int) -> str:
    if request.taken:
        return f"{request.taken_by or 'somebody'}, who says {'done' if request.success else 'failed'}: not done"
    if request.is_claimed(at) and request.lease_until is not None:
        return f"{request.claimant} until {shown.time(request.lease_until)}"
    return f"nobody; {request.claimant}'s lease has ended" if request.claimant else "nobody yet"


def request_line(request: Enforcement, shown: Presenter, at: int) -> str:
    """Return a pending enforcement request as a sentence; one that is escalated begins with that."""
    what = request.action if request.symbol is None else f"{request.action} {request.symbol}"
    asked = f"{request.account} is asked to {what} by {request.rule_id}, attempt {request.attempt:,}"
    line = f"{asked} at {shown.time(request.requested_at)}; done by {_standing(request, shown, at)}"
    if request.escalated_at is None:
        return line
    return f"ESCALATED at {shown.time(request.escalated_at)}, a person has to act: {line}"


def escalation_lines(requests: Iterable[Enforcement], shown: Presenter, at: int) -> list[str]:
    """Return a sentence for each request that a person has to act on."""
    return [request_line(each, shown, at) for each in requests if each.escalated_at is not None]


def limit_row(limit: Limit, shown: Presenter) -> Cells:
    parameters = parameters_text(limit.parameters)
    waits = "approval by a second person" if limit.awaits_approval else "the next session"
    since = waits if limit.in_force_at is None else shown.time(limit.in_force_at)
    return limit.account, limit.rule_id, parameters or NONE, since, limit.actor, str(limit.position)


def pnl_row(account: str, day: str | None, totals: PnlTotals, shown: Presenter) -> Cells:
    """Return the profit and loss of one symbol, side and currency, of one day or, without one, of all of them."""
    figures = (totals.result, totals.fees, totals.cash, totals.net_result)
    amounts = (shown.money(amount, totals.currency) for amount in figures)
    return (
        *(account, day or NONE, totals.symbol or NONE, totals.side or NONE, totals.currency or NONE),
        *(*amounts, f"{totals.trades:,}", shown.quantity(totals.volume)),
    )


def change_row(change: Change, shown: Presenter) -> Cells:
    positions = [str(record.position) for record in change.records]
    by = ", ".join(positions)
    if len(positions) > _RECORDS_SHOWN:
        by = f"{', '.join(positions[:2])} … {positions[-1]} ({len(positions)})"
    if isinstance(change.before, _SHORT) or isinstance(change.after, _SHORT) or change.view == "lockouts":
        before, after = _state(change.before, shown), _state(change.after, shown)
    else:
        before, after = differing_members(change, shown)
    return (change.account, change.view, change.key.removesuffix("/NET"), before, after, by)


def _state(value: object, shown: Presenter) -> str:
    """Return an order, a position or the lockouts of a rule as it was before or after a change."""
    match value:
        case Order():
            return (
                f"{value.status} {shown.quantity(value.cumulative)}/{shown.quantity(value.quantity)}"
                f"{_average_price(value, shown)}"
            )
        case Position():
            realized = _realized(value, shown)
            return f"{shown.quantity(value.quantity)}{_average_price(value, shown)}, realized {realized}"
        case Unanswered():
            return f"not known: {value.why}"
        case tuple():
            return "; ".join(_lockout_state(each, shown) for each in value if isinstance(each, Lockout)) or NONE
        case _:
            return NONE


def _average_price(value: Order | Position, shown: Presenter) -> str:
    return "" if value.average_price is None else f" at {shown.mean(value.average_price)}"


def _realized(position: Position, shown: Presenter) -> str:
    realized = realized_or_none(position)
    return "no contract" if realized is None else shown.money(realized, position.currency)


def _lockout_state(lockout: Lockout, shown: Presenter) -> str:
    if lockout.ended_by is not None:
        return f"{lockout.scope}: {lockout.ended_by}"
    until = "" if lockout.until is None else f" until {shown.time(lockout.until)}"
    return f"{lockout.scope}: {lockout.allows}{until}"
