"""The quotes behind a lockout, a breach or an ignored price are kept in the log, as evidence for a dispute."""

# A Decimal equals the int that stands for it here, which mypy does not know of members of a tuple.
# mypy: disable-error-code="comparison-overlap"

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

import projections
from eventstore import Record
from eventstore.trading import ContractDefined, LimitBreached, LockoutSet, QuoteReceived, QuotesKept, Side
from projections.risk.limits.daily_loss import DailyLoss
from projections.risk.limits.evidence import QuotesEvidence
from projections.risk.policies import Policies
from projections.views.quotes.evidence import KEPT_BYTES_MAX, KEPT_MAX
from projections.views.quotes.queries import Quotes
from tests.projections.policy_scene import fail
from tests.projections.rules_day import ACCOUNT, CALENDAR, NOON, SECOND, Day, trading_day


@pytest.fixture
def day(tmp_path: Path) -> Iterator[Day]:
    # At the beginning of a minute: at most one is kept in each.
    assert NOON % (60 * SECOND) == 0
    day = trading_day(tmp_path / "data", DailyLoss(), QuotesEvidence())
    day.limit("daily-loss", limit="1000", basis="equity")
    day.fill(Side.BUY, "5000")
    yield day
    day.close()


def kept(day: Day) -> list[tuple[Record, QuotesKept]]:
    return [
        (record, record.event) for record in day.store.read(types=(QuotesKept,)) if isinstance(record.event, QuotesKept)
    ]


def prices(event: QuotesKept) -> list[Decimal | None]:
    return [quote.last for quote in event.quotes]


def test_a_lockout_keeps_the_last_minute_of_its_quotes_newest_first(day: Day) -> None:
    day.define("NQ", "20")
    day.quote("5001")
    day.pass_seconds(61)
    day.quote("200", "NQ")
    for price in ("4995", "4990", "4980"):
        day.quote(price)
        day.pass_seconds(1)
    [lockout] = day.lockouts()
    [(record, event)] = kept(day)
    assert (record.stream.startswith("evidence/A/"), record.actor) == (True, "policy:evidence")
    assert (record.causation_id, record.position > lockout.position) == (lockout.id, True)
    assert prices(event) == [4_980, 4_990, 4_995]
    assert event.since == lockout.recorded_at - 60 * SECOND
    assert [quote.at for quote in event.quotes] == [NOON + seconds * SECOND for seconds in (63, 62, 61)]


def test_a_breach_that_only_warns_keeps_them_too(day: Day) -> None:
    day.limit("daily-loss:soon", limit="500", basis="equity", severity="WARNING")
    day.quote("4990")
    [breach] = day.store.read(types=(LimitBreached,))
    [(record, event)] = kept(day)
    assert (record.causation_id, prices(event)) == (breach.id, [4_990])


def test_a_lockout_by_hand_keeps_those_of_the_open_positions(day: Day) -> None:
    day.define("NQ", "20")
    day.quote("4999")
    day.quote("200", "NQ")
    [lockout] = day.book.append("lockout/A/manual", LockoutSet(rule_id="manual", reason="enough"))
    [(record, event)] = kept(day)
    assert (record.causation_id, prices(event)) == (lockout.id, [4_999])


def test_an_ignored_price_is_kept_with_why(day: Day) -> None:
    day.quote("4999")
    assert not kept(day)
    day.pass_seconds(1)
    day.quote("49990")
    [(record, event)] = kept(day)
    assert record.causation_id is None
    assert prices(event) == [49_990, 4_999]
    assert event.quotes[0].ignored
    assert not event.quotes[1].ignored


def test_a_name_whose_last_price_was_ignored_is_not_evidence_at_each_quote_of_another_name(day: Day) -> None:
    contract = ContractDefined(symbol="ES", multiplier=Decimal(50), currency="USD", broker_ids=("BROKER.ES",))
    day.book.append("contract/-/ES", contract)
    day.quote("4999", "BROKER.ES")
    day.quote("49990", "BROKER.ES")
    assert len(kept(day)) == 1
    day.pass_seconds(60)
    day.quote("4999")
    assert len(kept(day)) == 1


def test_at_most_one_is_kept_for_an_account_in_a_minute(day: Day) -> None:
    day.quote("4999")
    for _ in range(120):
        day.quote("49990")
        day.quote("4999")
        day.pass_seconds(1)
    assert [record.stream for record, _ in kept(day)] == [
        f"evidence/A/{NOON // (60 * SECOND) + minute}" for minute in (0, 1)
    ]


def test_accounts_do_not_share_the_minute(day: Day) -> None:
    day.quote("4999")
    day.account = "B"
    day.open_account()
    day.fill(Side.BUY, "5000")
    day.quote("49990")
    assert sorted(record.account for record, _ in kept(day)) == ["A", "B"]


def test_what_is_kept_is_bounded(day: Day) -> None:
    for number in range(700):
        event = QuoteReceived(symbol="ES", last=Decimal(4_990) + Decimal(number) / 1_000, source="a long name" * 5)
        day.book.observe("quote/-/ES", event)
    day.quote("4980")
    [(record, event_kept)] = kept(day)
    assert 0 < len(event_kept.quotes) <= KEPT_MAX
    assert len(record.data) <= KEPT_BYTES_MAX + 1_000
    assert event_kept.quotes[0].last == 4_980


def test_a_process_without_quotes_keeps_none(day: Day) -> None:
    day.policies.stop()
    day.restart([DailyLoss(), QuotesEvidence()])
    day.book.append("lockout/A/manual", LockoutSet(rule_id="manual", reason="enough"))
    assert not kept(day)


def test_two_processes_keep_one(day: Day) -> None:
    with projections.open(day.store, snapshots=False, calendars=CALENDAR) as book:
        other = Policies(book, [DailyLoss(), QuotesEvidence()]).start(ticking=False)
        book.observe("quote/-/ES", QuoteReceived(symbol="ES", last=Decimal(4_999)))
        day.quote("4998")
        for each in (day.book, book):
            each.observe("quote/-/ES", QuoteReceived(symbol="ES", last=Decimal(4_980)))
        assert len(day.lockouts()) == 1
        assert len(kept(day)) == 1
        other.stop()


def test_its_failure_does_not_affect_the_decision(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Quotes, "kept", fail)
    day.quote("4980")
    assert len(day.lockouts()) == 1
    assert len(day.book.enforcement.pending(ACCOUNT)) == 2
    assert not kept(day)
    assert [name for name, _ in day.policies.stopped] == ["evidence"]
    day.policies.stopped.clear()


def test_what_is_kept_is_read_as_it_was_received(day: Day) -> None:
    event = QuoteReceived(symbol="ES", last=Decimal(4_980), bid=Decimal(4_979), ask=Decimal(4_981), source="CME")
    day.book.observe("quote/-/ES", event)
    [(_, found)] = kept(day)
    quote = found.quotes[0]
    assert msgspec.structs.asdict(quote) == {
        "symbol": "ES",
        "at": NOON,
        "last": Decimal(4_980),
        "bid": Decimal(4_979),
        "ask": Decimal(4_981),
        "mark": None,
        "source": "CME",
        "ignored": "",
    }
