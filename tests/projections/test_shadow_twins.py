"""The same random trading armed and in shadow mode: the same decisions; live and imported later: the same lockouts."""

from __future__ import annotations

import random

import pytest

from eventstore.trading import EnforcementRequested, LockoutSet, Protection, Verdict, WouldLock
from projections.risk.limits.marks import EquityMarks
from projections.risk.policies import Policy
from projections.rules import (
    Cooldown,
    DailyLoss,
    DailyProfit,
    MaximumContracts,
    SymbolBlock,
    TradeLimit,
    TrailingDrawdown,
    WeeklyLoss,
)
from tests.projections.rules_day import ACCOUNT, HOUR, NOON
from tests.projections.shadow_twins import Twin, limits, trading
from tests.proving import rounds

REJECT, WARNING = Verdict.REJECT, Verdict.WARNING
YEAR = 365 * 24 * HOUR


def policies() -> list[Policy]:
    kinds = (DailyLoss, WeeklyLoss, DailyProfit, TrailingDrawdown, MaximumContracts, TradeLimit, Cooldown, SymbolBlock)
    return [EquityMarks(), *(kind() for kind in kinds)]


@pytest.mark.untraced
def test_an_account_in_shadow_mode_would_be_locked_where_an_armed_one_is() -> None:
    locked = histories = 0
    for seed in rounds("shadow twins", test=25, prove=20_000):
        chance, histories = random.Random(seed), histories + 1
        armed, shadow = Twin(policies(), shadow=False), Twin(policies(), shadow=True)
        for step in [*limits(chance), *trading(chance, 8)]:
            armed.take(step)
            shadow.take(step)
            assert shadow.decided() == armed.decided(), f"seed {seed}"
        ours, theirs = armed.check(), shadow.check()
        assert theirs.verdict is (WARNING if ours.verdict is REJECT else ours.verdict), f"seed {seed}"
        assert theirs.reason == ours.reason.replace("Order blocked:", "Order allowed, in shadow mode:"), f"seed {seed}"
        assert not list(shadow.store.read(types=(LockoutSet, EnforcementRequested))), f"seed {seed}"
        locked += len(armed.locked_at())
        now = armed.clock.now_ns()
        # What a lockout of an earlier day was for may last: both are judged again.
        armed.set_mode(Protection.ARMED)
        shadow.set_mode(Protection.ARMED)
        held = {(each.rule_id, each.scope) for each in shadow.book.lockouts.active(ACCOUNT, now)}
        assert held <= {(each.rule_id, each.scope) for each in armed.book.lockouts.active(ACCOUNT, now)}, f"seed {seed}"
        armed.close()
        shadow.close()
    assert locked > 30 or histories < 60


@pytest.mark.untraced
def test_fills_that_are_imported_later_would_have_locked_as_live_ones_did() -> None:
    locked = histories = 0
    for seed in rounds("shadow imports", test=25, prove=20_000):
        chance, histories = random.Random(seed), histories + 1
        live, later = Twin(policies(), shadow=False), Twin(policies(), shadow=True, now=NOON + YEAR)
        steps = [*limits(chance), *trading(chance, 8, quotes=False)]
        at = NOON
        for step in steps:
            live.take(step)
            at += step[1] if step[0] == "wait" else 0
            if step[0] != "wait":
                later.take(step, at)
        assert later.locked_at() == live.locked_at(), f"seed {seed}"
        happened = [record for record in later.store.read(types=(WouldLock,)) if record.entity != "symbol-block"]
        assert all(NOON <= record.occurred_at <= at for record in happened), f"seed {seed}"
        locked += len(live.locked_at())
        live.close()
        later.close()
    assert locked > 30 or histories < 60
