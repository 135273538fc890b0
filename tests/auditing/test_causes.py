"""`why`: what it refuses, what it says that is not known, the causes of each kind of record, and their effects."""

# A Decimal equals the int that stands for it here, which mypy does not know of members of a tuple.
# mypy: disable-error-code="comparison-overlap"

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

import projections
from eventstore import Event, InvalidEvent, Record
from eventstore.reader import EventReader
from eventstore.trading import (
    AccountOpened,
    BlackoutScheduled,
    EnforcementRequested,
    FeeCharged,
    LimitBreached,
    LimitsSet,
    LockoutCleared,
    LockoutSet,
    NoteAdded,
    OrderFilled,
    OrderSubmitted,
    QuotesKept,
    RiskChecked,
    Side,
    TradeBusted,
)
from projections import auditing
from projections.auditing import Role, Why
from projections.auditing.causes import downward
from projections.risk import Proposal, check
from projections.risk.checking import append_answer
from tests.projections.rules_day import Day


def of_type(day: Day, *types: type[Event]) -> list[Record]:
    return list(day.store.read(types=types))


def roles(why: Why) -> list[tuple[Role, str]]:
    """Return the links at the top of the tree of causes."""
    return [(each.role, each.record.type) for each in why.causes]


def at(why: Why, role: Role) -> list[int]:
    return [each.record.position for each in why.of_role(role)]


def lose(day: Day) -> tuple[Record, Record]:
    """Lose 1,250 by a round trip; return the fills, the second of which locks the account."""
    first = day.fill(Side.BUY, "5000", fee="2")
    day.quote("5000")
    return first, day.fill(Side.SELL, "4975", fee="2")


# What is refused


@pytest.mark.parametrize(
    ("about", "account", "said"),
    [
        (99_999, None, "position 99999 is not in log main, which ends at"),
        (0, None, "position 0 is not in log main"),
        (-1, None, "position -1 is not in log main"),
        ("99999", None, "position 99999 is not in log main"),
        (1_790_000_000_000_000_000, None, "it looks like a time in nanoseconds"),
        (True, None, "True is nothing that why can answer"),
        (1.5, None, "1.5 is nothing that why can answer"),
        (None, None, "None is nothing that why can answer"),
        (b"short", None, "an id is a UUID or its 16 bytes"),
        (uuid.UUID(int=7), None, "log main has no record with id 00000000-0000-0000-0000-000000000007"),
        (str(uuid.UUID(int=7)), None, "log main has no record with id"),
        ("order/A/O-404", None, "log main has no such stream: 'order/A/O-404'"),
        ("order/A/O1", "B", "order/A/O1 is of account A, not of B"),
        ("lockout", None, "name the account"),
        ("realized", None, "name the account"),
        ("lockout", "B", "B was never locked"),
        ("realised", "A", "A has neither a figure nor a limit 'realised': figures are realized, balance"),
        ("realized", "Z", "log main has no records of account Z"),
        ("realized", "no/name", "account"),
        ("", "A", "A has neither a figure nor a limit ''"),
    ],
)
def test_what_the_log_does_not_have_is_refused(day: Day, about: Any, account: str | None, said: str) -> None:  # noqa: ANN401 - as a caller may give it
    with pytest.raises(InvalidEvent, match=said):
        auditing.why(day.store, about, account=account)


def test_a_record_of_another_log_is_not_taken_for_this_log_s(day: Day) -> None:
    record = day.fill(Side.BUY, "5000")
    for foreign in (replace(record, position=99_999), replace(record, id=bytes(16)), replace(record, log="other")):
        with pytest.raises(InvalidEvent, match=r"is not in log main|is another record"):
            auditing.why(day.store, foreign)


# A lockout


def test_a_lockout_ends_at_the_fills_the_limit_and_the_quotes(day: Day) -> None:
    first, second = lose(day)
    [lockout] = day.lockouts()
    why = auditing.why(day.store, lockout)
    [limit] = of_type(day, LimitsSet)
    assert at(why, Role.CAUSE) == [second.position]
    assert at(why, Role.LIMIT) == [limit.position]
    assert at(why, Role.EXECUTION) == [first.position, second.position]
    assert {each.record.position: each.amounts for each in why.of_role(Role.EXECUTION)} == {
        first.position: {"USD": Decimal(-2)}, second.position: {"USD": Decimal(-1252)}
    }  # fmt: skip
    assert at(why, Role.QUOTES) == [each.position for each in of_type(day, QuotesKept)]
    [figure] = why.figures
    assert (figure.amount, figure.limit, figure.added, figure.currency) == (-1254, -1000, -1254, "USD")
    assert figure.terms["realized"] == "-1250"
    assert (why.unknown, why.effects_until, why.head) == ((), day.store.head(), day.store.head())
    assert next(each.record.actor for each in why.of_role(Role.LIMIT)) == "risk@desk"


@pytest.mark.parametrize("given", ["record", "position", "text", "id", "uuid", "stream", "newest", "lockout"])
def test_a_lockout_may_be_named_in_any_way(day: Day, given: str) -> None:
    lose(day)
    [lockout] = day.lockouts()
    [held] = day.book.lockouts.history("A")
    about: dict[str, Any] = {
        "record": lockout,
        "position": lockout.position,
        "text": str(lockout.position),
        "id": lockout.id,
        "uuid": str(lockout.uuid),
        "stream": "lockout/A/daily-loss",
        "newest": "lockout",
        "lockout": held,
    }
    why = auditing.why(day.store, about[given], account="A" if given == "newest" else None)
    assert why.record == lockout
    assert why.causes == auditing.why(day.store, lockout).causes


def test_what_it_led_to_is_below_it(day: Day) -> None:
    lose(day)
    [lockout] = day.lockouts()
    asked = of_type(day, EnforcementRequested)
    fill = auditing.why(day.store, lockout.causation_id or b"")
    below = {each.record.position: each for top in fill.effects for each in top.walk()}
    assert below[lockout.position].role is Role.EFFECT
    requests = [each for each in asked if each.causation_id == lockout.causation_id]
    assert requests
    assert [(each.role, each.record) for each in below[lockout.position].links[: len(requests)]] == [
        (Role.REQUEST, each) for each in requests
    ]
    day.book.append("lockout/A/daily-loss", LockoutCleared(by="desk", reason="talked"), actor="desk")
    [cleared] = of_type(day, LockoutCleared)
    assert [
        (each.role, each.record) for each in auditing.why(day.store, lockout).effects if each.record == cleared
    ] == [(Role.FOLLOWED, cleared)]
    why = auditing.why(day.store, cleared)
    assert (at(why, Role.ORIGIN), why.record) == ([lockout.position], cleared)


def test_an_order_that_closes_for_a_request_leads_back_to_the_fills(day: Day) -> None:
    day.quote("5000")
    first = day.fill(Side.BUY, "5000", quantity="2")
    second = day.fill(Side.SELL, "4970")
    [lockout] = day.lockouts()
    request = of_type(day, EnforcementRequested)[-1]
    closing = OrderSubmitted(symbol="ES", side=Side.SELL, quantity=Decimal(1))
    [order] = day.book.append("order/A/close", closing, causation_id=request.id)
    filled = OrderFilled(trade_id="C", symbol="ES", side=Side.SELL, quantity=Decimal(1), price=Decimal(4970))
    [fill] = day.book.append("order/A/close", filled)
    why = auditing.why(day.store, fill)
    assert roles(why) == [(Role.ORIGIN, "OrderSubmitted")]
    assert at(why, Role.CAUSE)[-1] == request.position
    assert at(why, Role.LOCKOUT) == [lockout.position]
    assert at(why, Role.EXECUTION) == [first.position, second.position]
    below = auditing.why(day.store, lockout.causation_id or b"")
    assert {order.position, fill.position} <= {each.record.position for top in below.effects for each in top.walk()}


def test_a_decision_without_a_recorded_cause_says_so(day: Day) -> None:
    fill = day.fill(Side.BUY, "5000")
    for price in ("4990", "4970"):
        day.quote(price)
    [lockout] = day.lockouts()
    assert lockout.causation_id is None
    why = auditing.why(day.store, lockout)
    assert any("at a quote or as time passed, neither of which the log holds" in each for each in why.unknown)
    assert at(why, Role.EXECUTION) == [fill.position]
    assert why.figures[0].quotes["ES"]["price"] == "4970"


def test_a_carried_position_leads_back_to_what_opened_it(day: Day) -> None:
    day.limit("daily-loss:realized", limit="1000")
    opened = day.fill(Side.BUY, "5000")
    day.end()
    day.quote("5000")
    closed = day.fill(Side.SELL, "4970")
    [lockout] = [each for each in day.lockouts() if each.stream == "lockout/A/daily-loss:realized"]
    why = auditing.why(day.store, lockout)
    assert (at(why, Role.CARRIED), at(why, Role.EXECUTION)) == ([opened.position], [closed.position])


def test_a_late_fee_and_a_bust_are_among_what_the_figure_is_made_of(day: Day) -> None:
    first, second = day.fill(Side.BUY, "5000"), day.fill(Side.SELL, "4985")
    bought = second.event
    assert isinstance(bought, OrderFilled)
    [gone] = [day.fill(Side.BUY, "5000")]
    lost = gone.event
    assert isinstance(lost, OrderFilled)
    [bust] = day.book.append("trade/A/bust", TradeBusted(trade_id=lost.trade_id, symbol="ES"))
    [fee] = day.book.append("trade/A/fee", FeeCharged(trade_id=bought.trade_id, amount=Decimal(300), symbol="ES"))
    [lockout] = day.lockouts()
    assert lockout.causation_id == fee.id
    why = auditing.why(day.store, lockout)
    assert at(why, Role.AMENDMENT) == [bust.position, fee.position]
    amounts = {each.record.position: each.amounts for each in why.of_role(Role.EXECUTION)}
    assert amounts == {first.position: {}, second.position: {"USD": Decimal(-1050)}}
    assert roles(auditing.why(day.store, bust)) == [(Role.NAMED, "OrderFilled")]
    assert at(auditing.why(day.store, fee), Role.NAMED) == [second.position]


def test_a_manual_lockout_ends_at_who_set_it(day: Day) -> None:
    [record] = day.book.append("lockout/A/manual", LockoutSet(rule_id="manual", reason="enough"), actor="ann@desk")
    why = auditing.why(day.store, record)
    assert (why.causes, why.figures, why.unknown) == ((), (), ())
    assert why.record is not None
    assert why.record.actor == "ann@desk"
    assert "enough" in why.answer


def test_details_that_name_nothing_here_are_said_to(day: Day) -> None:
    details = {"limit_position": 99_999, "marks": [uuid.UUID(int=9).bytes.hex(), "no id"], "trading_day": "soon"}
    event = LockoutSet(rule_id="daily-loss", reason="copied", details=details)
    [record] = day.book.append("lockout/A/daily-loss", event, causation_id=uuid.UUID(int=5), actor="policy:daily-loss")
    why = auditing.why(day.store, record)
    assert why.of_role(Role.LIMIT, Role.MARK, Role.CAUSE) == ()
    text = "\n".join(why.unknown)
    assert "00000000-0000-0000-0000-000000000005, is not in log main" in text
    assert "limit's setting at position 99,999" in text
    assert text.count("the mark ") == 2
    assert "'soon', which position" in text


def test_a_breach_without_a_lockout_has_the_same_causes(day: Day) -> None:
    day.limit("daily-loss:warn", limit="500", severity="WARNING")
    first, second = lose(day)
    [breach] = of_type(day, LimitBreached)
    why = auditing.why(day.store, breach)
    assert at(why, Role.EXECUTION) == [first.position, second.position]
    assert why.figures[0].added == -1254


def test_a_blackout_leads_back_to_its_schedule(day: Day) -> None:
    day.limit("blackout")
    now = day.clock.now_ns()
    event = BlackoutScheduled(start=now, stop=now + 10**12, reason="news")
    [scheduled] = day.book.append("blackout/-/cpi", event)
    day.policies.tick()
    [lockout] = [each for each in day.lockouts() if each.event.rule_id == "blackout"]  # type: ignore[attr-defined]
    assert at(auditing.why(day.store, lockout), Role.SCHEDULE) == [scheduled.position]


# Other records


def test_a_rejected_order_leads_to_the_lockout_that_rejected_it(day: Day) -> None:
    lose(day)
    [lockout] = day.lockouts()
    order = Proposal(account="A", symbol="ES", side=Side.BUY, quantity=Decimal(1), order_id="O-9")
    append_answer(day.book, order, check(day.book, order, day.clock.now_ns()))
    [checked] = of_type(day, RiskChecked)
    assert at(auditing.why(day.store, checked), Role.LOCKOUT) == [lockout.position]


def test_a_note_leads_to_what_it_is_about(day: Day) -> None:
    fill = day.fill(Side.BUY, "5000")
    for name, target in (("1", str(fill.uuid)), ("2", fill.stream), ("3", "day/A/2026-11-20")):
        [note] = day.book.append(f"note/A/{name}", NoteAdded(target=target, text="late"))
        expected = [] if target.startswith("day/") else [fill.position]
        assert at(auditing.why(day.store, note), Role.NAMED) == expected


def test_causes_in_a_circle_and_without_end_are_followed_once(day: Day) -> None:
    """A record may name itself, or one that comes later: a writer may name any id."""
    own, later = uuid.UUID(int=1), uuid.UUID(int=2)
    opened = AccountOpened(starting_balance=Decimal(1), currency="USD")
    [record] = day.store.append("account/C/-", opened, causation_id=later)
    assert any("is not in log" in each for each in auditing.why(day.store, record).unknown)
    previous = record.id
    for number in range(200):
        event = NoteAdded(target="day/C/2026-11-20", text=str(number))
        [record] = day.store.append(f"note/C/{number}", event, causation_id=previous)
        previous = record.id
    why = auditing.why(day.store, record)
    assert any("the chain of causes continues at position" in each for each in why.unknown)
    assert len(why.first_causes) == 1
    first = auditing.why(day.store, "account/C/-")
    assert any("not every effect is listed" in each for each in first.unknown)
    assert own != later


def test_effects_far_away_are_found_where_everything_is_searched(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downward, "WINDOW", 10)
    fill = day.fill(Side.BUY, "5000")
    for number in range(30):
        day.store.append(f"note/A/{number}", NoteAdded(target="day/A/2026-11-20", text="x"))
    [far] = day.store.append("note/A/far", NoteAdded(target=fill.stream, text="x"), causation_id=fill.id)
    near = auditing.why(day.store, fill)
    assert (near.effects, near.effects_until < near.head) == ((), True)
    seen: list[tuple[int, int]] = []
    whole = auditing.why(day.store, fill, everything=True, progress=lambda done, of: seen.append((done, of)))
    assert ([each.record for each in whole.effects], whole.effects_until) == ([far], whole.head)
    assert seen


def test_a_source_without_an_index_of_ids_answers_the_same(day: Day) -> None:
    lose(day)
    [lockout] = day.lockouts()
    reader = EventReader(day.store._source)
    why = auditing.why(reader, lockout.position)
    assert why == auditing.why(day.store, lockout.position)
    with pytest.raises(InvalidEvent, match="has no record with id"):
        auditing.why(reader, uuid.UUID(int=7))


# Figures


def test_figures_are_what_the_book_says_and_add_up(day: Day) -> None:
    first, second = lose(day)
    third = day.fill(Side.BUY, "5000", quantity="2")
    realized = auditing.why(day.store, "realized", account="A")
    assert (realized.figures[0].amount, realized.figures[0].added) == (-1254, -1254)
    assert at(realized, Role.EXECUTION) == [first.position, second.position]
    balance = auditing.why(day.store, "balance", account="A")
    assert (balance.figures[0].amount, balance.figures[0].added) == (48_746, -1254)
    assert len(at(balance, Role.MARK)) == 1
    held = auditing.why(day.store, "position/ES", account="A")
    assert (held.figures[0].amount, at(held, Role.EXECUTION)) == (2, [third.position])
    assert auditing.why(day.store, day.book.positions.get("A", "ES")) == held
    rule = auditing.why(day.store, "daily-loss", account="A")
    assert at(rule, Role.LIMIT) == [each.position for each in of_type(day, LimitsSet)]
    assert rule.figures[0].status is not projections.valuation.Status.KNOWN


def test_a_figure_of_the_past_is_as_it_was(day: Day) -> None:
    first, _ = lose(day)
    then = auditing.why(day.store, "realized", account="A", at=first.recorded_at)
    assert (then.figures[0].amount, at(then, Role.EXECUTION)) == (-2, [first.position])
    with pytest.raises(InvalidEvent, match="has no records of account A up to position 0"):
        auditing.why(day.store, "realized", account="A", at=first.recorded_at - 10**18)


def test_a_notebook_shows_it_escaped(day: Day) -> None:
    event = LockoutSet(rule_id="manual", reason="<b>bad</b>")
    [record] = day.book.append("lockout/A/manual", event, actor="desk")
    shown = auditing.why(day.store, record)._repr_html_()
    assert "<b>bad" not in shown
    assert "&lt;b&gt;bad" in shown
