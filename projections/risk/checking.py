"""The check before an order: lockouts, then whether the inputs are ready, then each limit in a fixed order."""

from __future__ import annotations

import decimal
from typing import TYPE_CHECKING

import msgspec

from eventstore import Event, InvalidEvent, StoreError
from eventstore.clock import derived_from, question_ns
from eventstore.errors import shown
from eventstore.readable import Readable
from eventstore.streams import stream_of
from eventstore.trading import Allows, Protection, RiskChecked, Verdict
from projections.decimals import FIXED
from projections.risk.contexts import CheckContext
from projections.risk.contradictions import contradictions
from projections.risk.limits.judging import accounts_of, judges_of, unrun_of
from projections.risk.limits.kind import Finding, message_of
from projections.risk.limits.sentences import until
from projections.risk.policies.liveness import why_unjudged
from projections.risk.proposals import Cancel, MissingInput, Proposal, Replace
from projections.risk.requested import carries_out

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventstore import Record
    from eventstore.clock import Times
    from projections.book import Book
    from projections.risk.limits.judge import Judge
    from projections.views.blackouts import Blackout
    from projections.views.lockouts.lockout import Lockout

INPUT, READINESS, REPORTS, QUOTES, BLACKOUT = "input", "readiness", "reports", "quotes", "blackout"
"""Rule ids of findings that come from no limit; a lockout's finding has the lockout's own rule id."""
ATTEMPTS = 4
FINDINGS_MAX = 200
_FOREVER = 2**63 - 1
REASON_MAX = 500
_PASS, _WARNING, _REJECT = Verdict.PASS, Verdict.WARNING, Verdict.REJECT


class Answer(Readable, msgspec.Struct, frozen=True):
    """The answer of a check: the worst verdict, each rule's finding, and a reason that a trader can read."""

    verdict: Verdict
    findings: tuple[Finding, ...]
    rule_id: str | None = None
    reason: str = ""

    @property
    def passed(self) -> bool:
        """Whether the order may be sent; a warning does not stop it."""
        return self.verdict is not _REJECT

    @property
    def verdicts(self) -> tuple[Finding, ...]:
        """The findings: each rule's own verdict."""
        return self.findings


Checked = Answer
"""The former name."""


def check(book: Book, order: Proposal | Replace | Cancel, now: Times, *, record: bool = False) -> Checked:
    """Check an order against every rule at an instant, an aware datetime or UNIX ns.

    A cancel always passes. Lockouts come first: under REDUCE_ONLY, pure reductions pass; under NOTHING, only what a
    pending enforcement request asks for. An order that can only reduce a position passes every other check too, in a
    book that has folded all of its log. New exposure is rejected while the book is behind its log or closed, in an
    account that nobody opened, in a contract that is not defined or has expired, while policies have not decided or
    have failed, in this process or another, while no process runs those that ran on this log, while a broker's report
    contradicts the records, while an open position has no fresh quote, and if an
    input of any check is missing, stale or not a number, or a limit cannot be read. A replacement is checked with the
    larger of the order's totals. Limits with severity WARNING never reject. Of several rejections the first counts:
    maximum position and contracts, available balance, losses and profit, drawdown, concentration, order size, trades,
    blocked symbols, blackouts.

    In shadow mode none of this rejects, only a lockout in force, an order that cannot be understood, and a book that is
    behind: what would reject is a warning. The lockouts that would be in force are among the findings then.

    What other processes have committed before the call is folded first. All findings are of one log position, whatever
    others append meanwhile. `record`: append the answer as RiskChecked. `submit` also appends the order.
    """
    order = _order_of(order)
    at = question_ns(now, book.now_ns)
    with derived_from(at):
        checked, _ = undisturbed(book, order, at)
    if record:
        append_answer(book, order, checked)
    return checked


def _order_of(order: object) -> Proposal | Replace | Cancel:
    """Return an order about to be sent; raise InvalidEvent for anything else."""
    if not isinstance(order, Proposal | Replace | Cancel):
        cure = "make one by Proposal.of(account, order)" if isinstance(order, Event) else "give one of these"
        msg = f"check takes a Proposal, a Replace or a Cancel, not {shown(order)}: {cure}"
        raise InvalidEvent(msg)
    order_id: object = order.order_id
    if order_id is not None and not isinstance(order_id, str):
        msg = f"an order's id is text, not {shown(order_id)}"
        raise InvalidEvent(msg)
    return order


def undisturbed(book: Book, order: Proposal | Replace | Cancel, at: int) -> tuple[Checked, int]:
    """Return the answer of a check, and the one log position that it is of."""
    for _ in range(ATTEMPTS):
        position = book.position
        checked = _evaluate(book, order, at)
        # Without a lock, another thread may have folded a record between two lookups: such an answer is discarded.
        if book.unchanged_since(position):
            return checked, position
    # The log moves on faster than a check takes: only now is it worth making other threads wait.
    with book.paused():
        return _evaluate(book, order, at), book.position


def _evaluate(book: Book, order: Proposal | Replace | Cancel, at: int) -> Checked:
    with decimal.localcontext(FIXED):
        try:
            findings, is_shadow = _findings_of(book, order, at)
        except (StoreError, ArithmeticError) as error:
            # Fail closed: an input that cannot be read rejects the order.
            findings, is_shadow = [Finding(READINESS, _REJECT, reason=message_of(error))], False
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
    if worst.verdict is _REJECT and is_shadow:
        findings = [each if each.verdict is not _REJECT else each._replace(verdict=_WARNING) for each in findings]
        return Checked(_WARNING, tuple(findings), worst.rule_id, f"{what} allowed, in shadow mode: {worst.reason}")
    outcome = f"{what} blocked" if worst.verdict is _REJECT else f"{what} allowed, with a warning"
    return Checked(worst.verdict, tuple(findings), worst.rule_id, f"{outcome}: {worst.reason}")


def _findings_of(book: Book, order: Proposal | Replace | Cancel, at: int) -> tuple[list[Finding], bool]:
    """Return the findings, and whether the account's shadow mode lets an order pass that they reject."""
    if isinstance(order, Cancel):
        return [], False
    if isinstance(order, Proposal):
        return _findings(book, order, at)
    try:
        proposal = order.proposal(book)
    except MissingInput as error:
        return [Finding(INPUT, _REJECT, reason=str(error))], False
    return _findings(book, proposal, at)


def _findings(book: Book, order: Proposal, at: int) -> tuple[list[Finding], bool]:
    """Return the findings, up to a rejection that makes the remaining checks pointless."""
    error = order.validation_error()
    if error is not None:
        return [Finding(INPUT, _REJECT, reason=error)], False
    # The one look at the log: what others commit after it is as good as committed after the check.
    behind = _why_behind(book)
    context = CheckContext(book, order, at)
    try:
        asked_for = order.caused_by is not None and carries_out(context)
        reduces = asked_for or context.is_reduction
    except (StoreError, ArithmeticError):
        if not _is_shadow(context):
            raise
        asked_for = reduces = False
    locked = [] if asked_for else _lockout_findings(context, _active(context), reduces=reduces)
    # What is held is not certain in a book that lags behind, nor is the mode.
    if not locked and behind is not None:
        locked = [Finding(READINESS, _REJECT, reason=behind)]
    if locked or reduces:
        return locked, False
    if not _is_shadow(context):
        return _against_exposure(context), False
    would_be = _lockout_findings(context, _would_be_active(context), reduces=reduces)
    try:
        return [*would_be, *_against_exposure(context)], True
    except (StoreError, ArithmeticError) as failure:
        return [*would_be, Finding(READINESS, _REJECT, reason=message_of(failure))], True


def _is_shadow(context: CheckContext) -> bool:
    return context.book.shadow.mode(context.account) is Protection.SHADOW


def _against_exposure(context: CheckContext) -> list[Finding]:
    """Return the findings on an order that may increase exposure, in a book that has folded all of its log."""
    unknown = _why_not_ready(context.book, context) or _why_unknown(context)
    if unknown is not None:
        return [Finding(READINESS, _REJECT, reason=unknown)]
    findings = [*_quote_findings(context), *_limit_findings(context)]
    if context.cache.contradictions or context.cache.balance_reports:
        findings[:0] = [Finding(REPORTS, _REJECT, reason=sentence) for sentence in contradictions(context)]
    if context.cache.blackouts:
        findings += _blackout_findings(context)
    return findings


def _limit_findings(context: CheckContext) -> list[Finding]:
    findings: list[Finding] = []
    cache = context.cache
    # What is converted changes with each rate.
    is_converted, by_figures = cache.is_converted, context.figures.findings
    unrun = unrun_of(cache)
    for judge in judges_of(cache):
        if judge in unrun:
            reason = f"{judge.rule_id} cannot be judged: {unrun[judge]}"
            findings.append(Finding(judge.rule_id, _REJECT, reason=reason))
            continue
        position, known = judge.limit.position, by_figures if judge.by_figures else None
        if judge.group is not None and not is_converted:
            known = cache.groups[judge.group]
        found: tuple[Finding, ...] | None = None if known is None else known.get(position)
        if found is None:
            finding = judge.find(context)
            found = () if finding is None else (finding,)
            if known is not None and (finding is None or finding.verdict is _PASS):
                # A PASS does not depend on the order, so it is valid until the group's views change, or the figures.
                # Other verdicts are rare and carry a sentence: they are computed again.
                known[position] = found
        findings += _counted(context, judge, found) if judge.is_of_results else found
    return findings


def _counted(context: CheckContext, judge: Judge, found: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Return a rejection in place of what passes by a limit that could not count results of the order's contract."""
    why = None if judge.parameters is None else context.why_uncounted(judge.parameters.currency)
    if why is None or any(each.verdict is _REJECT for each in found):
        return found
    return (Finding(judge.rule_id, _REJECT, reason=f"{judge.rule_id} cannot be judged: {why}"),)


def _active(context: CheckContext) -> tuple[Lockout, ...]:
    return context.book.lockouts.active_as_folded(context.account, context.at, context.order.symbol)


def _would_be_active(context: CheckContext) -> tuple[Lockout, ...]:
    return context.book.shadow.locks(context.account, context.at, context.order.symbol)


def _lockout_findings(context: CheckContext, active: Sequence[Lockout], *, reduces: bool) -> list[Finding]:
    """Return a finding for each active lockout that does not allow the order, the one that lasts longest first."""
    # Nearly always there is none.
    if not active:
        return []
    against = [each for each in active if not (reduces and each.allows is Allows.REDUCE_ONLY)]
    against.sort(key=lambda each: _FOREVER if each.ends_at is None else each.ends_at, reverse=True)
    return [Finding(each.rule_id, _REJECT, reason=_lockout_reason(context, each)) for each in against]


def _lockout_reason(context: CheckContext, lockout: Lockout) -> str:
    scope = "" if lockout.scope == "account" else f" for {lockout.scope.partition(':')[2]}"
    if scope and context.contract is None:
        scope += f", which {context.symbol} may be: no contract has that name"
    # The reason may say until when, but the lockout may have been extended since: its state has the end.
    reason = lockout.reason.partition("; locked ")[0] or lockout.rule_id
    sentence = f"{reason}{scope}; {until(context.book, lockout.account, lockout.ends_at)}"
    if lockout.ends_at is None and lockout.revocable:
        sentence += f" unless {lockout.rule_id} is cleared"
    return sentence + _reducible_suffix(context) if lockout.allows is Allows.REDUCE_ONLY else sentence


def _reducible_suffix(context: CheckContext) -> str:
    """Return how much an order that is too large may reduce, and what stands in its way."""
    if not context.closable:
        return ""
    cancels = f", or cancel orders for {context.others_against:f} first" if context.others_against else ""
    return f"; to reduce the position, {context.side} at most {context.reducible:f}{cancels}"


def _why_behind(book: Book) -> str | None:
    """Fold what other processes have committed; return why the book has not folded all of its log, if so."""
    if book.is_caught_up or _catches_up(book):
        return None
    return f"the book is at position {book.position:,}, behind its log or closed: refresh it or reopen it"


def _catches_up(book: Book) -> bool:
    book.keep_up()
    return book.is_caught_up


def _why_not_ready(book: Book, context: CheckContext) -> str | None:
    account = context.account
    if (why := book.accounts.why_not_reopened(account)) is not None:
        return why
    accounts = _concerned(context)
    listener = book.listener
    if listener is not None and not all(map(listener.is_caught_up_for, accounts)):
        return (
            f"the policies have not decided on every record yet, or have failed: {listener!r}; "
            "wait for them, or restart the process if they have stopped"
        )
    return next((why for each in accounts if (why := why_unjudged(book, each)) is not None), None)


def _concerned(context: CheckContext) -> tuple[str, ...]:
    """Return the account, and all whose records the figures of its groups rest on.

    What is decided for a member of a group concerns all: a fill of it may lead to a lockout of each.
    """
    account, others = context.account, accounts_of(context.cache)
    return others if len(others) == 1 else (account, *[each for each in others if each != account])


def _why_unknown(context: CheckContext) -> str | None:
    """Return why nothing may be opened: nobody opened the account or defined the contract, or the contract expired."""
    account, contract, cache = context.account, context.contract, context.cache
    if not cache.is_opened:
        return f"account {account} was never opened: append AccountOpened to {stream_of('account', account, '-')}"
    symbol = context.symbol
    if contract is None:
        return f"contract {symbol} is not defined: append ContractDefined to {stream_of('contract', '-', symbol)}"
    if contract.expiry is not None and cache.contract_end(contract.expiry) <= context.at:
        return (
            f"contract {symbol} expired on {contract.expiry}: trade a later one, "
            f"or correct its expiry by ContractDefined in {stream_of('contract', '-', symbol)}"
        )
    return None


def _quote_findings(context: CheckContext) -> list[Finding]:
    standings = context.figures.positions.standings
    return [
        Finding(QUOTES, _REJECT, reason=f"an open position cannot be valued: {standing.why}")
        for standing in standings.values()
    ]


def _blackout_findings(context: CheckContext) -> list[Finding]:
    book, account = context.book, context.account
    active = [
        blackout
        for blackout in context.cache.blackouts
        if blackout.is_active(context.at)
        and (not blackout.symbols or context.cache.named_in(context.symbol or "", blackout.symbols))
    ]
    active.sort(key=lambda blackout: (blackout.start, blackout.position))
    return [Finding(BLACKOUT, _REJECT, reason=_blackout_reason(book, account, blackout)) for blackout in active]


def _blackout_reason(book: Book, account: str, blackout: Blackout) -> str:
    what = blackout.reason or blackout.source or blackout.name
    symbols = f" for {', '.join(blackout.symbols)}" if blackout.symbols else ""
    return f"blackout{symbols} ({what}); {until(book, account, blackout.stop)}"


def append_answer(
    book: Book, order: Proposal | Replace | Cancel, checked: Checked, actor: str | None = None
) -> list[Record]:
    """Append the answer of a check as RiskChecked, by an actor or this process; return its record."""
    side = quantity = symbol = None
    # An invalid side or quantity must not reach the event, which the store would refuse.
    if isinstance(order, Proposal) and order.validation_error() is None:
        side, quantity = order.side, order.quantity
    if not isinstance(order, Replace) and isinstance(order.symbol, str):
        symbol = order.symbol
    event = RiskChecked(
        verdict=checked.verdict,
        order_id=order.order_id,
        rule_id=checked.rule_id,
        reason=checked.reason,
        symbol=symbol,
        side=side,
        quantity=quantity,
        figures=_figures(checked),
    )
    stream = stream_of("risk", order.account, order.order_id or "-")
    return book.append(stream, event, actor=actor, causation_id=order.caused_by)


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
