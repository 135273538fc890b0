"""Busts and corrections that name little more than their trade: a book completes them before it appends them."""

# A Decimal equals the int that stands for it here, which mypy does not know of members of a tuple.
# mypy: disable-error-code="comparison-overlap"

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec
import pytest

import projections
from eventstore import Batch, DuplicateEvent, Event, EventStore, InvalidEvent, ManualClock, ReadOnly, Record, trading
from eventstore.trading import AdjustmentReason, PositionSide, Side
from projections import Book, completion
from projections.views.executions.anomalies import TradeAnomalyKind
from projections.views.executions.filling import Fills
from projections.views.executions.recent_trades import RECENT_MAX
from projections.views.executions.view import ExecutionsView
from tests.projections.reconciling import NOON, ORDER, SECOND
from tests.views.position_folding import LONG, fill

BUST = trading.TradeBusted(trade_id="T-1")


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch, store: EventStore) -> Iterator[Book]:
    """A book that knows the account's newest 3 trades."""
    monkeypatch.setattr(ExecutionsView.__init__, "__kwdefaults__", {"trades_max": 3, "bounded": True})
    with projections.open(store) as opened:
        yield opened


def stated(records: list[Record]) -> dict[str, Any]:
    """Return what the only record states, defaults left out."""
    (record,) = records
    found: dict[str, Any] = msgspec.json.decode(record.data)
    return {name: value for name, value in found.items() if name != "trade_id"}


def corrected(quantity: int = 2, price: int = 55, **more: Any) -> Event:  # noqa: ANN401 - any member
    return trading.TradeCorrected(trade_id="T-1", quantity=Decimal(quantity), price=Decimal(price), **more)


def forget(book: Book, symbol: str = "NQZ5") -> None:
    """Record more trades than the book remembers."""
    for number in range(4):
        book.append(f"order/A/N-{number}", [fill(f"N-{number}", 1, 10, symbol), fill(f"M-{number}", -1, 10, symbol)])


def quantity(book: Book, symbol: str = "ESZ5", side: Any = "NET") -> Decimal:  # noqa: ANN401 - a text is taken too
    return book.positions.get("A", symbol, side).quantity


def marks(book: Book, symbol: str = "ESZ5") -> list[str]:
    return [str(each.kind) for each in book.positions.get("A", symbol).anomalies]


def test_a_bust_of_no_known_trade_is_recorded_as_given_and_waits(book: Book) -> None:
    assert stated(book.append(ORDER, BUST)) == {}
    assert [each.kind for each in book.positions.anomalies("A")] == [TradeAnomalyKind.UNKNOWN_BUST]
    book.append(ORDER, fill("T-1", 2, 50), occurred_at=NOON - SECOND)
    assert (quantity(book), marks(book)) == (0, [])


def test_what_is_appended_past_the_book_is_recorded_as_given(book: Book, store: EventStore) -> None:
    book.append(ORDER, fill("T-1", 2, 50))
    assert stated(store.append(ORDER, BUST)) == {}


@pytest.mark.parametrize("wrong", [{"trade_id": []}, {"trade_id": 5}, {"price": 1.5}, {"side": "UP"}])
def test_a_malformed_one_is_refused_as_by_the_store(book: Book, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidEvent):
        book.append(ORDER, msgspec.structs.replace(BUST, **wrong))
    with pytest.raises(InvalidEvent):
        book.append("nonsense", BUST)
    with pytest.raises(InvalidEvent):
        book.append(ORDER, [BUST, BUST], key="one key")
    with pytest.raises(TypeError):
        book.append(ORDER, BUST, wrong=5)  # type: ignore[call-arg]


def test_a_busted_trade_has_no_figures_to_take(book: Book) -> None:
    book.append(ORDER, fill("T-1", 2, 50))
    book.append(ORDER, BUST)
    assert stated(book.append(ORDER, BUST)) == {}
    assert stated(book.append(ORDER, corrected())) == {"quantity": "2", "price": "55"}
    assert quantity(book) == 0


@pytest.mark.parametrize("stream", ["order/A/O-9", "trade/A/T-1"])
def test_several_trades_that_fit_equally_are_left_to_the_fold(book: Book, stream: str) -> None:
    book.append(ORDER, fill("T-1", 2, 50))
    book.append("order/A/O-2", fill("T-1", 3, 60, "NQZ5"))
    assert stated(book.append(stream, BUST)) == {}
    # The newest one, as the fold has it.
    assert (quantity(book), quantity(book, "NQZ5")) == (2, 0)


@pytest.mark.parametrize("said", [{"stream": ORDER}, {"symbol": "ESZ5"}, {"side": Side.BUY}])
def test_what_is_stated_decides_which_of_several_is_meant(book: Book, said: dict[str, Any]) -> None:
    book.append(ORDER, fill("T-1", 2, 50))
    book.append("order/A/O-2", fill("T-1", -3, 60, "NQZ5"))
    stream = said.pop("stream", "trade/A/T-1")
    found = stated(book.append(stream, msgspec.structs.replace(BUST, **said)))
    assert found == {"symbol": "ESZ5", "side": "BUY", "quantity": "2", "price": "50"}
    assert (quantity(book), quantity(book, "NQZ5")) == (0, -3)


def test_what_is_stated_is_never_overwritten(book: Book) -> None:
    book.append(ORDER, fill("T-1", 2, 50, fee=Decimal(3)))
    given = {"quantity": Decimal(7), "fee": Decimal(1)}
    found = stated(book.append(ORDER, msgspec.structs.replace(BUST, **given)))
    assert found == {"symbol": "ESZ5", "side": "BUY", "quantity": "7", "price": "50", "fee": "1"}


def test_a_bust_and_a_correction_state_the_trade_as_it_stands(book: Book) -> None:
    sold = fill("T-1", -2, 50, fee=Decimal(3), fee_currency="USD", position_side=LONG)
    book.append(ORDER, sold)
    found = stated(book.append("trade/A/T-1", corrected(3, 51)))
    common = {"symbol": "ESZ5", "side": "SELL", "position_side": "LONG"}
    assert found == {"quantity": "3", "price": "51", "previous_quantity": "2", "previous_price": "50", **common}
    found = stated(book.append("trade/A/T-1", BUST))
    assert found == {"quantity": "3", "price": "51", "fee": "3", "fee_currency": "USD", **common}
    assert quantity(book, side=PositionSide.LONG) == 0


def test_each_batch_is_completed_and_all_are_written_or_none(book: Book, store: EventStore) -> None:
    book.append(ORDER, [fill("T-1", 2, 50), fill("T-2", 1, 51)])
    other = trading.TradeBusted(trade_id="T-2")
    head = store.head()
    with pytest.raises(InvalidEvent):
        book.append_many([Batch(ORDER, iter([BUST])), Batch("nonsense", other)])  # type: ignore[arg-type]
    assert store.head() == head
    records = book.append_many([Batch(ORDER, iter([BUST]), key=iter(["b"])), Batch("trade/A/T-2", [other])])  # type: ignore[arg-type]
    assert [stated([each])["price"] for each in records] == ["50", "51"]
    assert quantity(book) == 0


def test_only_the_first_event_of_a_call_about_a_trade_is_completed(book: Book) -> None:
    book.append(ORDER, fill("T-1", 2, 50))
    first, second = book.append(ORDER, [corrected(3), BUST])
    assert stated([first])["previous_quantity"] == "2"
    assert stated([second]) == {}
    new = trading.TradeBusted(trade_id="T-2")
    assert stated(book.append(ORDER, [fill("T-2", 2, 50), new])[1:]) == {}
    assert (quantity(book), marks(book)) == (0, [])


def test_what_others_have_corrected_meanwhile_is_read_first(book: Book, store: EventStore) -> None:
    book.append(ORDER, fill("T-1", 2, 50))
    store.append(ORDER, corrected(3, 51))
    found = stated(book.append(ORDER, BUST))
    assert (found["quantity"], found["price"]) == ("3", "51")


def test_a_known_key_returns_its_record_whatever_became_of_the_trade(book: Book, store: EventStore) -> None:
    book.append(ORDER, fill("T-1", 2, 50, fee=Decimal(1)))
    first = book.append(ORDER, corrected(3, 51), key="c-1")
    second = book.append(ORDER, BUST, key="b-1")
    early = book.append("order/A/O-2", trading.TradeBusted(trade_id="T-2"), key="b-2")
    book.append("order/A/O-2", fill("T-2", 4, 40), occurred_at=NOON - SECOND)
    head = store.head()
    assert book.append(ORDER, corrected(3, 51), key="c-1") == first
    assert book.append(ORDER, BUST, key="b-1") == second
    assert book.append("order/A/O-2", trading.TradeBusted(trade_id="T-2"), key="b-2") == early
    assert book.append(ORDER, [corrected(3, 51), BUST], key=["c-1", "b-1"]) == first + second
    assert store.head() == head
    for other in (corrected(4, 51), corrected(3, 51, previous_price=Decimal(9)), BUST):
        with pytest.raises(DuplicateEvent):
            book.append(ORDER, other, key="c-1")
    assert store.head() == head


def test_who_is_overtaken_under_the_same_key_gets_that_record(
    book: Book, store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    book.append(ORDER, fill("T-1", 2, 50))
    whole = completion.completed
    done: list[Record] = []

    def overtaken(*given: Any) -> list[list[Event]]:  # noqa: ANN401 - as it has them
        found = whole(*given)
        if not done:
            figures = {"symbol": "ESZ5", "side": Side.BUY, "quantity": Decimal(1), "price": Decimal(49)}
            done.extend(store.append(ORDER, msgspec.structs.replace(BUST, **figures), key="b-1"))
        return found

    monkeypatch.setattr(completion, "completed", overtaken)
    assert book.append(ORDER, BUST, key="b-1") == done
    done.clear()
    with pytest.raises(DuplicateEvent):
        book.append(ORDER, msgspec.structs.replace(BUST, price=Decimal(7)), key="b-1")


def test_a_book_of_the_past_appends_nothing(book: Book, store: EventStore) -> None:
    book.append(ORDER, fill("T-1", 2, 50))
    with pytest.raises(ReadOnly):
        projections.as_of(store, position=1).append(ORDER, BUST)


def test_a_book_of_some_accounts_completes_theirs(book: Book, store: EventStore) -> None:
    book.append("contract/-/ESZ5", trading.ContractDefined(symbol="ESZ5", broker_ids=("CON.ES",)))
    for account in ("A", "B"):
        book.append(f"order/{account}/O-1", fill("T-1", 2, 50, "CON.ES"))
    with projections.open(store, accounts=["A"]) as some:
        found = stated(some.append("trade/A/T-1", BUST))
        assert found == {"symbol": "ESZ5", "side": "BUY", "quantity": "2", "price": "50"}
        assert stated(some.append("trade/B/T-1", BUST)) == {}
        assert quantity(some) == 0
    book.refresh()
    assert quantity(book) == 0
    assert book.positions.get("B", "ESZ5").quantity == 0


def test_an_account_that_is_parked_takes_its_busts_as_given(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    book.append(ORDER, fill("T-1", 2, 50))

    def fail(*_: object) -> None:
        msg = "broken"
        raise ValueError(msg)

    with monkeypatch.context() as broken:
        broken.setattr(Fills, "fold", fail)
        book.append(ORDER, fill("T-2", 2, 50))
    assert stated(book.append(ORDER, BUST)) == {}
    assert book.retry("executions", "A")
    assert quantity(book) == 2


# Trades that the fold does not know any more


def test_an_old_trade_is_busted_by_id_alone_in_its_own_stream(book: Book) -> None:
    book.append("contract/-/ESZ5", trading.ContractDefined(symbol="ESZ5", multiplier=Decimal(50), currency="USD"))
    book.append(ORDER, [fill("T-1", 2, 50, fee=Decimal(4)), fill("T-2", -1, 60)])
    batches = [Batch(f"order/A/N-{n}", fill(f"N-{n}", 1 - 2 * (n % 2), 10, "NQZ5")) for n in range(RECENT_MAX)]
    book.append_many(batches)
    assert stated(book.append("trade/A/T-1", BUST)) == {}
    found = stated(book.append(ORDER, BUST))
    assert found == {"symbol": "ESZ5", "side": "BUY", "quantity": "2", "price": "50", "fee": "4"}
    position = book.positions.get("A", "ESZ5")
    # Bought 2 @ 50 and sold 1 @ 60: 10; 2 are sold back @ 50, and nothing but the sale of 1 @ 60 is left.
    assert (position.quantity, position.realized_points, position.average_price, position.fees) == (-1, 10, 50, 0)


def test_an_old_trade_is_stated_as_its_stream_has_left_it(forgetful: Book) -> None:
    forgetful.append(ORDER, fill("T-1", 2, 50, position_side=LONG))
    forgetful.append(ORDER, [corrected(3, 51), trading.FeeCharged(trade_id="T-1", amount=Decimal(2), currency="USD")])
    forget(forgetful)
    found = stated(forgetful.append(ORDER, corrected(1, 52)))
    figures = {"previous_quantity": "3", "previous_price": "51", "position_side": "LONG"}
    assert found == {"quantity": "1", "price": "52", "symbol": "ESZ5", "side": "BUY", **figures}
    assert quantity(forgetful, side=LONG) == 1
    found = stated(forgetful.append(ORDER, BUST))
    assert (found["quantity"], found["fee"], found["fee_currency"]) == ("1", "2", "USD")
    assert quantity(forgetful, side=LONG) == 0
    # Busted already: it has no figures any more, and what is not known is said.
    assert stated(forgetful.append(ORDER, BUST)) == {}
    assert quantity(forgetful, side=LONG) == 0
    assert [each.kind for each in forgetful.positions.anomalies("A")] == [TradeAnomalyKind.UNKNOWN_BUST]


def test_an_old_trade_of_the_stream_comes_before_a_new_one_of_its_id_elsewhere(forgetful: Book) -> None:
    forgetful.append(ORDER, fill("T-1", 2, 50))
    forget(forgetful)
    forgetful.append("order/A/O-2", fill("T-1", 3, 60, "NQZ5"))
    assert stated(forgetful.append(ORDER, BUST))["symbol"] == "ESZ5"
    assert (quantity(forgetful), quantity(forgetful, "NQZ5")) == (0, 3)


@pytest.mark.parametrize("later", ["split", "fees", "side", "long stream"])
def test_an_old_trade_whose_figures_cannot_be_stated_is_left_unknown(
    forgetful: Book, later: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    forgetful.append(ORDER, fill("T-1", 2, 50, fee=Decimal(1), fee_currency="USD"))
    clock.advance(SECOND)
    event: Event = BUST
    match later:
        case "split":
            split = trading.PositionAdjusted(symbol="ESZ5", quantity=Decimal(2), reason=AdjustmentReason.SPLIT)
            forgetful.append("position/A/ESZ5", split)
        case "fees":
            forgetful.append(ORDER, trading.FeeCharged(trade_id="T-1", amount=Decimal(1), currency="EUR"))
        case "side":
            event = corrected(side=Side.SELL)
        case "long stream":
            forgetful.append(ORDER, [fill(f"L-{n}", 1, 50) for n in range(5)])
            monkeypatch.setattr(completion, "RECORDS_MAX", 5)
    forget(forgetful)
    before = quantity(forgetful)
    found = stated(forgetful.append(ORDER, event))
    assert "symbol" not in found
    assert quantity(forgetful) == before
    assert forgetful.positions.get("A", "ESZ5").is_uncertain


def test_others_are_appended_as_they_are(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completion, "completed", None)
    complete = {"symbol": "ESZ5", "side": Side.BUY, "quantity": Decimal(2), "price": Decimal(50)}
    book.append(ORDER, fill("T-1", 2, 50))
    book.append(ORDER, [fill("T-2", 2, 50), fill("T-3", 2, 50)])
    book.append(ORDER, msgspec.structs.replace(BUST, **complete))
    assert quantity(book) == 4
