"""Where the Recorder puts what it gets: fills in their order's stream, names of contracts with their definition."""

from __future__ import annotations

import itertools
from decimal import Decimal
from typing import Any

import pytest

from eventstore.trading import (
    AccountUpdated,
    ContractDefined,
    NoteAdded,
    OrderAccepted,
    OrderStatus,
    OrderSubmitted,
    QuoteReceived,
    Side,
)
from gateways.messages import MappedEvent, Recorder
from gateways.messages.projectx import ProjectX, message
from projections import Book
from tests.messages.projectx_messages import (
    ACCOUNT,
    ACCOUNT_ID,
    CONTRACT_ID,
    account,
    answer,
    at,
    contract,
    order,
    quote,
    trade,
    user,
)

D = Decimal


def notes(book: Book, account: str = "-") -> list[NoteAdded]:
    return [each.event for each in book.read(account=account, types=(NoteAdded,))]  # type: ignore[misc]


@pytest.fixture
def submitted(book: Book) -> Book:
    event = OrderSubmitted(symbol="MNQZ6", side=Side.BUY, quantity=D(2))
    book.append(f"order/{ACCOUNT}/O-17", event)
    return book


OWN = {"customTag": "O-17", "size": 2}
STORY = {
    "new": user("Order", order(updateTimestamp=at(1), **OWN)),
    "first": user("Trade", trade(1, creationTimestamp=at(2))),
    "partly": user("Order", order(updateTimestamp=at(2), fillVolume=1, **OWN)),
    "second": user("Trade", trade(2, creationTimestamp=at(3))),
    "filled": user("Order", order(updateTimestamp=at(3), fillVolume=2, status=2, **OWN)),
}


@pytest.mark.parametrize("names", [*itertools.permutations(STORY)][::7])
def test_fills_count_for_our_order_in_whatever_order_messages_come(submitted: Book, names: tuple[str, ...]) -> None:
    recorder = Recorder(submitted, ProjectX())
    for name in names:
        recorder.record(STORY[name])
    found = submitted.orders.get(ACCOUNT, "O-17")
    assert found is not None
    assert (found.status, found.cumulative, found.unexplained) == (OrderStatus.FILLED, D(2), D(0))
    assert (found.broker_order_id, found.reported_filled) == ("9056", D(2))
    assert submitted.orders.get(ACCOUNT, "9056") is None
    assert submitted.positions.get(ACCOUNT, "MNQZ6").quantity == D(2)
    assert [each.count for each in submitted.trades.totals(ACCOUNT)] == [2]


def test_a_fill_that_came_before_its_order_is_found_again_after_a_restart(submitted: Book) -> None:
    Recorder(submitted, ProjectX()).record(STORY["first"])
    assert submitted.positions.get(ACCOUNT, "MNQZ6").quantity == D(1)
    again = Recorder(submitted, ProjectX())
    again.record(STORY["partly"])
    found = submitted.orders.get(ACCOUNT, "O-17")
    assert found is not None
    assert (found.cumulative, found.unexplained) == (D(0), D(1))
    again.record(answer("Trade/search", trades=[trade(1, creationTimestamp=at(2))]))
    found = submitted.orders.get(ACCOUNT, "O-17")
    assert found is not None
    assert (found.cumulative, found.unexplained) == (D(1), D(0))
    assert submitted.positions.get(ACCOUNT, "MNQZ6").quantity == D(1)


def test_the_answer_to_a_request_links_the_order_before_any_message(submitted: Book) -> None:
    recorder = Recorder(submitted, ProjectX())
    placed = {"accountId": ACCOUNT_ID, "customTag": "O-17"}
    recorder.record(message("Order/place", placed, {"success": True, "orderId": 9056}))
    recorder.record(STORY["first"])
    found = submitted.orders.get(ACCOUNT, "O-17")
    assert found is not None
    assert found.cumulative == D(1)


def test_an_order_that_the_book_knows_by_the_broker_s_id_is_found(submitted: Book) -> None:
    submitted.append(f"order/{ACCOUNT}/O-17", OrderAccepted(broker_order_id="9056"))
    recorder = Recorder(submitted, ProjectX())
    recorder.record(user("Order", order(status=3)))
    found = submitted.orders.get(ACCOUNT, "O-17")
    assert found is not None
    assert found.status is OrderStatus.CANCELED


@pytest.mark.parametrize("is_child_first", [False, True])
def test_a_child_names_its_parent_by_its_id_here(submitted: Book, *, is_child_first: bool) -> None:
    recorder = Recorder(submitted, ProjectX())
    messages = [STORY["new"], user("Order", order(9057, status=8, parentOrderId=9056, side=1))]
    for each in reversed(messages) if is_child_first else messages:
        recorder.record(each)
    child = submitted.orders.get(ACCOUNT, "9057")
    assert child is not None
    assert (child.parent_order_id, child.status) == ("O-17", OrderStatus.SUSPENDED)


def test_a_voided_trade_is_taken_back_whichever_comes_first(submitted: Book) -> None:
    recorder = Recorder(submitted, ProjectX())
    recorder.record(STORY["partly"])
    recorder.record(user("Trade", trade(1, voided=True)))
    recorder.record(user("Trade", trade(1)))
    found = submitted.orders.get(ACCOUNT, "O-17")
    assert found is not None
    assert (found.cumulative, submitted.positions.get(ACCOUNT, "MNQZ6").quantity) == (D(0), D(0))
    assert [each.busted for each in submitted.trades.of(ACCOUNT)] == [True]


def test_quotes_are_observed_and_never_stored(recorder: Recorder, book: Book) -> None:
    before = book.position
    recorder.record(message("GatewayQuote", CONTRACT_ID, quote()))
    assert (book.position, recorder.counts.observed) == (before, 1)
    assert isinstance(ProjectX().events(message("GatewayQuote", CONTRACT_ID, quote()))[0].event, QuoteReceived)


def test_an_account_that_nobody_opened_is_recorded_and_flagged_once(recorder: Recorder, book: Book) -> None:
    for number in (1, 2):
        recorder.record(user("Trade", trade(number, accountId=815, orderId=None)))
    Recorder(book, ProjectX()).record(user("Trade", trade(3, accountId=815, orderId=None)))
    assert recorder.unopened == {"815"}
    (note,) = notes(book, "815")
    assert note.tags == ("unopened-account", "projectx")
    assert notes(book, ACCOUNT) == []
    assert book.positions.get("815", "MNQZ6").quantity == D(3)


# --- contracts ----------------------------------------------------------------------------------------------------


def test_a_definition_adds_what_the_log_lacks_and_keeps_its_symbol(recorder: Recorder, book: Book) -> None:
    given = answer("Contract/search", contracts=[contract(name="MNQZ26")])
    for _ in range(2):
        recorder.record(given)
    definitions = [each.event for each in book.read(types=(ContractDefined,))]
    assert len(definitions) == 2
    found = book.contracts.find("MNQZ26")
    assert found is not None
    assert (found.symbol, found.multiplier, found.root) == ("MNQZ6", D(2), "MNQ")
    assert set(found.broker_ids) == {CONTRACT_ID, "MNQZ26"}


def test_another_worth_of_a_known_contract_is_noted_and_changes_nothing(recorder: Recorder, book: Book) -> None:
    recorder.record(answer("Contract/search", contracts=[contract(tickValue=5.0)]))
    found = book.contracts.find(CONTRACT_ID)
    assert found is not None
    assert found.multiplier == D(2)
    assert "worth 2 USD a point in this log, and 20 USD by this message" in notes(book)[0].text


def test_a_contract_that_is_not_known_is_defined(recorder: Recorder, book: Book) -> None:
    recorder.record(
        answer("Contract/available", contracts=[contract(id="CON.F.US.EP.Z26", name="ESZ6", tickValue=12.5)])
    )
    found = book.contracts.find("CON.F.US.EP.Z26")
    assert found is not None
    assert (found.symbol, found.root) == ("ESZ6", "ES")


def test_a_mapping_of_one_s_own_is_recorded_too(book: Book) -> None:
    class Single:
        source = "mine/spot"

        def events(self, message: Any) -> tuple[MappedEvent, ...]:  # noqa: ANN401
            return (MappedEvent("account/X/-", AccountUpdated(balance=D(message["balance"])), None, None),)

    Recorder(book, Single()).record({"balance": 5})
    assert book.accounts.get("X") is not None


@pytest.mark.parametrize(("members", "can_trade", "balance"), [
    ({"balance": float("nan"), "canTrade": False}, False, None), ({"balance": "?", "canTrade": True}, True, None),
    ({"balance": 5, "canTrade": "false"}, None, D(5)),
])  # fmt: skip
def test_one_figure_of_an_account_keeps_no_other_back(
    recorder: Recorder, book: Book, members: dict[str, object], can_trade: bool | None, balance: Decimal | None
) -> None:
    recorder.record(user("Account", account(**members)))
    found = book.accounts.get(ACCOUNT)
    assert found is not None
    assert (found.can_trade, [each.reported for each in book.accounts.balances(ACCOUNT)]) == (can_trade, [balance])
    assert recorder.counts.unmapped == 1


def test_an_account_that_says_nothing_is_kept_as_a_note(recorder: Recorder) -> None:
    recorder.record(user("Account", {"id": 4711, "cantrade": False}))
    assert recorder.counts.unmapped == 1


@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("members", [{"size": 0}, {"size": None}, {"price": None}, {"price": 0, "size": 0}])
def test_a_void_trade_is_taken_back_also_without_its_figures(
    recorder: Recorder, book: Book, members: dict[str, object], is_first: bool
) -> None:
    given = [user("Trade", trade(1)), user("Trade", trade(1, voided=True, **members))]
    for each in (given[::-1] if is_first else given) * 2:
        recorder.record(each)
    assert book.positions.get(ACCOUNT, "MNQZ6").quantity == D(0)
    assert [each.busted for each in book.trades.of(ACCOUNT)] == [True]
