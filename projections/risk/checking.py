"""The check before an order: lockouts, then whether the inputs are ready, then each limit in a fixed order."""

from __future__ import annotations

import decimal
from typing import TYPE_CHECKING

import msgspec

from eventstore import StoreError
from eventstore.clock import derived_from, question_ns
from eventstore.ids import as_id
from eventstore.streams import stream_of
from eventstore.trading import Allows, RiskChecked, Verdict
from projections.decimals import FIXED
from projections.risk.limits.judging import judges_of
from projections.risk.limits.kind import Finding, message_of
from projections.risk.limits.sentences import until
from projections.risk.proposals import Cancel, CheckContext, Proposal

if TYPE_CHECKING:
    from eventstore.clock import Times
    from projections.book import Book
    from projections.views.blackouts import Blackout
    from projections.views.lockouts.view import Lockout

INPUT, READINESS, QUOTES, BLACKOUT = "input", "readiness", "quotes", "blackout"
"""Rule ids of findings that come from no limit; a lockout's finding has the lockout's own rule id."""
ATTEMPTS = 4
FINDINGS_MAX = 200
REASON_MAX = 500
_PASS, _WARNING, _REJECT = Verdict.PASS, Verdict.WARNING, Verdict.REJECT


class Checked(msgspec.Struct, frozen=True):
    """The answer of a check: the worst verdict, each rule's finding, and a reason that a trader can read."""

    verdict: Verdict
    findings: tuple[Finding, ...]
    rule_id: str | None = None
    reason: str = ""

    @property
    def passed(self) -> bool:
        """Whether the order may be sent; a warning does not stop it."""
        return self.verdict is not _REJECT


def check(book: Book, order: Proposal | Cancel, now: Times, *, record: bool = False) -> Checked:
    """Check an order against every rule at an instant, an aware datetime or UNIX ns.

    Lockouts come first: under REDUCE_ONLY, cancels and pure reductions pass; under NOTHING, only what a pending
    enforcement request caused. An order that can only reduce a position passes every other check too. New exposure is
    rejected while the book is behind its log or closed, while policies have not decided or have failed, while an open
    position has no fresh quote, and if an input of any check is missing, stale or not a number, or a limit cannot be
    read. Limits with severity WARNING never reject. Of several rejections the first counts: maximum position and
    contracts, available balance, losses and profit, drawdown, concentration, order size, trades, blocked symbols,
    blackouts.

    All findings are of one log position, whatever other threads append meanwhile. `record`: append the answer as
    RiskChecked.
    """
    at = question_ns(now, book.now_ns)
    with derived_from(at):
        checked = _undisturbed(book, order, at)
    if record:
        _append_answer(book, order, checked)
    return checked


def _undisturbed(book: Book, order: Proposal | Cancel, at: int) -> Checked:
    for _ in range(ATTEMPTS):
        position = book.position
        checked = _evaluate(book, order, at)
        # Without a lock, another thread may have folded a record between two lookups: such an answer is discarded.
        if book.unchanged_since(position):
            return checked
    # The log moves on faster than a check takes: only now is it worth making other threads wait.
    with book.paused():
        return _evaluate(book, order, at)


def _evaluate(book: Book, order: Proposal | Cancel, at: int) -> Checked:
    with decimal.localcontext(FIXED):
        try:
            findings = _cancel_findings(book, order, at) if isinstance(order, Cancel) else _findings(book, order, at)
        except (StoreError, ArithmeticError) as error:
            # Fail closed: an input that cannot be read rejects the order.
            findings = [Finding(READINESS, _REJECT, reason=message_of(error))]
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
    outcome = f"{what} blocked" if worst.verdict is _REJECT else f"{what} allowed, with a warning"
    return Checked(worst.verdict, tuple(findings), worst.rule_id, f"{outcome}: {worst.reason}")


def _cancel_findings(book: Book, order: Cancel, at: int) -> list[Finding]:
    if not book.covers(order.account):
        return [Finding(READINESS, _REJECT, reason=f"{book!r} does not fold account {order.account}")]
    if book.lockouts.active(order.account, at):
        # A lockout may be of one symbol: take it from the order, not from the caller, if the book knows the order.
        known = book.orders.get(order.account, order.order_id)
        if known is not None and known.symbol is not None:
            order = msgspec.structs.replace(order, symbol=known.symbol)
    return _lockout_findings(book, order, at, reduces=True)


def _findings(book: Book, order: Proposal, at: int) -> list[Finding]:
    """Return the findings, up to a rejection that makes the remaining checks pointless."""
    error = order.validation_error()
    if error is not None:
        return [Finding(INPUT, _REJECT, reason=error)]
    context = CheckContext(book, order.account, at, order)
    reduces = context.is_reduction
    locked = _lockout_findings(book, order, at, reduces=reduces)
    if locked or reduces:
        return locked
    not_ready = _why_not_ready(book, context)
    if not_ready is not None:
        return [Finding(READINESS, _REJECT, reason=not_ready)]
    findings = [*_quote_findings(context), *_limit_findings(context)]
    if context.cache.blackouts:
        findings += _blackout_findings(context)
    return findings


def _limit_findings(context: CheckContext) -> list[Finding]:
    findings, groups = [], context.cache.groups
    # What is converted changes with each rate.
    is_converted = context.cache.is_converted
    for judge in judges_of(context.cache):
        group, position = None if is_converted else judge.group, judge.limit.position
        finding = groups[group].get(position) if group is not None else None
        if finding is None:
            finding = judge.find(context)
            if group is not None and finding is not None and finding.verdict is _PASS:
                # A PASS does not depend on the order, so it is valid until the group's views change. Other verdicts
                # are rare and carry a sentence: they are computed again.
                groups[group][position] = finding
        if finding is not None:
            findings.append(finding)
    return findings


def _lockout_findings(book: Book, order: Proposal | Cancel, at: int, *, reduces: bool) -> list[Finding]:
    """Return a finding for each active lockout that does not allow the order."""
    active = book.lockouts.active(order.account, at, order.symbol)
    if not active or _is_enforcement(book, order):
        return []
    return [
        Finding(lockout.rule_id, _REJECT, reason=_lockout_reason(book, lockout))
        for lockout in active
        if not (reduces and lockout.allows is Allows.REDUCE_ONLY)
    ]


def _is_enforcement(book: Book, order: Proposal | Cancel) -> bool:
    """Return whether a pending enforcement request caused an order."""
    cause = as_id(order.caused_by)
    return cause is not None and any(request.id == cause for request in book.enforcement.pending(order.account))


def _lockout_reason(book: Book, lockout: Lockout) -> str:
    scope = "" if lockout.scope == "account" else f" for {lockout.scope.partition(':')[2]}"
    # The reason may say until when, but the lockout may have been extended since: its state has the end.
    reason = lockout.reason.partition("; locked ")[0] or lockout.rule_id
    return f"{reason}{scope}; {until(book, lockout.account, lockout.ends_at)}"


def _why_not_ready(book: Book, context: CheckContext) -> str | None:
    if not book.is_caught_up:
        return f"the book is at position {book.position:,}, behind its log or closed: refresh it or reopen it"
    listener = book.listener
    if listener is None:
        return None
    # What is decided for a member of a group concerns all: a fill of it may lead to a lockout of each.
    accounts = {context.account, *(each for judge in judges_of(context.cache) for each in judge.members)}
    if not all(listener.is_caught_up_for(account) for account in sorted(accounts)):
        return f"the policies have not decided on every record yet, or have failed: {listener!r}"
    return None


def _quote_findings(context: CheckContext) -> list[Finding]:
    standings = context.figures.positions.standings
    return [
        Finding(QUOTES, _REJECT, reason=f"an open position cannot be valued: {standing.why}")
        for standing in standings.values()
    ]


def _blackout_findings(context: CheckContext) -> list[Finding]:
    book, account = context.book, context.account
    names = set(context.cache.names(context.order.symbol if context.order is not None else ""))
    active = [
        blackout
        for blackout in context.cache.blackouts
        if blackout.is_active(context.at) and (not blackout.symbols or not names.isdisjoint(blackout.symbols))
    ]
    active.sort(key=lambda blackout: (blackout.start, blackout.position))
    return [Finding(BLACKOUT, _REJECT, reason=_blackout_reason(book, account, blackout)) for blackout in active]


def _blackout_reason(book: Book, account: str, blackout: Blackout) -> str:
    what = blackout.reason or blackout.source or blackout.name
    symbols = f" for {', '.join(blackout.symbols)}" if blackout.symbols else ""
    return f"blackout{symbols} ({what}); {until(book, account, blackout.stop)}"


def _append_answer(book: Book, order: Proposal | Cancel, checked: Checked) -> None:
    side = quantity = None
    # An invalid side or quantity must not reach the event, which the store would refuse.
    if isinstance(order, Proposal) and order.validation_error() is None:
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
    book.append(stream_of("risk", order.account, order.order_id or "-"), event)


def _figures(checked: Checked) -> dict[str, dict[str, str]]:
    """Return each finding by rule id, numbered if that repeats; the worst first, in case not all fit."""
    found: dict[str, dict[str, str]] = {}
    by_severity = sorted(checked.findings, key=lambda each: (_REJECT, _WARNING, _PASS).index(each.verdict))
    for finding in by_severity[:FINDINGS_MAX]:
        name, number = finding.rule_id, 1
        while name in found:
            number += 1
            name = f"{finding.rule_id} ({number})"
        values = {"verdict": finding.verdict, "figure": finding.figure, "limit": finding.limit}
        found[name] = {key: str(value) for key, value in values.items() if value is not None}
        if finding.reason:
            found[name]["reason"] = finding.reason[:REASON_MAX]
    return found
