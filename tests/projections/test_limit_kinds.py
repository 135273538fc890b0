"""Kinds of limits: unknown ones, and one of one's own."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import pytest
from typing_extensions import override

from eventstore import InvalidEvent
from projections.risk.contexts import AccountContext
from projections.rules import HIGHER, LimitKind, Measure, Measured, Parameters
from projections.views.limits.limit import Limit
from tests.projections.checked_orders import PASS, check_order
from tests.projections.rules_day import Day


def test_a_limit_of_an_unknown_kind_is_refused_and_in_an_old_log_rejects(day: Day) -> None:
    with pytest.raises(InvalidEvent, match="unknown kind of limit 'daily-los': did you mean daily-loss"):
        day.limit("daily-los", limit="500")
    day.old_limit("daily-los", limit="500")
    assert "did you mean daily-loss?" in check_order(day).reason
    assert [each.rule_id for each in day.book.limits.unjudged("A")] == ["daily-los"]
    day.limit("daily-los", enabled=False)
    assert check_order(day).verdict is PASS


def test_a_kind_of_ones_own_is_checked_by_its_own_figure(day: Day) -> None:
    class MoonParameters(Parameters, frozen=True, kw_only=True):
        limit: Annotated[Decimal, HIGHER, Measured.COUNT]

    class MoonPhase(LimitKind[MoonParameters]):
        name, parameters = "moon-phase", MoonParameters

        @override
        def measure(self, context: AccountContext, limit: Limit, parameters: MoonParameters) -> Measure:
            return Measure(Decimal(1), parameters.limit)

    day.limit("moon-phase", limit="2")
    assert check_order(day).verdict is PASS
    day.limit("moon-phase", limit="1")
    assert check_order(day).reason == "Order blocked: moon-phase 1 of 1"
    [headroom] = day.book.limits.headroom("A")
    assert (headroom.figure, headroom.limit, headroom.left, headroom.share) == (
        Decimal(1),
        Decimal(1),
        Decimal(0),
        Decimal(0),
    )
