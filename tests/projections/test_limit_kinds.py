"""Kinds of limits: unknown ones, and one of one's own."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

import pytest
from typing_extensions import override

from eventstore import InvalidEvent
from projections import risk
from projections.risk.contexts import AccountContext
from projections.risk.limits.daily_loss import DailyLossParameters
from projections.risk.limits.trailing_drawdown import TrailingDrawdownParameters
from projections.rules import HIGHER, DailyLoss, LimitKind, Measure, Measured, Parameters, TrailingDrawdown
from projections.valuation import Status
from projections.views.limits.limit import Limit
from tests.projections.checked_orders import PASS, REJECT, check_order, proposal
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


@pytest.mark.parametrize("name", ["", "moon:phase", "moon ", "moon\n", 5])
def test_a_kind_has_a_name_that_rule_ids_can_begin_with(name: Any) -> None:  # noqa: ANN401 - any
    with pytest.raises(InvalidEvent, match="cannot be the name of a kind of limit"):
        type("Moon", (LimitKind,), {"name": name, "parameters": DailyLossParameters})


@pytest.mark.parametrize(
    ("measure", "why"),
    [
        (lambda *_: {"sun": 1}["moon"], "its kind failed (KeyError: 'moon')"),
        (lambda _kind, context, *_: Measure(context.order.price, Decimal(1)), "its kind failed (AttributeError"),
        (lambda *_: Measure(1.5, Decimal(1)), "its kind"),  # type: ignore[arg-type]
        (lambda *_: Measure(Decimal("NaN"), Decimal(1)), ""),
        (lambda *_: None / 1, "its kind failed (TypeError"),  # type: ignore[operator]
    ],
)
def test_a_kind_that_fails_is_not_judged_and_hides_no_other(day: Day, measure: Any, why: str) -> None:  # noqa: ANN401 - any
    type("Failing", (LimitKind,), {"name": "failing", "parameters": DailyLossParameters, "measure": measure})
    day.limit("failing", limit="500")
    day.limit("daily-loss", limit="500")
    checked = check_order(day)
    assert checked.verdict is REJECT
    assert "failing cannot be judged" in checked.reason
    assert why in checked.reason
    headroom = {each.rule_id: each.status for each in day.book.limits.headroom("A")}
    assert headroom == {"daily-loss": Status.KNOWN, "failing": Status.UNKNOWN}
    assert [each.rule_id for each in day.book.limits.unjudged("A")] == ["failing"]


def test_a_kind_derived_from_a_shipped_one_is_asked_about_each_order(day: Day) -> None:
    """What a shipped kind's own figure does not depend on may change what a derived one computes."""

    class LossWithOrder(DailyLoss):
        name = "loss-with-order"

        @override
        def measure(self, context: AccountContext, limit: Limit, parameters: DailyLossParameters) -> Measure | None:
            found = super().measure(context, limit, parameters)
            return None if found is None else found._replace(figure=found.figure + 100 * context.quantity)

    class DrawdownWithOrder(TrailingDrawdown):
        name = "drawdown-with-order"

        @override
        def measure(self, context: AccountContext, limit: Limit, parameters: TrailingDrawdownParameters) -> Measure:
            found = super().measure(context, limit, parameters)
            return found._replace(figure=found.figure + 100 * context.quantity)

    day.policies.stop()
    day.restart([LossWithOrder(), DrawdownWithOrder()])
    day.limit("loss-with-order", limit="500")
    day.limit("loss-with-order:equity", limit="400", basis="equity")
    day.limit("drawdown-with-order", distance="300")
    now = day.clock.now_ns()

    def rejecting(quantity: int) -> list[str]:
        answer = risk.check(day.book, proposal(quantity=f"{quantity}"), now)
        return sorted(each.rule_id for each in answer.findings if each.verdict is REJECT)

    assert rejecting(1) == []
    assert rejecting(3) == ["drawdown-with-order"]
    assert rejecting(4) == ["drawdown-with-order", "loss-with-order:equity"]
    assert rejecting(5) == ["drawdown-with-order", "loss-with-order", "loss-with-order:equity"]
