"""A wrong mark is corrected: high water and floor are as stated, and what it locked is released, nothing else."""

# A Decimal equals the int that stands for it here, which mypy does not know of members of a tuple.
# mypy: disable-error-code="comparison-overlap"

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

from eventstore import InvalidEvent, Record
from eventstore.trading import (
    AccountUpdated,
    CashKind,
    CashMoved,
    EquityCorrected,
    EquityMarked,
    LockoutCleared,
    LockoutSet,
    Side,
)
from projections.risk.limits.daily_loss import DailyLoss
from projections.risk.limits.marks import EquityMarks
from projections.risk.limits.trailing_drawdown import TrailingDrawdown
from tests.places import Place
from tests.projections.rules_day import ACCOUNT, Day, details, marks, trading_day

pytestmark = pytest.mark.in_each_place(slow=True)

RULES = (TrailingDrawdown(), DailyLoss(), EquityMarks())


@pytest.fixture
def day(place: Place) -> Iterator[Day]:
    day = trading_day(place, *RULES)
    yield day
    day.close()


def correct(day: Day, wrong: Record | None, high_water: str | None = None, floor: str | None = None) -> Record:
    event = EquityCorrected(
        reason="a print of another contract",
        high_water=None if high_water is None else Decimal(high_water),
        floor=None if floor is None else Decimal(floor),
        wrong=None if wrong is None else wrong.id,  # type: ignore[arg-type]
    )
    return day.book.append(f"account/{ACCOUNT}/-", event, actor="risk@desk")[0]


def mark_records(day: Day) -> list[Record]:
    return list(day.store.read(types=(EquityMarked,)))


def locked_by_a_wrong_high(day: Day) -> Record:
    """Mark a wrong high, 52,500, by two wrong prices, and return to the right one; return the wrong mark's record."""
    day.limit("trailing-drawdown", distance="2000", basis="equity")
    day.fill(Side.BUY, "5000")
    day.confirm("5050")
    day.confirm("5000")
    assert day.is_locked()
    return mark_records(day)[-1]


def figures(day: Day) -> tuple[Decimal, Decimal | None, Decimal | None]:
    equity = day.book.equity.now(ACCOUNT)
    return equity.high_water, equity.floor, day.book.bests.highs(ACCOUNT).equity


def locking_rules(day: Day) -> set[str]:
    return {lockout.rule_id for lockout in day.book.lockouts.active(ACCOUNT, day.clock.now_ns())}


def test_a_lockout_names_the_records_that_set_its_high_and_its_floor(day: Day) -> None:
    wrong = locked_by_a_wrong_high(day)
    assert details(day)["marks"] == [wrong.id.hex()]


def test_a_lockout_at_the_first_floor_names_the_mark_of_the_floor_alone(day: Day) -> None:
    day.limit("trailing-drawdown", distance="2000")
    [first] = mark_records(day)
    day.make("-2000")
    # The high is the starting balance, which no mark set.
    assert details(day)["marks"] == [first.id.hex()]


def test_the_correction_of_a_wrong_mark_releases_what_it_locked_irrevocably(day: Day) -> None:
    wrong = locked_by_a_wrong_high(day)
    assert figures(day) == (52_500, 50_500, 52_500)
    day.book.append("lockout/A/trailing-drawdown", LockoutCleared(by="trader"))
    assert day.is_locked()
    record = correct(day, wrong, "50000", "48000")
    assert not day.is_locked()
    assert figures(day) == (50_000, 48_000, 50_000)
    [released] = day.book.lockouts.history(ACCOUNT)
    assert released.ended_by == "released by the correction of risk@desk"
    assert released.positions[-1] == record.position
    day.confirm("5000")
    assert len(day.lockouts()) == 1


def test_a_correction_of_another_record_releases_nothing(day: Day) -> None:
    locked_by_a_wrong_high(day)
    correct(day, mark_records(day)[0])
    correct(day, None, "50000", "48000")
    assert day.is_locked()
    # It was never released, and set again.
    assert len(day.book.lockouts.history(ACCOUNT)) == 1


def test_naming_the_lockout_itself_releases_it_too(day: Day) -> None:
    locked_by_a_wrong_high(day)
    [lockout] = day.lockouts()
    correct(day, lockout, "50000", "48000")
    assert not day.is_locked()


def test_naming_a_lockout_that_no_price_led_to_releases_nothing(day: Day) -> None:
    by_hand = LockoutSet(rule_id="manual", reason="under investigation", revocable=False)
    [manual] = day.book.append(f"lockout/{ACCOUNT}/manual", by_hand, actor="head@desk")
    [reported] = day.book.append(f"account/{ACCOUNT}/-", AccountUpdated(can_trade=False))
    day.limit("daily-loss", limit="100", basis="realized")
    day.make("-100")
    for record in (manual, reported, *day.lockouts()):
        correct(day, record, "50000", "48000")
    assert locking_rules(day) == {"manual", "broker", "daily-loss"}


def test_another_rule_s_lockout_stays(day: Day) -> None:
    day.limit("daily-loss", limit="100")
    wrong = locked_by_a_wrong_high(day)
    day.fill(Side.SELL, "4990")
    assert locking_rules(day) == {"daily-loss", "trailing-drawdown"}
    correct(day, wrong, "50000", "48000")
    assert locking_rules(day) == {"daily-loss"}
    assert len(day.book.lockouts.history(ACCOUNT)) == 2


def test_a_correction_needs_an_actor(day: Day) -> None:
    with pytest.raises(InvalidEvent, match="actor"):
        day.book.append(f"account/{ACCOUNT}/-", EquityCorrected(reason="x", floor=Decimal(1)))


def test_what_is_left_out_stands(day: Day) -> None:
    day.limit("trailing-drawdown", distance="2000", basis="equity")
    day.fill(Side.BUY, "5000")
    day.confirm("5010")
    correct(day, None, floor="47000")
    # The floor follows from the high water again at once: that was not said to be wrong.
    assert figures(day) == (50_500, 48_500, 50_500)
    day.confirm("5000")
    correct(day, None, high_water="50300")
    assert figures(day) == (50_300, 48_500, 50_300)


def test_a_later_mark_that_carried_the_wrong_floor_on_is_corrected_with_it(day: Day) -> None:
    locked_by_a_wrong_high(day)
    wrong = mark_records(day)[-1]
    day.confirm("5000")
    day.end()
    assert marks(day)[-1].floor == 50_500
    correct(day, wrong, "50000", "48000")
    assert figures(day) == (50_000, 48_000, 50_000)
    assert not day.is_locked()


def test_the_same_high_is_marked_again_once_it_is_right(day: Day) -> None:
    wrong = locked_by_a_wrong_high(day)
    correct(day, wrong, "50000", "48000")
    before = len(mark_records(day))
    day.confirm("5050")
    assert len(mark_records(day)) == before + 1
    assert figures(day) == (52_500, 50_500, 52_500)


def test_cash_moves_what_was_corrected(day: Day) -> None:
    wrong = locked_by_a_wrong_high(day)
    correct(day, wrong, "50000", "48000")
    paid = CashMoved(amount=Decimal(1_000), currency="USD", kind=CashKind.WITHDRAWAL)
    day.book.append(f"account/{ACCOUNT}/-", paid)
    assert figures(day) == (49_000, 47_000, 49_000)


def test_a_floor_is_stated_where_nothing_was_marked(day: Day) -> None:
    correct(day, None, high_water="51000", floor="49000")
    assert figures(day) == (51_000, 49_000, 51_000)
    day.limit("trailing-drawdown", distance="3000", basis="realized")
    day.make("-1000")
    assert day.is_locked()


def test_the_highs_of_the_balance_and_of_the_close_are_at_most_what_is_stated(day: Day) -> None:
    day.make("500")
    day.end()
    correct(day, None, high_water="50200")
    highs = day.book.bests.highs(ACCOUNT)
    assert (highs.balance, highs.equity, highs.close) == (50_200, 50_200, 50_200)
    correct(day, None, high_water="50300")
    highs = day.book.bests.highs(ACCOUNT)
    assert (highs.balance, highs.equity, highs.close) == (50_200, 50_300, 50_200)


def test_the_day_s_best_of_a_wrong_mark_goes_with_what_it_locked_and_the_others_stay(day: Day) -> None:
    day.limit("daily-loss", limit="1000", basis="equity", trailing=True)
    day.fill(Side.BUY, "5000")
    day.confirm("5004")
    day.confirm("5050")
    wrong, today = mark_records(day)[-1], marks(day)[-1].trading_day
    assert day.book.bests.marked(ACCOUNT, today, day.clock.now_ns()) == 2_500
    day.confirm("5003")
    assert details(day)["marks"] == [wrong.id.hex()]
    correct(day, wrong)
    assert not day.is_locked()
    assert day.book.bests.marked(ACCOUNT, today, day.clock.now_ns()) == 200
    # 1,000 below 200 is what locks now.
    day.confirm("4984.25")
    assert not day.is_locked()
    day.confirm("4984")
    assert day.is_locked()


def test_a_day_whose_only_mark_was_wrong_has_no_best(day: Day) -> None:
    day.limit("daily-loss", limit="9000", basis="equity", trailing=True)
    day.fill(Side.BUY, "5000")
    day.confirm("5050")
    wrong, today = mark_records(day)[-1], marks(day)[-1].trading_day
    day.confirm("5000")
    correct(day, wrong)
    assert day.book.bests.marked(ACCOUNT, today, day.clock.now_ns()) is None


def test_a_correction_holds_after_a_restart(day: Day) -> None:
    wrong = locked_by_a_wrong_high(day)
    correct(day, wrong, "50000", "48000")
    day.book.snapshot()
    day.policies.stop()
    day.restart(RULES)
    assert figures(day)[1:] == (48_000, 50_000)
    assert not day.is_locked()
