"""`dispute`: days and accounts that are refused, what is said to be not known, and figures equal to book and `why`."""

from __future__ import annotations

import random
from datetime import date
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

import eventstore
from eventstore import InvalidEvent, Record
from eventstore.reader import EventReader
from eventstore.trading import (
    KeptQuote,
    LimitReported,
    LockoutCleared,
    LockoutSet,
    NoteAdded,
    OrderFilled,
    Protection,
    ProtectionMode,
    QuotesKept,
    Side,
)
from projections import as_of, auditing
from projections.auditing import Dispute, Evidence, evidence_of
from projections.risk.policies import Policies
from projections.rules import shipped_rules
from tests.auditing.statement_desk import BUY, SELL, Desk
from tests.projections import rules_day
from tests.projections.firm import Firm
from tests.projections.rules_day import HOUR, NOON, SECOND, Day, at, trading_day

FRIDAY = date(2026, 11, 20)


def asked(day: Day, when: date | str = FRIDAY) -> Dispute:
    return auditing.dispute(day.store, "A", when)


def lose(day: Day) -> Record:
    """Lose 1,254 by a round trip, whose second fill locks the account."""
    day.fill(Side.BUY, "5000", fee="2")
    day.quote("5000")
    return day.fill(Side.SELL, "4975", fee="2")


# What is refused


@pytest.mark.parametrize("account", ["B", "-", "", "A/B"])
def test_an_account_without_records_is_refused(day: Day, account: str) -> None:
    with pytest.raises(InvalidEvent):
        auditing.dispute(day.store, account, FRIDAY)


@pytest.mark.parametrize(
    "when", ["yesterday", "2026-13-01", "20.11.2026", "", 20261120, NOON, "9999-12-31", "0001-01-01"]
)
def test_what_is_not_a_date_is_refused(day: Day, when: str) -> None:
    with pytest.raises(InvalidEvent, match="not a trading day"):
        asked(day, when)


def test_a_weekend_s_date_is_refused_with_the_trading_day_that_it_lies_in(day: Day) -> None:
    day.end()
    with pytest.raises(
        InvalidEvent, match="2026-11-21, a Saturday, is not a trading day of A: it lies in that of 2026-11-23"
    ):
        asked(day, "2026-11-21")


def test_a_day_of_which_nothing_is_known_is_empty_and_says_so(day: Day) -> None:
    lose(day)
    found = asked(day, "2026-11-10")
    assert not found.has_records
    assert (found.timeline, found.lockouts, found.limits, found.headroom, found.main) == ((), (), (), (), None)
    assert any("no session says so" in each for each in found.unknown)
    assert evidence_of(found) == Evidence(1, 0, ())


def test_an_account_that_nobody_opened_on_a_log_without_policies_is_answered(tmp_path: Path) -> None:
    with eventstore.open(tmp_path / "data") as store:
        fill = OrderFilled(trade_id="T", symbol="ES", side=Side.BUY, quantity=Decimal(1), price=Decimal(5000))
        store.append("order/A/1", fill, occurred_at=NOON)
        found = auditing.dispute(store, "A", "2026-11-20")
    assert (found.is_stated, found.since, found.until) == (False, at(20, 0), at(21, 0))
    assert [entry.position for entry in found.timeline] == [1]
    said = " ".join(found.unknown)
    assert "no record opens it" in said
    assert "none is known to have run on log main" in said
    assert "no session says so" in said
    assert "no statement was given" in said


# A lockout


def test_a_lockout_has_its_limit_its_figure_and_the_executions_behind_it(day: Day) -> None:
    crossing = lose(day)
    [setting] = day.lockouts()
    quotes = QuotesKept(quotes=(KeptQuote(symbol="ES", at=NOON, last=Decimal(5000)),), since=NOON - 60 * SECOND)
    [kept] = day.book.append(f"evidence/A/{setting.occurred_at // (60 * SECOND)}", quotes, causation_id=setting.id)
    found = asked(day)
    [locked] = found.lockouts
    assert locked is found.main
    [record] = day.lockouts()
    event = record.event
    assert isinstance(event, LockoutSet)
    assert isinstance(event.details, dict)
    figure = locked.figure
    assert figure is not None
    assert (figure.amount, figure.limit) == (Decimal(event.details["figure"]), Decimal(event.details["limit"]))
    assert (locked.position, locked.actor, locked.set_on_day, locked.would) == (
        record.position,
        record.actor,
        True,
        False,
    )
    assert [each.record.actor for each in locked.limits] == ["risk@desk"]
    assert locked.trigger is not None
    assert locked.trigger.record.position == crossing.position
    assert len(locked.executions) == 2
    assert sum(each.amount for each in locked.contributions()) == figure.amount == Decimal(-1254)
    assert [each.record.position for each in locked.quotes] == [kept.position]
    assert found.said(lambda _: "noon").startswith("A on 2026-11-20: was locked by daily-loss at noon: daily loss")
    assert auditing.why(day.store, locked.lockout, zone=ZoneInfo("America/Chicago")) == locked.why


def test_it_is_the_same_of_a_source_without_indexes(day: Day) -> None:
    lose(day)
    here, there = asked(day), auditing.dispute(EventReader(day.store._source), "A", FRIDAY)
    assert [each.lockout for each in there.lockouts] == [each.lockout for each in here.lockouts]
    assert there.headroom == here.headroom
    assert there.limits == here.limits
    # Policies' own records show that they ran, wherever the log is read.
    assert there.unknown == here.unknown
    assert not any("policies" in each for each in here.unknown)


def test_a_lockout_that_was_cleared_has_its_course(tmp_path: Path) -> None:
    day = trading_day(tmp_path / "data")
    day.book.append("lockout/A/manual", LockoutSet(rule_id="manual", reason="wait"), actor="kim")
    day.pass_seconds(60)
    day.book.append("lockout/A/manual", LockoutCleared(rule_id="manual", reason="fine"), actor="ana")
    [locked] = asked(day).lockouts
    assert [(each.record.type, each.actor) for each in locked.course] == [
        ("LockoutSet", "kim"),
        ("LockoutCleared", "ana"),
    ]
    assert (locked.figure, locked.executions, locked.actor) == (None, (), "kim")
    assert locked.lockout.ended_by is not None
    assert "ana" in locked.lockout.ended_by
    day.close()


def test_of_several_lockouts_the_first_one_set_on_the_day_is_the_main_one(day: Day) -> None:
    day.end()
    day.book.append(
        "lockout/A/early", LockoutSet(rule_id="early", revocable=False), occurred_at=at(20, 22), actor="kim"
    )
    day.clock.set(at(23, 15))
    day.limit("weekly-loss", limit="5000")
    lose(day)
    day.book.append("lockout/A/manual", LockoutSet(rule_id="manual"), actor="kim")
    found = asked(day, "2026-11-23")
    assert [each.lockout.rule_id for each in found.lockouts if each.set_on_day] == ["daily-loss", "manual"]
    assert [each.lockout.rule_id for each in found.lockouts if not each.set_on_day] == ["early"]
    assert found.main is not None
    assert found.main.lockout.rule_id == "daily-loss"
    assert not next(each for each in found.lockouts if not each.set_on_day).lockout.revocable
    # What ended before a day did not hold on it.
    assert [each.lockout.rule_id for each in asked(day, FRIDAY).lockouts] == ["early"]


def test_a_group_s_lockout_has_the_executions_of_all_its_members(tmp_path: Path) -> None:
    firm = Firm(tmp_path / "data", "A", "B", "C")
    firm.group("A", "B")
    setting = firm.limit("daily-loss", limit="1000")
    other = firm.make("A", "-600")
    firm.make("B", "-400")
    found = auditing.dispute(firm.store, "B", FRIDAY)
    [locked] = found.lockouts
    assert locked.lockout.rule_id == "group:desk:daily-loss"
    assert {each.record.account for each in locked.executions} == {"A", "B"}
    assert [(each.rule_id, each.setting.position) for each in found.limits] == [
        ("group:desk:daily-loss", setting.position)
    ]
    # The group's headroom rests on all members, and their executions are proved one by one.
    last = found.headroom[-1].of
    assert [(each.rule_id, each.figure) for each in last] == [("group:desk:daily-loss", Decimal(1000))]
    assert {other.position, setting.position} <= set(evidence_of(found).others)
    firm.close()


def test_in_shadow_mode_nothing_was_locked_and_it_says_what_would_have_been(tmp_path: Path) -> None:
    day = Day(tmp_path / "data", shipped_rules())
    day.open_account()
    day.define("ES")
    day.book.append("account/A/-", ProtectionMode(mode=Protection.SHADOW, reason="trial"), actor="kim")
    day.begin()
    day.limit("daily-loss", limit="1000", basis="equity")
    lose(day)
    found = asked(day)
    assert [(each.would, each.lockout.rule_id) for each in found.lockouts] == [(True, "daily-loss")]
    assert [(each.mode, each.actor) for each in found.modes] == [(Protection.SHADOW, "kim")]
    assert "would have been locked" in found.sentence
    day.close()


# Limits, headroom, the firm


def test_each_setting_of_a_limit_has_the_part_of_the_day_in_which_it_was_in_force(day: Day) -> None:
    day.pass_seconds(60)
    tighter = day.limit("daily-loss", limit="900", basis="equity")
    day.pass_seconds(60)
    looser = day.limit("daily-loss", limit="2000", basis="equity")
    found = asked(day).limits
    assert [each.setting.parameters["limit"] for each in found] == ["1000", "900", "2000"]
    assert found[0].until == found[1].since == tighter.recorded_at
    # A loosening waits for the next session.
    assert (found[2].setting.position, found[2].since, found[1].until) == (looser.position, None, None)


def test_the_firm_s_own_figures_stand_beside_ours(day: Day) -> None:
    day.make("-200")
    report = LimitReported(kind="daily-loss", figure=Decimal(190), limit=Decimal(1000), currency="USD")
    day.book.append("limits/A/daily-loss", report, actor="firm")
    day.end()
    late = LimitReported(
        kind="daily-loss", figure=Decimal(200), reported_at=NOON + HOUR, trading_day=FRIDAY, currency="USD"
    )
    day.book.append("limits/A/daily-loss", late, actor="firm")
    day.book.append("limits/A/trade-limit", LimitReported(kind="trade-limit", figure=Decimal(2), trading_day=FRIDAY))
    found = asked(day).firm
    assert [(each.report.figure, each.figure) for each in found[:2]] == [
        (Decimal(190), Decimal(200)),
        (Decimal(200), Decimal(200)),
    ]
    assert (found[2].figure, found[2].why) == (None, "no such limit was in force here")


def test_the_headroom_is_that_of_the_book_at_each_instant(day: Day) -> None:
    day.limit("maximum-position", limit="3")
    lose(day)
    found = asked(day).headroom
    assert [point.type for point in found].count("OrderFilled") == 2
    for point in found:
        past = as_of(day.store, position=point.position, account="A")
        assert past.limits.headroom("A", point.at) == point.of
    [record] = day.lockouts()
    figures = {each.rule_id: each.figure for point in found if point.position == record.position for each in point.of}
    assert figures["daily-loss"] == Decimal(1254)


@pytest.mark.parametrize("seed", range(4))
def test_figures_of_random_days_are_those_of_book_and_why(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    day = Day(tmp_path / "data", shipped_rules())
    day.open_account()
    day.define("ES")
    day.begin()
    day.limit("daily-loss", limit=str(chance.choice([300, 600, 900])))
    day.limit("trade-limit", limit=40)
    for _ in range(25):
        day.pass_seconds(chance.randrange(1, 60))
        day.make(str(chance.randrange(-12, 9) * 25), fee=str(chance.randrange(3)), when=_when(day, chance))
    found = asked(day)
    for point in chance.sample(found.headroom, 5):
        assert as_of(day.store, position=point.position, account="A").limits.headroom("A", point.at) == point.of
    locks = [each for each in day.lockouts() if each.account == "A"]
    assert [each.position for each in found.lockouts] == [each.position for each in locks]
    for each in found.lockouts:
        assert each.figure is not None
        assert each.figure.added is None or each.figure.added == sum(part.amount for part in each.contributions())
    own = [record.position for record in day.store.read(account="A") if found.since <= record.occurred_at < found.until]
    assert [entry.position for entry in found.timeline] == own
    day.close()


def _when(day: Day, chance: random.Random) -> int | None:
    """Return when a trade occurred: now, or some time before."""
    return None if chance.random() < 0.8 else day.clock.now_ns() - chance.randrange(600) * SECOND


def test_what_ended_or_was_replaced_before_a_day_did_not_hold_on_it(day: Day) -> None:
    day.pass_seconds(60)
    day.limit("daily-loss", limit="900", basis="equity")
    day.book.append("lockout/A/manual", LockoutSet(rule_id="manual"), actor="kim")
    day.book.append("lockout/A/manual", LockoutCleared(rule_id="manual"), actor="ana")
    day.end()
    assert [each.lockout.rule_id for each in asked(day).lockouts] == ["manual"]
    assert len(asked(day).limits) == 2
    monday = asked(day, "2026-11-23")
    assert monday.lockouts == ()
    assert [each.setting.parameters["limit"] for each in monday.limits] == ["900"]


# The timeline, notes and evidence


def test_what_was_recorded_on_the_day_about_another_is_shown_and_an_import_is_not(day: Day) -> None:
    yesterday = [day.fill(Side.BUY, "5000", when=NOON - 24 * HOUR) for _ in range(3)]
    shown = {entry.position for entry in asked(day).timeline}
    assert shown >= {record.position for record in yesterday}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("projections.auditing.disputes.course.OTHERS_MAX", 2)
        found = asked(day)
    assert not {entry.position for entry in found.timeline} & {record.position for record in yesterday}
    assert any("3 records of other days" in each for each in found.unknown)


def test_notes_about_the_day_its_records_and_streams_are_shown(day: Day) -> None:
    fill = day.fill(Side.BUY, "5000")
    for number, target in enumerate(("day/A/2026-11-20", str(fill.uuid), fill.stream, "day/A/2026-11-19")):
        day.book.append(f"note/A/{number}", NoteAdded(target=target, text=str(number)))
    assert [note.text for note in asked(day).notes] == ["0", "1", "2"]


def test_a_late_record_is_proved_by_itself(day: Day) -> None:
    lose(day)
    day.end()
    day.clock.set(at(25, 15))
    late = day.fill(Side.BUY, "5000", when=NOON)
    chosen = evidence_of(asked(day))
    assert late.position in chosen.others
    assert chosen.last < late.position


# The statement


def test_the_breaks_of_the_day_are_the_statement_s() -> None:
    desk = Desk()
    desk.trade("T1", BUY, 1, "5000", 10)
    desk.trade("T2", SELL, 1, "5010", 20)
    assert auditing.dispute(desk.store, "A", "2025-11-18", stated=desk.stated()).statement is not None
    desk.change("T2", price=Decimal(5011))
    found = auditing.dispute(desk.store, "A", "2025-11-18", stated=desk.stated()).statement
    assert found is not None
    assert [str(each.kind) for each in found.breaks] == ["OTHER_PRICE"]


def test_a_statement_of_another_account_is_refused_and_one_of_other_days_is_not_compared() -> None:
    desk = Desk()
    desk.trade("T1", BUY, 1, "5000", 10)
    desk.each(lambda _: {"at": NOON})
    found = auditing.dispute(desk.store, "A", "2025-11-18", stated=desk.stated())
    assert found.statement is None
    assert any("file is of other days" in each for each in found.unknown)
    desk.each(lambda _: {"account": "B"})
    with pytest.raises(InvalidEvent, match="file has rows of B, and none of A"):
        auditing.dispute(desk.store, "A", "2025-11-18", stated=desk.stated())


def test_policies_that_never_ran_are_not_taken_for_judging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules_day, "completed", list)
    day = trading_day(tmp_path / "data")
    day.limit("daily-loss", limit="1000")
    lose(day)
    found = asked(day)
    assert found.lockouts == ()
    assert found.headroom[-1].of[0].figure == Decimal(1254)
    assert any("whether policies judged A" in each for each in found.unknown)
    assert isinstance(day.policies, Policies)
    day.close()
