"""Sentences about limits: set, reached, judged or not, reported; groups, checks before orders, and blackouts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventstore.trading import (
    BlackoutCanceled,
    BlackoutScheduled,
    GroupDefined,
    LimitBreached,
    LimitJudged,
    LimitReported,
    LimitsSet,
    LimitUnjudged,
    RiskChecked,
    Side,
    Verdict,
)
from projections.auditing.sentences.wording import Said, because, listed, money, quantity, stated
from projections.numbers import without_powers
from projections.view import GROUP
from projections.views.limits.limit import Limit

if TYPE_CHECKING:
    from projections.auditing.sentences.wording import Sentences


def parameters_text(parameters: dict[str, Any]) -> str:
    """Return a limit's parameters as text: `amount 500.00, allows REDUCE_ONLY`; empty without any."""
    return ", ".join(f"{name} {_parameter(value)}" for name, value in parameters.items())


def _parameter(value: object) -> str:
    if isinstance(value, dict):
        return " and ".join(f"{name} {_parameter(each)}" for name, each in value.items())
    return " and ".join(map(_parameter, value)) if isinstance(value, list) else without_powers(str(value))


def _set(event: LimitsSet, said: Said) -> str:
    account = said.record.account
    of = f" of group {account.removeprefix(GROUP)}" if account.startswith(GROUP) else ""
    waits = next((after for _, after in said.of("limits waiting", Limit) if after is not None), None)
    when = ""
    if waits is not None:
        when = (
            "; it loosens the limit, and waits for the next session"
            if waits.in_force_at is None
            else f"; in force from {said.instant(waits.in_force_at)}"
        )
    elif event.effective_from is not None:
        when = f"; in force from {said.instant(event.effective_from)} at the earliest"
    parameters = parameters_text(event.parameters)
    return f"Limit {event.rule_id}{of} was set{f': {parameters}' if parameters else ' without parameters'}{when}"


def _breached(event: LimitBreached, _said: Said) -> str:
    figures = f"{money(event.figure, event.currency)} of {money(event.limit, event.currency)}"
    return f"Limit {event.rule_id} was reached, {event.severity.lower()} only: {figures}{because(event.reason)}"


def _unjudged(event: LimitUnjudged, said: Said) -> str:
    return f"Limit {event.rule_id} has not been judged since {said.instant(event.since)}{because(event.why)}"


def _judged(event: LimitJudged, said: Said) -> str:
    return f"Limit {event.rule_id} is no longer unjudged, since {said.instant(event.since)}{because(event.why)}"


def _reported(event: LimitReported, said: Said) -> str:
    figures = stated(
        figure=None if event.figure is None else money(event.figure, event.currency),
        limit=None if event.limit is None else money(event.limit, event.currency),
    )
    day = "" if event.trading_day is None else f" for {event.trading_day}"
    at = "" if event.reported_at is None else f" as of {said.instant(event.reported_at)}"
    return f"The firm reports its limit {event.kind}{day}{at}: {figures or 'no figure'}"


def _group(event: GroupDefined, said: Said) -> str:
    if not event.accounts:
        return f"Group {said.entity} was dissolved"
    return f"Group {said.entity} was defined as {listed(event.accounts)}"


def _checked(event: RiskChecked, said: Said) -> str:
    verdict = {Verdict.PASS: "passed", Verdict.WARNING: "passed with a warning", Verdict.REJECT: "was rejected"}
    side = {Side.BUY: "buy", Side.SELL: "sell"}
    words = [
        side.get(event.side, "") if event.side is not None else "",
        "" if event.quantity is None else quantity(event.quantity),
        event.symbol or "",
    ]
    what = " ".join(filter(None, words))
    by = "" if event.rule_id is None else f" by {event.rule_id}"
    order = f"Order {event.order_id or said.entity}{f' ({what})' if what else ''}"
    return f"{order} {verdict[event.verdict]}{by} before it was sent{because(event.reason)}"


def _blackout(event: BlackoutScheduled, said: Said) -> str:
    what = listed(event.symbols) if event.symbols else "all symbols"
    source = f" by {event.source}" if event.source else ""
    span = f"from {said.instant(event.start)} until {said.instant(event.stop)}"
    return f"Blackout {said.entity} of {what} was scheduled{source} {span}{because(event.reason)}"


def _blackout_canceled(event: BlackoutCanceled, said: Said) -> str:
    return f"Blackout {said.entity} was cancelled{because(event.reason)}"


SENTENCES: Sentences = {
    LimitsSet: _set,
    LimitBreached: _breached,
    LimitUnjudged: _unjudged,
    LimitJudged: _judged,
    LimitReported: _reported,
    GroupDefined: _group,
    RiskChecked: _checked,
    BlackoutScheduled: _blackout,
    BlackoutCanceled: _blackout_canceled,
}
