"""The check itself: lockouts first, then whether anything may be judged, then every limit in the order they refuse."""

from __future__ import annotations

import decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from eventstore import StoreError
from eventstore.clock import question_ns
from eventstore.ids import as_id
from eventstore.trading import Allows, RiskChecked, Verdict
from projections.decimals import FIXED
from projections.risk.checks import CHECKS, Finding
from projections.risk.limits.base import escaped
from projections.risk.limits.parameters import KINDS, BadLimit, kind_of, read
from projections.risk.limits.sentences import until
from projections.risk.proposals import Cancel, MissingInput, Proposal, Situation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from eventstore.clock import Times
    from projections.book import Book
    from projections.risk.limits.parameters import Parameters
    from projections.risk.standing import Standing
    from projections.views.blackouts import Blackout
    from projections.views.limits.view import Limit
    from projections.views.lockouts.view import Lockout

    Ask = Callable[[Situation, Limit, Any], Finding | None]

INPUT, READINESS, QUOTES, BLACKOUT = "input", "readiness", "quotes", "blackout"
"""What findings are called that no limit leads to; what a lockout leads to has the lockout's own rule."""
ATTEMPTS = 4
FINDINGS_MAX = 200
REASON_MAX = 500
_PASS, _WARNING, _REJECT = Verdict.PASS, Verdict.WARNING, Verdict.REJECT
_ORDER = {kind: number for number, kind in enumerate(CHECKS)}


class Checked(msgspec.Struct, frozen=True):
    """What the checks say: the gravest verdict, what each rule said, and why, as a trader wants to read it."""

    verdict: Verdict
    findings: tuple[Finding, ...]
    rule_id: str | None = None
    reason: str = ""

    @property
    def passed(self) -> bool:
        """Whether the order may be sent: a warning does not stop it."""
        return self.verdict is not _REJECT


def check(book: Book, order: Proposal | Cancel, now: Times, *, record: bool = False) -> Checked:
    """Return what every rule says of an order at an instant, an aware datetime or UNIX ns.

    Lockouts come first: under REDUCE_ONLY cancels and pure reductions pass, under NOTHING only what a pending
    enforcement request caused. What can only reduce a position passes every other check too. New exposure is refused
    while the book is behind its log or closed, while policies have not decided or have failed, while an open position
    has no fresh quote, and where an input of any check is missing, stale or no number, or a limit cannot be read.
    Limits whose severity is WARNING never refuse. Of several refusals the first counts: maximum position and
    contracts, available balance, losses and profit, drawdown, concentration, order size, trades, blocked symbols,
    blackouts.

    All answers are of one position of the log, whatever other threads append meanwhile. `record`: append the answer
    as RiskChecked.
    """
    at = question_ns(now)
    for _ in range(ATTEMPTS):
        position = book.position
        checked = _checked(book, order, at)
        if book.stood_at(position):
            break
    else:
        with book.still():
            checked = _checked(book, order, at)
    if record:
        _record(book, order, checked)
    return checked


def _checked(book: Book, order: Proposal | Cancel, at: int) -> Checked:
    with decimal.localcontext(FIXED):
        try:
            findings = _found_of_cancel(book, order, at) if isinstance(order, Cancel) else _found(book, order, at)
        except (StoreError, ArithmeticError) as error:
            findings = [Finding(READINESS, _REJECT, reason=_said(error))]
    worst = None
    for finding in findings:
        if finding.verdict is _REJECT:
            worst = finding
            break
        if worst is None and finding.verdict is not _PASS:
            worst = finding
    if worst is None:
        return Checked(_PASS, tuple(findings))
    what = "Cancel" if isinstance(order, Cancel) else "Order"
    said = f"{what} blocked" if worst.verdict is _REJECT else f"{what} allowed, with a warning"
    return Checked(worst.verdict, tuple(findings), worst.rule_id, f"{said}: {worst.reason}")


def _said(error: Exception) -> str:
    """Return what an error says: those of arithmetic say no more than their class."""
    return str(error) if isinstance(error, StoreError) else f"it cannot be computed ({type(error).__name__})"


def _found_of_cancel(book: Book, order: Cancel, at: int) -> list[Finding]:
    if not book.covers(order.account):
        return [Finding(READINESS, _REJECT, reason=f"{book!r} knows nothing of account {order.account}")]
    if book.lockouts.active(order.account, at):
        # Which lockouts touch it is for the order to say, as far as the book knows it.
        known = book.orders.get(order.account, order.order_id)
        if known is not None and known.symbol is not None:
            order = msgspec.structs.replace(order, symbol=known.symbol)
    return _of_lockouts(book, order, at, reduces=True)


def _found(book: Book, order: Proposal, at: int) -> list[Finding]:
    """Return what is found, up to the first refusal that no later one can add to."""
    wrong = order.wrong()
    if wrong is not None:
        return [Finding(INPUT, _REJECT, reason=wrong)]
    situation = Situation(book, order, at)
    reduces = situation.is_reduction
    locked = _of_lockouts(book, order, at, reduces=reduces)
    if locked or reduces:
        return locked
    unready = _unready(book, order.account)
    if unready is not None:
        return [Finding(READINESS, _REJECT, reason=unready)]
    findings = [*_unquoted(situation), *_of_limits(situation)]
    if situation.standing.blackouts:
        findings += _of_blackouts(situation)
    return findings


def _of_limits(situation: Situation) -> list[Finding]:
    findings, groups = [], situation.standing.groups
    for limit, ask, parameters, group, why in _judged(situation.standing):
        finding = groups[group].get(limit.position) if group is not None else None
        if finding is None:
            finding = _asked(situation, limit, ask, parameters) if ask is not None else _refusing(limit, why)
            if group is not None and finding is not None and finding.verdict is _PASS:
                # It passes every order until something else is realized or counted.
                groups[group][limit.position] = finding
        if finding is not None:
            findings.append(finding)
    return findings


def _asked(situation: Situation, limit: Limit, ask: Ask, parameters: Parameters | None) -> Finding | None:
    try:
        return ask(situation, limit, parameters)
    except (StoreError, ArithmeticError) as error:
        return _refusing(limit, f"{limit.rule_id} cannot be checked: {_said(error)}")


def _refusing(limit: Limit, why: str) -> Finding:
    return Finding(limit.rule_id, _REJECT, reason=why)


def _of_lockouts(book: Book, order: Proposal | Cancel, at: int, *, reduces: bool) -> list[Finding]:
    """Return the lockouts that the order is not allowed under."""
    active = book.lockouts.active(order.account, at, order.symbol)
    if not active or _is_wanted(book, order):
        return []
    return [
        Finding(lockout.rule_id, _REJECT, reason=_why(book, lockout))
        for lockout in active
        if not (reduces and lockout.allows is Allows.REDUCE_ONLY)
    ]


def _is_wanted(book: Book, order: Proposal | Cancel) -> bool:
    """Tell whether a pending enforcement request caused an order."""
    cause = as_id(order.caused_by)
    return cause is not None and any(request.id == cause for request in book.enforcement.pending(order.account))


def _why(book: Book, lockout: Lockout) -> str:
    scope = "" if lockout.scope == "account" else f" for {lockout.scope.partition(':')[2]}"
    # A reason may say until when; what was extended since then holds longer.
    reason = lockout.reason.partition("; locked ")[0] or lockout.rule_id
    return f"{reason}{scope}; {until(book, lockout.account, lockout.ends_at)}"


def _unready(book: Book, account: str) -> str | None:
    if not book.is_caught_up:
        return f"the book stands at position {book.position:,} and the log goes on: refresh it first"
    listener = book.listener
    if listener is not None and not listener.settled_for(account):
        return f"the policies have not decided everything yet, or failed: {listener!r}"
    return None


def _unquoted(situation: Situation) -> list[Finding]:
    findings = []
    for held in situation.standing.positions:
        try:
            situation.quoted(held.symbol)
        except MissingInput as error:
            findings.append(Finding(QUOTES, _REJECT, reason=f"an open position cannot be valued: {error}"))
    return findings


class _Judged(NamedTuple):
    """A limit with how it is checked; where its parameters cannot be read, why.

    `group` is that of the standing's for as long as which an order that passes lets all others pass.
    """

    limit: Limit
    ask: Ask | None = None
    parameters: Parameters | None = None
    group: str | None = None
    why: str = ""


def _judged(standing: Standing) -> tuple[_Judged, ...]:
    """Return the limits that are checked, in the order in which they are."""
    return standing.kept("limited", "judged", lambda: tuple(sorted(_judges(standing), key=_rank)))


def _rank(judged: _Judged) -> tuple[int, str]:
    return _ORDER.get(kind_of(judged.limit.rule_id), len(_ORDER)), judged.limit.rule_id


def _judges(standing: Standing) -> Iterator[_Judged]:
    for limit in standing.limits:
        kind = kind_of(limit.rule_id)
        judge, parameters_of = CHECKS.get(kind), KINDS.get(kind)
        if parameters_of is None:
            # Some rule of the user's own, who checks it.
            continue
        try:
            parameters = read(limit, parameters_of)
        except BadLimit as error:
            yield _Judged(limit, why=str(error))
            continue
        if parameters.enabled and judge is not None:
            yield _Judged(limit, judge.check, parameters, judge.lasts(parameters))


def _of_blackouts(situation: Situation) -> list[Finding]:
    book, account = situation.book, situation.account
    names = set(situation.standing.names(situation.symbol))
    active = [
        blackout
        for blackout in situation.standing.blackouts
        if blackout.is_active(situation.at) and (not blackout.symbols or not names.isdisjoint(blackout.symbols))
    ]
    active.sort(key=lambda blackout: (blackout.start, blackout.position))
    return [Finding(BLACKOUT, _REJECT, reason=_blacked_out(book, account, blackout)) for blackout in active]


def _blacked_out(book: Book, account: str, blackout: Blackout) -> str:
    why = blackout.reason or blackout.source or blackout.name
    symbols = f" for {', '.join(blackout.symbols)}" if blackout.symbols else ""
    return f"blackout{symbols} ({why}); {until(book, account, blackout.stop)}"


def _record(book: Book, order: Proposal | Cancel, checked: Checked) -> None:
    side = quantity = None
    if isinstance(order, Proposal) and order.wrong() is None:
        side, quantity = order.side, order.quantity
    event = RiskChecked(
        verdict=checked.verdict,
        order_id=order.order_id,
        rule_id=checked.rule_id,
        reason=checked.reason,
        symbol=order.symbol if isinstance(order.symbol, str) else None,
        side=side,
        quantity=quantity,
        figures=_figures(checked),
    )
    book.append(f"risk/{order.account}/{escaped(order.order_id or '-')}", event)


def _figures(checked: Checked) -> dict[str, dict[str, str]]:
    """Return what each rule said, the gravest first where there is no room for all; two of one name are told apart."""
    found: dict[str, dict[str, str]] = {}
    by_gravity = sorted(checked.findings, key=lambda each: (_REJECT, _WARNING, _PASS).index(each.verdict))
    for finding in by_gravity[:FINDINGS_MAX]:
        name, number = finding.rule_id, 1
        while name in found:
            number += 1
            name = f"{finding.rule_id} ({number})"
        told = {"verdict": finding.verdict, "figure": finding.figure, "limit": finding.limit}
        found[name] = {key: str(value) for key, value in told.items() if value is not None}
        if finding.reason:
            found[name]["reason"] = finding.reason[:REASON_MAX]
    return found
