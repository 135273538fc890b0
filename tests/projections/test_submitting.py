"""`risk.submit`: an order is checked, reserved and appended in one step, or rejected, and a retry finds itself."""

from __future__ import annotations

import threading
from decimal import Decimal
from typing import Any

import pytest

import eventstore
import projections
from eventstore import (
    AccountChanged,
    Closed,
    DuplicateEvent,
    Event,
    InvalidEvent,
    OutcomeUnknown,
    Overloaded,
    ReadOnly,
    Record,
)
from eventstore.trading import (
    Allows,
    LimitsSet,
    LockoutSet,
    OrderCanceled,
    OrderReplaceRequested,
    OrderSubmitted,
    RiskChecked,
    Side,
    Verdict,
)
from projections import Book, risk
from projections.risk import Submitted
from projections.risk.submitting import ATTEMPTS_MAX
from tests.places import Place, within
from tests.projections.checked_orders import BUY, enforce, lock, set_elsewhere
from tests.projections.firm import Firm
from tests.projections.rules_day import NOON, Day

pytestmark = pytest.mark.in_each_place

PASS, REJECT = Verdict.PASS, Verdict.REJECT


def order(quantity: str = "5", side: Side = BUY) -> OrderSubmitted:
    return OrderSubmitted(symbol="ES", side=side, quantity=Decimal(quantity))


def submit(day: Day, order_id: str = "O-1", event: Any = None, **options: Any) -> Submitted:  # noqa: ANN401 - anything wrong
    return risk.submit(day.book, "A", order_id, event or order(), day.clock.now_ns(), **options)


def types(records: Any) -> list[str]:  # noqa: ANN401 - any records
    return [record.type for record in records]


def working(book: Book) -> Decimal:
    return sum((each.leaves or Decimal(0) for each in book.orders.open("A")), Decimal(0))


def test_an_order_that_passes_is_recorded_and_reserved(day: Day) -> None:
    day.limit("maximum-position", limit="9")
    sent = submit(day)
    assert (sent.answer.verdict, types(sent.records)) == (PASS, ["OrderSubmitted"])
    assert sent.records[0].stream == "order/A/O-1"
    assert [finding.rule_id for finding in sent.answer.verdicts] == ["maximum-position"]
    assert working(day.book) == 5
    assert types(day.store.read(types=(RiskChecked,))) == []


def test_an_order_that_does_not_is_recorded_as_checked_alone(day: Day) -> None:
    day.limit("maximum-position", limit="5")
    submit(day)
    sent = submit(day, "O-2", order("1"))
    assert (sent.answer.verdict, sent.answer.rule_id) == (REJECT, "maximum-position")
    (record,) = sent.records
    assert record.stream == "risk/A/O-2"
    assert isinstance(record.event, RiskChecked)
    assert (record.event.verdict, record.event.reason) == (REJECT, sent.answer.reason)
    assert day.store.version("order/A/O-2") == 0
    assert working(day.book) == 5


def test_a_warning_does_not_stop_it(day: Day) -> None:
    day.limit("order-size", limit="1", severity="WARNING")
    sent = submit(day)
    assert (sent.answer.verdict, types(sent.records)) == (Verdict.WARNING, ["OrderSubmitted"])


# Others in between


def between(day: Day, monkeypatch: pytest.MonkeyPatch, times: int, *events: tuple[str, Event]) -> list[int]:
    """Let another process append events between check and append, so many times; return the attempts' positions."""
    append, attempts = type(day.book).append, []

    def late(book: Book, stream: str, event: Event, **options: Any) -> list[Record]:  # noqa: ANN401 - passed on
        if stream.startswith("order/"):
            attempts.append(book.position)
            if len(attempts) <= times:
                for elsewhere, other in events:
                    day.store.append(elsewhere, other, actor="risk@desk")
        return append(book, stream, event, **options)

    monkeypatch.setattr(type(day.book), "append", late)
    return attempts


def test_an_order_elsewhere_takes_its_headroom_between_check_and_append(
    day: Day, monkeypatch: pytest.MonkeyPatch
) -> None:
    day.limit("maximum-position", limit="5")
    attempts = between(day, monkeypatch, 1, ("order/A/O-9", order("1")))
    sent = submit(day)
    assert (sent.answer.rule_id, types(sent.records), len(attempts)) == ("maximum-position", ["RiskChecked"], 1)
    assert working(day.book) == 1


@pytest.mark.parametrize(
    ("stream", "event"),
    [
        ("lockout/A/desk", LockoutSet(rule_id="desk", allows=Allows.REDUCE_ONLY)),
        ("limits/A/order-size", LimitsSet(rule_id="order-size", parameters={"limit": "1"})),
    ],
)
def test_a_lockout_or_a_limit_in_between_counts(
    day: Day, monkeypatch: pytest.MonkeyPatch, stream: str, event: Event
) -> None:
    between(day, monkeypatch, 1, (stream, event))
    assert types(submit(day).records) == ["RiskChecked"]


def test_another_account_in_between_makes_no_second_check(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    attempts = between(day, monkeypatch, 1, ("order/B/O-9", order()))
    assert types(submit(day).records) == ["OrderSubmitted"]
    assert len(attempts) == 1


def test_what_happens_to_another_member_of_its_group_in_between_is_checked_again(
    firm: Firm, monkeypatch: pytest.MonkeyPatch
) -> None:
    firm.limit("maximum-position", limit="5")
    firm.quote("5000")
    append, elsewhere = type(firm.book).append, [("order/C/O-9", order()), ("order/B/O-9", order("1"))]

    def late(book: Book, stream: str, event: Event, **options: Any) -> list[Record]:  # noqa: ANN401 - passed on
        if stream.startswith("order/A/") and elsewhere:
            firm.store.append(*elsewhere.pop())
        return append(book, stream, event, **options)

    monkeypatch.setattr(type(firm.book), "append", late)
    sent = risk.submit(firm.book, "A", "O-1", order(), firm.clock.now_ns())
    assert (sent.answer.rule_id, types(sent.records)) == ("group:desk:maximum-position", ["RiskChecked"])
    # C is not a member: what happens there leaves the check valid.
    sent = risk.submit(firm.book, "A", "O-2", order("4"), firm.clock.now_ns())
    assert (types(sent.records), elsewhere) == (["OrderSubmitted"], [])


def test_a_contract_that_changes_in_between_is_checked_again(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    attempts = between(
        day, monkeypatch, 1, ("contract/-/NQ", eventstore.trading.ContractDefined(symbol="NQ", multiplier=Decimal(20)))
    )
    assert types(submit(day).records) == ["OrderSubmitted"]
    assert len(attempts) == 2


def test_after_twenty_conflicts_it_is_overloaded_and_nothing_is_written(
    day: Day, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = between(day, monkeypatch, ATTEMPTS_MAX, ("order/A/O-9", order("1")))
    with pytest.raises(Overloaded, match=r"account A changed each of 20 times that order O-1 was checked: nothing was"):
        submit(day)
    assert (len(attempts), day.store.version("order/A/O-1")) == (20, 0)
    assert types(submit(day).records) == ["OrderSubmitted"]


def test_a_rejection_by_a_book_that_another_process_overtakes_is_checked_again(
    day: Day, monkeypatch: pytest.MonkeyPatch
) -> None:
    behind = type(day.book).is_caught_up
    left = [1]

    def overtaken(book: Book) -> bool:
        if left and left.pop():
            set_elsewhere(day, "order-size", limit="9")
        return bool(behind.__get__(book))

    monkeypatch.setattr(type(day.book), "is_caught_up", property(overtaken))
    assert types(submit(day).records) == ["OrderSubmitted"]


# Retries


def test_a_retry_finds_itself_and_is_not_rejected_by_its_own_reservation(day: Day) -> None:
    day.limit("maximum-position", limit="5")
    first = submit(day, key="k")
    again = submit(day, key="k")
    assert (again.answer.passed, list(again.records)) == (True, list(first.records))
    assert again.answer.reason == f"Order allowed: it was recorded before, at position {first.records[0].position}"
    assert types(day.store.read(types=(RiskChecked,))) == []


def test_a_retry_finds_itself_under_a_lockout_and_after_its_order_is_over(day: Day) -> None:
    first = submit(day, key="k")
    day.book.append("order/A/O-1", OrderCanceled())
    lock(day, allows=Allows.NOTHING)
    assert list(submit(day, key="k").records) == list(first.records)
    assert types(submit(day, "O-2", key="k").records) == ["RiskChecked"], "a key is of its own stream"


def test_an_append_whose_answer_was_lost_is_found_by_the_retry(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    day.limit("maximum-position", limit="5")
    append = type(day.store).append

    def lost(*arguments: Any, **options: Any) -> list[Record]:  # noqa: ANN401 - passed on
        records = append(*arguments, **options)
        raise OutcomeUnknown([record.id for record in records], "the answer was lost")

    with monkeypatch.context() as patched:
        patched.setattr(type(day.store), "append", lost)
        with pytest.raises(OutcomeUnknown):
            submit(day, key="k")
    sent = submit(day, key="k")
    assert (sent.answer.passed, types(sent.records)) == (True, ["OrderSubmitted"])
    assert day.store.version("order/A/O-1") == 1


def test_another_order_under_a_recorded_key_is_refused(day: Day) -> None:
    submit(day, key="k")
    lock(day)
    with pytest.raises(DuplicateEvent):
        submit(day, event=order("4"), key="k")


def test_a_rejected_order_may_be_submitted_again_under_its_key(day: Day) -> None:
    day.limit("maximum-position", limit="5")
    submit(day, "O-1")
    assert types(submit(day, "O-2", key="k").records) == ["RiskChecked"]
    day.book.append("order/A/O-1", OrderCanceled())
    assert types(submit(day, "O-2", key="k").records) == ["OrderSubmitted"]


def test_an_order_id_that_is_recorded_already_is_rejected(day: Day) -> None:
    submit(day)
    for options in ({}, {"key": "k"}):
        sent = submit(day, **options)
        assert (sent.answer.verdict, sent.answer.rule_id, types(sent.records)) == (REJECT, "input", ["RiskChecked"])
        assert sent.answer.reason == ("Order blocked: order O-1 is recorded already: give a new order an id of its own")
    assert day.store.version("order/A/O-1") == 1


def test_the_loss_at_a_protective_stop_is_checked(day: Day) -> None:
    day.limit("stop-loss", limit="500")
    day.quote("5000")
    assert "states no protective stop" in submit(day).answer.reason
    assert not submit(day, protective_stop=Decimal(4980)).answer.passed
    assert submit(day, protective_stop=Decimal(4999)).answer.passed


# Replacements


def test_a_replacement_is_checked_with_its_total_and_appended(day: Day) -> None:
    day.limit("maximum-position", limit="5")
    submit(day, event=order("2"))
    sent = submit(day, event=OrderReplaceRequested(quantity=Decimal(5)))
    assert (sent.answer.passed, types(sent.records), sent.records[0].version) == (True, ["OrderReplaceRequested"], 2)
    assert submit(day, event=OrderReplaceRequested(quantity=Decimal(6))).answer.rule_id == "maximum-position"


def test_a_replacement_of_an_unknown_order_is_rejected(day: Day) -> None:
    sent = submit(day, event=OrderReplaceRequested(quantity=Decimal(5)))
    assert (sent.answer.rule_id, types(sent.records)) == ("input", ["RiskChecked"])


def test_a_retried_replacement_finds_itself(day: Day) -> None:
    day.limit("maximum-position", limit="5")
    submit(day, event=order("2"))
    first = submit(day, event=OrderReplaceRequested(quantity=Decimal(5)), key="r")
    day.book.append("order/A/O-1", OrderCanceled())
    assert list(submit(day, event=OrderReplaceRequested(quantity=Decimal(5)), key="r").records) == list(first.records)


# Causes and arguments


def test_what_carries_out_an_enforcement_passes_its_lockout_and_names_it(day: Day) -> None:
    day.fill(BUY, "5000")
    day.quote("5000")
    lock(day, allows=Allows.NOTHING)
    closing = order("1", Side.SELL)
    refused = submit(day, "O-1", closing)
    assert (refused.answer.passed, refused.records[0].causation_id) == (False, None)
    cause = enforce(day)
    sent = submit(day, "O-2", closing, caused_by=cause)
    assert (sent.answer.passed, sent.records[0].causation_id) == (True, cause)


def test_a_rejection_names_its_cause_too(day: Day) -> None:
    sent = submit(day, event=order("-1"), caused_by=bytes(16))
    assert (sent.answer.rule_id, sent.records[0].causation_id) == ("input", bytes(16))


@pytest.mark.parametrize(
    "wrong",
    [
        {"account": "-"},
        {"account": "a b"},
        {"account": None},
        {"order_id": ""},
        {"order_id": None},
        {"order_id": 17},
        {"event": OrderCanceled()},
        {"event": None},
        {"event": [order()]},
        {"key": 3},
        {"key": ["a"]},
        {"caused_by": "E-1"},
        {"now": "yesterday"},
    ],
)
def test_malformed_arguments_are_refused_and_nothing_written(day: Day, wrong: dict[str, Any]) -> None:
    head = day.store.head()
    given: dict[str, Any] = {"account": "A", "order_id": "O-1", "event": order(), "now": NOON, **wrong}
    with pytest.raises(InvalidEvent):
        risk.submit(day.book, **given)
    assert day.store.head() == head


def test_an_order_id_with_a_slash_is_escaped(day: Day) -> None:
    assert submit(day, "desk/17").records[0].stream == "order/A/desk%2F17"
    assert day.book.orders.get("A", "desk/17") is not None


def test_a_book_that_cannot_append_submits_nothing(day: Day, place: Place) -> None:
    past = projections.as_of(day.store, position=day.store.head())
    with pytest.raises(ReadOnly):
        risk.submit(past, "A", "O-1", order(), NOON)
    day.book.close()
    set_elsewhere(day, "order-size", limit="9")
    with pytest.raises(ReadOnly):
        submit(day)
    with eventstore.open(within(place, "other")) as store:
        book = projections.open(store)
    with pytest.raises(Closed):
        risk.submit(book, "A", "O-1", order(), NOON)


# Threads


def test_of_threads_of_one_book_only_as_many_pass_as_may(day: Day) -> None:
    day.limit("maximum-position", limit="5")
    for turn in range(25):
        answers: list[Submitted] = []
        barrier = threading.Barrier(4)

        def send(number: int, turn: int = turn, barrier: threading.Barrier = barrier) -> None:
            barrier.wait(10.0)
            answers.append(submit(day, f"{turn}-{number}", order("2")))  # noqa: B023 - joined within the turn

        threads = [threading.Thread(target=send, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        passed = [each.records[0].stream for each in answers if each.answer.passed]
        assert (len(answers), len(passed), working(day.book)) == (4, 2, Decimal(4))
        for stream in passed:
            day.book.append(stream, OrderCanceled())


def test_threads_with_one_key_submit_one_order(day: Day) -> None:
    day.limit("maximum-position", limit="5")
    answers: list[Submitted] = []
    barrier = threading.Barrier(4)

    def send() -> None:
        barrier.wait(10.0)
        answers.append(submit(day, key="k"))

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [each.answer.passed for each in answers] == [True] * 4
    assert len({each.records[0].id for each in answers}) == 1
    assert day.store.version("order/A/O-1") == 1


def test_a_conflict_is_a_kind_of_version_conflict_that_others_may_raise(day: Day) -> None:
    with pytest.raises(AccountChanged):
        day.book.append("order/A/O-1", order(), unchanged=eventstore.Unchanged(accounts=("A",), since=0))
