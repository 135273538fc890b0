"""Limits of groups: every member's figure counts, a breach locks every member, and what is unknown rejects."""

from __future__ import annotations

from decimal import Decimal

import pytest

import projections
from eventstore.trading import (
    AccountOpened,
    AccountReopened,
    Allows,
    ContractDefined,
    EnforcementAction,
    GroupDefined,
    LimitBreached,
    LockoutCleared,
    LockoutSet,
    Severity,
    Side,
    Verdict,
)
from tests.projections.firm import DESK, Firm
from tests.projections.rules_day import RESET

pytestmark = pytest.mark.in_each_place(slow=True)

REJECT, PASS = Verdict.REJECT, Verdict.PASS
RULE = "group:desk:daily-loss"


# A breach


def test_the_fill_with_which_two_accounts_reach_the_loss_locks_both_until_the_reset(firm: Firm) -> None:
    firm.limit("daily-loss", limit="1000", action="FLATTEN")
    firm.make("A", "-600")
    assert firm.locked() == []
    crossing = firm.make("B", "-400")
    assert firm.locked() == ["A", "B"]
    records = firm.lockouts()
    assert [record.stream for record in records] == [f"lockout/A/{RULE}", f"lockout/B/{RULE}"]
    assert {record.causation_id for record in records} == {crossing.id}
    for record in records:
        event = record.event
        assert isinstance(event, LockoutSet)
        assert (event.until, event.allows, event.revocable) == (RESET, Allows.REDUCE_ONLY, True)
        assert event.reason == (
            "group desk: daily loss -1,000.00 of -1,000.00 USD reached; locked until 2026-11-20 17:00 CST"
        )
        assert isinstance(event.details, dict)
        assert event.details["accounts"] == {"A": "600", "B": "400"}
    assert [(account, each.action) for account, each in firm.requests()] == [
        ("A", EnforcementAction.CANCEL_ORDERS),
        ("A", EnforcementAction.FLATTEN),
        ("B", EnforcementAction.CANCEL_ORDERS),
        ("B", EnforcementAction.FLATTEN),
    ]
    assert firm.check("A").reason.startswith("Order blocked: group desk: daily loss -1,000.00 of -1,000.00 USD reached")


def test_an_account_outside_the_group_does_not_count_and_is_not_locked(firm: Firm) -> None:
    firm.limit("daily-loss", limit="1000")
    firm.make("C", "-5000")
    firm.make("A", "-999")
    assert firm.locked() == []
    firm.make("A", "-1")
    assert firm.locked() == ["A", "B"]
    assert firm.check("C").verdict is PASS


def test_a_profit_of_one_member_offsets_the_loss_of_another(firm: Firm) -> None:
    firm.limit("daily-loss", limit="1000")
    firm.make("A", "500")
    firm.make("B", "-1499")
    assert firm.locked() == []
    assert firm.headroom("A").left == 1


@pytest.mark.parametrize(("kind", "figure", "sign"), [("weekly-loss", "limit", "-"), ("daily-profit", "target", "")])
def test_a_week_and_a_profit_are_added_up_as_well(firm: Firm, kind: str, figure: str, sign: str) -> None:
    firm.limit(kind, **{figure: "1000"})
    firm.make("A", f"{sign}600")
    firm.make("B", f"{sign}400")
    assert firm.locked() == ["A", "B"]


def test_open_positions_of_both_members_count_and_a_quote_locks_them_once(firm: Firm) -> None:
    firm.limit("daily-loss", limit="1000", basis="equity")
    firm.quote("5000")
    firm.fill("A", Side.BUY, "5000")
    firm.fill("B", Side.BUY, "5000")
    firm.pass_seconds(1)
    firm.quote("4990.01")
    assert firm.locked() == []
    firm.quote("4990")
    firm.quote("4989")
    assert [record.account for record in firm.lockouts()] == ["A", "B"]
    firm.pass_seconds(1)
    firm.policies.tick()
    firm.restart()
    firm.policies.tick()
    assert len(firm.lockouts()) == 2


def test_nothing_irrevocable_follows_from_one_observation(firm: Firm) -> None:
    firm.limit("daily-loss", limit="1000", basis="equity", revocable=False)
    firm.quote("5000")
    firm.fill("A", Side.BUY, "5000")
    firm.fill("B", Side.BUY, "5000")
    firm.pass_seconds(2)
    firm.quote("4990")
    assert (firm.locked(), firm.check("A").verdict) == ([], REJECT)
    firm.pass_seconds(1)
    firm.quote("4990")
    assert firm.locked() == ["A", "B"]


def test_a_lockout_that_was_released_is_not_set_again_by_the_next_tick(firm: Firm) -> None:
    firm.limit("daily-loss", limit="1000")
    firm.make("A", "-1000")
    firm.book.append(f"lockout/B/{RULE}", LockoutCleared(by="risk", reason="released", rule_id=RULE), actor="risk")
    firm.pass_seconds(1)
    firm.policies.tick()
    assert firm.locked() == ["A"]
    firm.make("B", "-1")
    assert firm.locked() == ["A", "B"]


def test_each_member_is_unlocked_at_its_own_reset_and_locked_again_while_the_breach_lasts(firm: Firm) -> None:
    firm.limit("daily-loss", limit="1000")
    firm.make("A", "-400")
    firm.make("B", "-1100")
    firm.clock.set(RESET)
    firm.begin("A")
    firm.policies.tick()
    assert firm.locked() == []
    # B's day is over as well, by the calendar: what either lost belongs to yesterday.
    assert firm.headroom("A").figure == 0


def test_a_warning_is_recorded_once_for_the_group(firm: Firm) -> None:
    firm.limit("daily-loss", limit="1000", severity="WARNING")
    firm.make("A", "-1000")
    firm.make("B", "-50")
    firm.policies.tick()
    [record] = firm.store.read(types=(LimitBreached,))
    assert record.stream == "breach/@desk/daily-loss"
    [breach] = firm.book.limits.breaches(DESK)
    assert (breach.rule_id, breach.severity, breach.figure) == ("daily-loss", Severity.WARNING, Decimal(1_000))
    assert (firm.locked(), firm.check("A").verdict) == ([], Verdict.WARNING)


def test_a_warning_is_recorded_again_in_a_member_s_next_life(firm: Firm) -> None:
    firm.limit("daily-loss", limit="1000", severity="WARNING")
    firm.make("A", "-1000")
    reopened = AccountReopened(starting_balance=Decimal(50_000), reason="evaluation reset")
    firm.book.append("account/A/-", reopened, actor="firm@desk")
    firm.policies.tick()
    assert len(firm.book.limits.breaches(DESK)) == 1
    firm.make("A", "-1200")
    firm.policies.tick()
    assert [each.figure for each in firm.book.limits.breaches(DESK)] == [Decimal(1_000), Decimal(1_200)]


# Exposure and counts


def test_contracts_of_all_members_count_and_an_order_counts_once(firm: Firm) -> None:
    firm.limit("maximum-contracts", limit="5", action="CANCEL_ORDERS")
    firm.fill("A", Side.BUY, "5000", "2")
    firm.work("B", "1")
    assert firm.check("B", "2").verdict is not REJECT
    checked = firm.check("B", "3")
    assert (checked.verdict, checked.rule_id) == (REJECT, "group:desk:maximum-contracts")
    assert checked.reason == "Order blocked: group desk: 6 of at most 5 contracts, working orders counted"
    assert firm.check("C", "3").verdict is PASS


def test_a_fill_in_another_member_changes_what_an_order_may_be(firm: Firm) -> None:
    firm.limit("maximum-contracts", limit="5")
    assert firm.check("A", "5").verdict is not REJECT
    firm.fill("B", Side.BUY, "5000")
    assert firm.check("A", "5").verdict is REJECT


def test_a_definition_or_a_limit_that_comes_after_a_check_counts_in_the_next_one(firm: Firm) -> None:
    firm.fill("C", Side.BUY, "5000", "5")
    assert firm.check("A").verdict is PASS
    firm.limit("maximum-contracts", limit="5", action="NONE")
    assert firm.check("A", "6").verdict is REJECT
    assert firm.check("A", "1").verdict is PASS
    firm.group("A", "C")
    assert firm.check("A", "1").verdict is REJECT
    firm.group("B", "C")
    assert firm.check("A", "6").verdict is PASS


def test_the_largest_position_is_added_up_by_symbol(firm: Firm) -> None:
    firm.limit("maximum-position", limit="3")
    firm.fill("A", Side.BUY, "5000", "2")
    firm.fill("B", Side.BUY, "5000", "3", symbol="NQ")
    firm.book.append("contract/-/NQ", ContractDefined(symbol="NQ", multiplier=Decimal(20), currency="USD"))
    assert firm.check("B", "1").verdict is not REJECT
    assert firm.check("B", "2").verdict is REJECT
    # Without an order, the symbol nearest to the limit.
    assert [firm.headroom(each).figure for each in "AB"] == [Decimal(3), Decimal(3)]
    firm.fill("B", Side.BUY, "5000", "2")
    assert firm.headroom("A").figure == 4
    # It is checked before orders alone.
    firm.pass_seconds(1)
    firm.policies.tick()
    assert firm.locked() == []


def test_longs_of_one_account_do_not_offset_shorts_of_another(firm: Firm) -> None:
    firm.limit("maximum-contracts", limit="3")
    firm.fill("A", Side.BUY, "5000", "2")
    firm.fill("B", Side.SELL, "5000", "2")
    assert firm.headroom("A").figure == 4


def test_trades_of_all_members_count(firm: Firm) -> None:
    firm.limit("trade-limit", limit=2, action="FLATTEN")
    firm.make("A", "1")
    firm.make("B", "1")
    assert firm.locked() == ["A", "B"]
    # It liquidates nothing.
    assert firm.requests() == []


def test_too_many_contracts_lock_until_there_are_fewer_and_each_member_is_asked_for_its_part(firm: Firm) -> None:
    firm.limit("maximum-contracts", limit="4")
    firm.fill("A", Side.BUY, "5000", "4")
    firm.fill("B", Side.BUY, "5000", "2")
    assert firm.locked() == ["A", "B"]
    # 4 of 6 may stay: of A's 4 two, rounded down, of B's 2 one.
    assert [(account, each.quantity) for account, each in firm.requests()] == [("A", Decimal(2)), ("B", Decimal(1))]
    firm.fill("A", Side.SELL, "5000", "2")
    assert firm.locked() == []


# Restarts


def test_what_was_missed_while_no_process_ran_is_decided_at_the_start(firm: Firm) -> None:
    firm.limit("daily-loss", limit="1000")
    firm.make("A", "-600")
    firm.policies.stop()
    firm.book.close()
    firm.book = projections.open(firm.store)
    firm.make("B", "-400")
    firm.book.close()
    firm.start()
    assert firm.locked() == ["A", "B"]
    assert isinstance(firm.lockouts()[0].event, LockoutSet)


def test_a_breach_of_the_group_defined_last_is_found_by_its_definition(firm: Firm) -> None:
    firm.limit("daily-loss", "@new", limit="100")
    firm.make("C", "-100")
    assert firm.locked() == []
    firm.book.append("account/D/-", AccountOpened(starting_balance=Decimal(5), currency="USD"))
    firm.book.append("group/-/new", GroupDefined(accounts=("C", "D")), actor="risk@desk")
    assert firm.locked() == ["C", "D"]
