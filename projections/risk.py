"""Checks before an order: what the book says against every limit, in microseconds."""

from __future__ import annotations

import decimal
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from eventstore import StoreError
from eventstore.ids import as_id
from eventstore.trading import Allows, RiskChecked, Verdict
from projections.checks import CHECKS, Finding, Judge
from projections.proposals import Cancel, MissingInput, Proposal, Situation
from projections.rules.base import escaped
from projections.rules.parameters import BadLimit, kind_of, read
from projections.rules.sentences import until
from projections.view import FIXED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from projections.book import Book
    from projections.rules.parameters import Parameters
    from projections.standing import Standing
    from projections.views.blackouts import Blackout
    from projections.views.limits import Limit
    from projections.views.lockouts import Lockout

LOCKOUT, INPUT, READINESS, QUOTES, BLACKOUT = "lockout", "input", "readiness", "quotes", "blackout"
_SEVERITY = {Verdict.PASS: 0, Verdict.WARNING: 1, Verdict.REJECT: 2}


class Checked(msgspec.Struct, frozen=True):
    """What the checks say: the gravest verdict, what each rule said, and why, as a trader wants to read it."""

    verdict: Verdict
    findings: tuple[Finding, ...]
    rule_id: str | None = None
    reason: str = ""

    @property
    def passed(self) -> bool:
        """Whether the order may be sent: a warning does not stop it."""
        return self.verdict is not Verdict.REJECT


def check(book: Book, order: Proposal | Cancel, now: int, *, record: bool = False) -> Checked:
    """Return what every rule says of an order at an instant (UNIX ns).

    Lockouts come first: under REDUCE_ONLY cancels and pure reductions pass, under NOTHING only what a pending
    enforcement request caused. What can only reduce a position passes every other check too. New exposure is refused
    while the book is behind its log, while policies have not decided or have failed, while an open position has no
    fresh quote, and where an input of any check is missing, stale or no number. Limits whose severity is WARNING
    never refuse. `record`: append the answer as RiskChecked.
    """
    with decimal.localcontext(FIXED):
        findings = tuple(_findings(book, order, now))
    worst = max(findings, key=_gravity) if findings else None
    checked = Checked(Verdict.PASS, findings)
    if worst is not None and worst.verdict is not Verdict.PASS:
        prefix = "Order blocked: " if worst.verdict is Verdict.REJECT else "Order allowed, with a warning: "
        checked = Checked(worst.verdict, findings, worst.rule_id, prefix + worst.reason)
    if record:
        _record(book, order, checked)
    return checked


def _gravity(finding: Finding) -> int:
    return _SEVERITY[finding.verdict]


def _findings(book: Book, order: Proposal | Cancel, now: int) -> Iterator[Finding]:
    """Yield what is found, up to the first refusal that no later one can add to."""
    if isinstance(order, Cancel):
        yield from _of_lockouts(book, order, now, reduces=True)
        return
    wrong = _wrong_input(order)
    if wrong is not None:
        yield Finding(INPUT, Verdict.REJECT, reason=wrong)
        return
    try:
        situation = Situation(book, order, now)
        reduces = situation.is_reduction
    except StoreError as error:
        yield Finding(READINESS, Verdict.REJECT, reason=f"{error}")
        return
    refused = False
    for finding in _of_lockouts(book, order, now, reduces=reduces):
        refused = refused or finding.verdict is Verdict.REJECT
        yield finding
    if not refused and not reduces:
        yield from _of_exposure(book, situation)


def _wrong_input(order: Proposal) -> str | None:
    if not _is_number(order.quantity) or order.quantity <= 0:
        return f"its quantity is {order.quantity}, and a finite Decimal above 0 is wanted"
    for name in ("limit_price", "stop_price"):
        value = getattr(order, name)
        if value is not None and not _is_number(value):
            return f"its {name.replace('_', ' ')} is {value}, and a finite Decimal is wanted"
    return None


def _is_number(value: object) -> bool:
    return isinstance(value, Decimal) and value.is_finite()


def _of_lockouts(book: Book, order: Proposal | Cancel, now: int, *, reduces: bool) -> Iterator[Finding]:
    try:
        active = book.lockouts.active(order.account, now, order.symbol)
    except StoreError as error:
        yield Finding(LOCKOUT, Verdict.REJECT, reason=str(error))
        return
    for lockout in active:
        if (reduces and lockout.allows is Allows.REDUCE_ONLY) or _is_wanted(book, order):
            continue
        yield Finding(lockout.rule_id, Verdict.REJECT, reason=_why(book, lockout))


def _is_wanted(book: Book, order: Proposal | Cancel) -> bool:
    """Tell whether a pending enforcement request caused an order."""
    cause = as_id(order.caused_by)
    return cause is not None and any(request.id == cause for request in book.enforcement.pending(order.account))


def _why(book: Book, lockout: Lockout) -> str:
    scope = "" if lockout.scope == "account" else f" for {lockout.scope.partition(':')[2]}"
    # A reason may say until when; what was extended since then holds longer.
    reason = lockout.reason.partition("; locked ")[0] or lockout.rule_id
    return f"{reason}{scope}; {until(book, lockout.account, lockout.until)}"


def _of_exposure(book: Book, situation: Situation) -> Iterator[Finding]:
    """Yield what is found of an order that adds to what is held."""
    unready = _unready(book)
    if unready is not None:
        yield Finding(READINESS, Verdict.REJECT, reason=unready)
        return
    try:
        yield from _of_market(book, situation)
        judged = _judged(situation.standing)
    except StoreError as error:
        yield Finding(READINESS, Verdict.REJECT, reason=str(error))
        return
    for limit, judge, parameters in judged:
        try:
            finding = judge.check(situation, limit, read(limit, judge.parameters) if parameters is None else parameters)
        except StoreError as error:
            finding = Finding(limit.rule_id, Verdict.REJECT, reason=f"{limit.rule_id} cannot be checked: {error}")
        if finding is not None:
            yield finding


def _of_market(book: Book, situation: Situation) -> Iterator[Finding]:
    for position in situation.standing.positions:
        try:
            situation.quoted(position.symbol)
        except MissingInput as error:
            yield Finding(QUOTES, Verdict.REJECT, reason=f"an open position cannot be valued: {error}")
    for blackout in book.blackouts.active(situation.account, situation.at, situation.symbol):
        yield Finding(BLACKOUT, Verdict.REJECT, reason=_blacked_out(book, situation.account, blackout))


def _judged(standing: Standing) -> tuple[tuple[Limit, Judge, Parameters | None], ...]:
    """Return the limits that are checked, with how; without parameters, where these cannot be read."""
    found: tuple[tuple[Limit, Judge, Parameters | None], ...] = standing.kept(
        "limited", "judged", lambda: tuple(_judges(standing.limits))
    )
    return found


def _judges(limits: Iterable[Limit]) -> Iterator[tuple[Limit, Judge, Parameters | None]]:
    for limit in limits:
        judge = CHECKS.get(kind_of(limit.rule_id))
        if judge is None:
            continue
        try:
            parameters = read(limit, judge.parameters)
        except BadLimit:
            yield limit, judge, None
            continue
        if parameters.enabled:
            yield limit, judge, parameters


def _unready(book: Book) -> str | None:
    if not book.is_caught_up:
        return f"the book stands at position {book.position:,} and the log goes on: refresh it first"
    listener = book.listener
    if listener is not None and not listener.settled:
        return f"the policies have not decided everything yet, or failed: {listener!r}"
    return None


def _blacked_out(book: Book, account: str, blackout: Blackout) -> str:
    why = blackout.reason or blackout.source or blackout.name
    symbols = f" for {', '.join(blackout.symbols)}" if blackout.symbols else ""
    return f"blackout{symbols} ({why}); {until(book, account, blackout.stop)}"


def _record(book: Book, order: Proposal | Cancel, checked: Checked) -> None:
    side = quantity = None
    if isinstance(order, Proposal):
        side, quantity = order.side, order.quantity if _is_number(order.quantity) else None
    event = RiskChecked(
        verdict=checked.verdict,
        order_id=order.order_id,
        rule_id=checked.rule_id,
        reason=checked.reason,
        symbol=order.symbol,
        side=side,
        quantity=quantity,
        figures={finding.rule_id: _figures(finding) for finding in checked.findings},
    )
    book.append(f"risk/{order.account}/{escaped(order.order_id or '-')}", event)


def _figures(finding: Finding) -> dict[str, Any]:
    told = {"verdict": finding.verdict, "figure": finding.figure, "limit": finding.limit, "reason": finding.reason}
    return {name: str(value) for name, value in told.items() if value is not None and value != ""}
