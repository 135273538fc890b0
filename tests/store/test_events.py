"""Events: registration and names, how old ones are read today, and their bytes."""

import inspect
import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings

import eventstore
from eventstore import Batch, Event, InvalidEvent, trading
from eventstore.clock import TIME_MAX
from eventstore.events import QUEUED, SYNCED, VOLATILE, encode
from eventstore.events.registry import by_class, by_name, type_names
from eventstore.record import Draft
from tests.proving import examples
from tests.store.event_strategies import events_of

NOON = datetime(2025, 7, 21, 12, tzinfo=UTC)
VOCABULARY = [cls for _, cls in inspect.getmembers(trading, inspect.isclass) if issubclass(cls, Event)]


def stored(name: str, schema: int, data: bytes) -> Draft:
    return Draft(bytes(16), "test/-/1", name, schema, 0, data, "", "", None, None)


def read_back(event: Event) -> Event:
    kind, data = encode(event)
    return stored(kind.name, kind.schema, data).event


# The codec


@pytest.mark.untraced
@pytest.mark.prove
@pytest.mark.parametrize("cls", VOCABULARY)
def test_every_event_of_the_vocabulary_reads_back_to_the_last_digit(cls: type[Event]) -> None:
    @settings(max_examples=examples(test=15, prove=2_000))
    @given(events_of(cls))
    def holds(event: Event) -> None:
        # Equal decimals may differ in their digits: 1.10 and 1.1. The text of an event shows each digit.
        assert repr(read_back(event)) == repr(event)
        assert read_back(event) == event

    holds()


def test_the_vocabulary_is_looked_at() -> None:
    assert len(VOCABULARY) >= 46


@pytest.mark.parametrize("text", ["0.1", "1.10", "-0.00", "1E+30", "1E-30", "123456789012345678901234567890.123456789"])
def test_a_price_keeps_every_digit(text: str) -> None:
    event = trading.OrderSubmitted(symbol="ESZ5", side=trading.Side.BUY, quantity=Decimal(1), limit_price=Decimal(text))
    assert json.loads(encode(event)[1])["limit_price"] == text
    found = read_back(event)
    assert isinstance(found, trading.OrderSubmitted)
    assert str(found.limit_price) == text


@pytest.mark.parametrize("text", ["", "ü", "漢字", "😀", "\u2028", "\x01", '"\\/', "e\u0301", "\U0010ffff"])
def test_text_keeps_every_sign(text: str) -> None:
    assert read_back(trading.OrderRejected(reason=text)) == trading.OrderRejected(reason=text)


def test_members_at_their_default_take_no_bytes() -> None:
    assert encode(trading.OrderTriggered())[1] == b"{}"
    assert encode(trading.OrderRejected(reason="late"))[1] == b'{"reason":"late"}'


def test_an_instant_is_stored_in_nanoseconds_whichever_zone_it_was_given_in() -> None:
    utc = datetime(2025, 7, 21, 12, tzinfo=UTC)
    elsewhere = utc.astimezone(timezone(timedelta(hours=4)))
    given = [trading.LockoutSet(rule_id="r", until=until) for until in (utc, elsewhere)]  # type: ignore[arg-type]
    wanted = trading.LockoutSet(rule_id="r", until=1_753_099_200_000_000_000)
    assert [read_back(event) for event in given] == [wanted, wanted]


def test_words_may_be_given_as_text_and_read_as_enums() -> None:
    event = trading.TradeExecuted(
        trade_id="1",
        symbol="ESZ5",
        side="SELL",  # type: ignore[arg-type]
        quantity=Decimal(1),
        price=Decimal(1),
        trading_day=date(2025, 7, 21),
    )
    found = read_back(event)
    assert isinstance(found, trading.TradeExecuted)
    assert (found.side, found.trading_day) == (trading.Side.SELL, date(2025, 7, 21))


# What is refused

FILL: dict[str, Any] = {
    "trade_id": "1", "symbol": "ESZ5", "side": trading.Side.BUY, "quantity": Decimal(1), "price": Decimal(1)
}  # fmt: skip


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("quantity", Decimal("NaN")),
        ("quantity", Decimal("sNaN")),
        ("quantity", Decimal("Infinity")),
        ("quantity", Decimal(0)),
        ("quantity", Decimal("-0")),
        ("quantity", Decimal(-1)),
        ("quantity", 0),
        ("quantity", True),
        ("quantity", 1.0),
        ("quantity", "many"),
        ("quantity", None),
        ("price", Decimal("NaN")),
        ("price", Decimal("-Infinity")),
        ("price", 4500.25),
        ("price", float("nan")),
        ("price", float("inf")),
        ("fee", 0.5),
        ("fee", Decimal("NaN")),
        ("side", "LONG"),
        ("side", None),
        ("symbol", None),
        ("symbol", 7),
        ("symbol", "\ud800"),
        ("trading_day", datetime(2025, 7, 21, tzinfo=UTC)),
        ("reported_pnl", Decimal("Infinity")),
        ("liquidity", 1),
    ],
)
def test_a_member_that_means_nothing_is_refused_by_name(member: str, value: Any) -> None:  # noqa: ANN401 - anything wrong
    with pytest.raises(InvalidEvent, match=rf"OrderFilled(\.{member}| cannot be stored)"):
        encode(trading.OrderFilled(**{**FILL, member: value}))


def test_what_was_right_once_is_looked_at_again() -> None:
    encode(trading.OrderFilled(**FILL))
    with pytest.raises(InvalidEvent, match="finite number above 0"):
        encode(trading.OrderFilled(**{**FILL, "quantity": Decimal(-1)}))
    with pytest.raises(InvalidEvent, match="float"):
        encode(trading.OrderFilled(**{**FILL, "price": 1.0}))


@pytest.mark.parametrize("until", [datetime(2025, 7, 21), -1, TIME_MAX + 1, 1.5, "soon"])  # noqa: DTZ001 - refused
def test_an_invalid_instant_is_refused(until: Any) -> None:  # noqa: ANN401 - anything wrong
    with pytest.raises(InvalidEvent):
        encode(trading.LockoutSet(rule_id="r", until=until))


def test_a_duration_is_stored_in_nanoseconds() -> None:
    durations = [timedelta(minutes=5, microseconds=1), 300_000_001_000, 0]
    given = [trading.TimerStarted(name="cooldown", duration=duration) for duration in durations]  # type: ignore[arg-type]
    wanted = [trading.TimerStarted(name="cooldown", duration=duration) for duration in (300_000_001_000,) * 2 + (0,)]
    assert [read_back(event) for event in given] == wanted


@pytest.mark.parametrize("duration", [timedelta(microseconds=-1), -1, TIME_MAX + 1, timedelta.max, 1.5, True, "soon"])
def test_an_invalid_duration_is_refused(duration: Any) -> None:  # noqa: ANN401 - anything wrong
    with pytest.raises(InvalidEvent, match="a duration is a timedelta or an int of nanoseconds, 0 or more"):
        encode(trading.TimerStarted(name="cooldown", duration=duration))


@pytest.mark.parametrize(
    "member",
    [{"numbers": (1.5, float("nan"))}, {"prices": (Decimal(1), Decimal("NaN"))}, {"prices": (0.1,)}],
    ids=["a NaN float", "a NaN decimal", "a float for a decimal"],
)
def test_a_number_inside_a_container_is_checked_too(member: dict[str, Any]) -> None:
    @eventstore.event(name="tested.Nested")
    class Nested(Event, frozen=True, kw_only=True):
        numbers: tuple[float, ...] = ()
        prices: tuple[Decimal, ...] = ()

    with pytest.raises(InvalidEvent, match="Nested"):
        encode(Nested(**member))


@pytest.mark.parametrize(
    ("price", "at"),
    [(1.5, 5), (Decimal("NaN"), 5), ("x", 5), (None, 5), (Decimal(1), -5), (Decimal(1), None), (Decimal(1), NOON)],
)
def test_a_struct_inside_an_event_is_checked_as_its_own_members(price: Any, at: Any) -> None:  # noqa: ANN401 - anything wrong
    figures: dict[str, Any] = dict.fromkeys(("balance", "equity", "high_water"), Decimal(1))
    encode(trading.EquityMarked(**figures, quotes={"ESZ5": trading.QuoteUsed(Decimal("1.5"), 5)}))
    with pytest.raises(InvalidEvent):
        encode(trading.EquityMarked(**figures, quotes={"ESZ5": trading.QuoteUsed(price, at)}))


# The registry


def test_a_bare_decorator_registers_with_the_strongest_of_the_usual() -> None:
    @eventstore.event
    class TestedBare(Event, frozen=True, kw_only=True):
        note: str = ""

    kind = by_class(TestedBare)
    assert (kind.name, kind.schema, kind.durability, kind.measures) == ("TestedBare", 1, SYNCED, ())
    assert read_back(TestedBare(note="x")) == TestedBare(note="x")


def test_settings_are_kept() -> None:
    @eventstore.event(schema=3, durability=VOLATILE, measures=("price",), name="tested.Set")
    class Configured(Event, frozen=True, kw_only=True):
        price: Decimal

    kind = by_name("tested.Set")
    assert kind is not None
    assert (kind.cls, kind.schema, kind.durability, kind.measures) == (Configured, 3, VOLATILE, ("price",))


def test_the_weakest_durability_of_the_vocabulary_is_as_written() -> None:
    written = {cls: QUEUED for cls in VOCABULARY if cls.__name__.endswith("Reported")}
    written |= dict.fromkeys((trading.EnforcementRequested, trading.EnforcementTaken), QUEUED)
    written |= dict.fromkeys((trading.QuotesWanted, trading.QuotesKept), QUEUED)
    written |= dict.fromkeys((trading.WouldLock, trading.WouldClear, trading.WouldAsk, trading.AlertSent), QUEUED)
    written |= dict.fromkeys((trading.LimitUnjudged, trading.LimitJudged), QUEUED)
    written |= dict.fromkeys((trading.ClockChecked, trading.RecordsRead), QUEUED)
    written |= dict.fromkeys(
        (trading.ContractDefined, trading.AccountUpdated, trading.RateQuoted, trading.NoteAdded), QUEUED
    )
    written |= dict.fromkeys((trading.QuoteReceived, trading.TimerStarted, trading.TimerCanceled), VOLATILE)
    written[trading.FeedAlive] = VOLATILE
    for cls in VOCABULARY:
        assert by_class(cls).durability == written.get(cls, SYNCED), cls


@pytest.mark.parametrize("can_trade", [True, None])
def test_what_an_account_may_do_can_wait_for_its_sync(can_trade: bool | None, store: eventstore.EventStore) -> None:
    update = trading.AccountUpdated(balance=Decimal(1), can_trade=can_trade)
    assert store.enqueue("account/ACC1/-", update).result(5)[0].event == update


def test_that_an_account_may_not_trade_is_on_disk_before_it_is_acknowledged(store: eventstore.EventStore) -> None:
    update = trading.AccountUpdated(can_trade=False)
    with pytest.raises(InvalidEvent, match="AccountUpdated must be at least SYNCED, not QUEUED: append it"):
        store.enqueue("account/ACC1/-", update)
    assert store.append("account/ACC1/-", update)[0].event == update
    assert store.head() == 1


def test_limits_are_set_by_somebody_who_is_named(store: eventstore.EventStore) -> None:
    stream, limits = "limits/ACC1/daily-loss", trading.LimitsSet(rule_id="daily-loss")
    message = "LimitsSet requires an actor: give actor="
    with pytest.raises(InvalidEvent, match=message):
        store.append(stream, limits)
    with pytest.raises(InvalidEvent, match=message):
        store.append(stream, limits, actor="")
    with pytest.raises(InvalidEvent, match=message):
        store.append(stream, limits, actor=" ")
    with pytest.raises(InvalidEvent, match=message):
        store.append_many([Batch("limits/ACC1/other", limits, actor="risk@desk"), Batch(stream, limits)])
    assert store.head() == 0
    assert store.append(stream, limits, actor="risk@desk")[0].actor == "risk@desk"


def test_limits_cannot_be_enqueued_namelessly(store: eventstore.EventStore) -> None:
    @eventstore.event(name="tested.Signed", durability=QUEUED, requires_actor=True)
    class Signed(Event, frozen=True, kw_only=True):
        pass

    with pytest.raises(InvalidEvent, match=r"tested\.Signed requires an actor"):
        store.enqueue("test/-/1", Signed())
    with pytest.raises(InvalidEvent, match="LimitsSet must be at least SYNCED"):
        store.enqueue("limits/ACC1/r", trading.LimitsSet(rule_id="r"), actor="risk@desk")
    assert store.enqueue("test/-/1", Signed(), actor="risk@desk").result(5)[0].actor == "risk@desk"


def test_a_name_of_the_vocabulary_is_taken() -> None:
    with pytest.raises(InvalidEvent, match=r"OrderFilled is taken by eventstore\.trading"):

        @eventstore.event
        class OrderFilled(Event, frozen=True, kw_only=True):
            trade_id: str


def test_two_facts_of_different_shape_do_not_share_a_name() -> None:
    namespace: dict[str, Any] = {"Event": Event, "event": eventstore.event, "__name__": "one_module"}
    source = "class {}(Event, frozen=True, kw_only=True):\n    {}: int\nevent(name='tested.Shared')({})"
    exec(source.format("First", "a", "First"), namespace)  # noqa: S102 - classes of other modules, without a file
    namespace["__name__"] = "another_module"
    with pytest.raises(InvalidEvent, match=r"tested\.Shared is taken by one_module\.First: choose another"):
        exec(source.format("Second", "b", "Second"), namespace)  # noqa: S102 - the same


def test_a_class_may_be_defined_again_as_notebooks_do() -> None:
    def define() -> type[Event]:
        @eventstore.event(name="tested.Again")
        class Again(Event, frozen=True, kw_only=True):
            text: str = ""

        return Again

    first, second = define(), define()
    assert first is not second
    assert type(stored("tested.Again", 1, b"{}").event) is second


@pytest.mark.parametrize(
    "wrong",
    [
        {"measures": ("position",)},
        {"measures": ("symbol",)},
        {"measures": ("missing",)},
        {"schema": 0},
        {"schema": 2, "upcasters": {2: dict}},
        {"upcasters": {1: dict}},
        {"name": "no blanks"},
        {"name": "x" * 65},
    ],
    ids=str,
)
def test_settings_that_mean_nothing_are_refused(wrong: dict[str, Any]) -> None:
    class Wrong(Event, frozen=True, kw_only=True):
        position: int = 0
        symbol: str = ""

    with pytest.raises(InvalidEvent):
        eventstore.event(**wrong)(Wrong)


@pytest.mark.parametrize("cls", [int, msgspec.Struct])
def test_only_events_can_be_registered(cls: Any) -> None:  # noqa: ANN401 - anything wrong
    with pytest.raises(InvalidEvent, match=r"not a subclass of eventstore\.Event"):
        eventstore.event()(cls)


def test_an_unregistered_class_is_refused_with_the_cure() -> None:
    class Forgotten(Event, frozen=True, kw_only=True):
        pass

    with pytest.raises(InvalidEvent, match=r"Forgotten is not registered: decorate the class with @eventstore\.event"):
        encode(Forgotten())


def test_types_are_named_by_class_or_text() -> None:
    assert type_names(None) is None
    assert type_names(trading.OrderFilled) == ("OrderFilled",)
    assert type_names("Later") == ("Later",)
    assert type_names([trading.OrderFilled, "Later"]) == ("OrderFilled", "Later")


@pytest.mark.parametrize("number", [2**64, -(2**63) - 1, 2**70])
def test_a_whole_number_that_no_snapshot_could_hold_is_refused(number: int) -> None:
    for event in (
        trading.LimitsSet(rule_id="r", revision=number),
        trading.LimitsSet(rule_id="r", parameters={"limits": [{"a": number}]}),
        trading.PairStateSaved(state=number),
    ):
        with pytest.raises(InvalidEvent, match="expected an integer of at most 64 bits"):
            encode(event)


@pytest.mark.parametrize("number", [2**64 - 1, -(2**63), 0])
def test_a_whole_number_of_64_bits_is_stored(number: int) -> None:
    event = trading.LimitsSet(rule_id="r", revision=number, parameters={"limits": [{"a": number}]})
    assert read_back(event) == event
