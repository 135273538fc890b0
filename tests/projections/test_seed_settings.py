"""Seeds: how accounts are valued and judged is set from a TOML file, once, setting by setting."""

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

import eventstore
import projections
from eventstore import EventStore, InvalidEvent
from eventstore.trading import AccountConfigured, Baseline, Cost, Unpriced, Valuation
from projections.seeds import Seeds, load

SETTINGS = """
[defaults.settings]
valuation = "mid"
haircut = "0.05"
unpriced_after = "1m30s"

[accounts.A.settings]
valuation = "mark"
baseline = "equity-at-reset"
payout = "floor-to=0"
cost = "average"
unpriced = "FLATTEN"
balance_tolerance = "2.50"

[accounts.B]
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    with eventstore.open(tmp_path / "data") as opened:
        yield opened


def written(directory: Path, text: str) -> Seeds:
    path = directory / "risk.toml"
    path.write_text(text, "utf-8")
    return load(path)


def test_a_file_sets_all_settings_of_an_account_at_once(store: EventStore, tmp_path: Path) -> None:
    book = projections.open(store)
    records = written(tmp_path, SETTINGS).apply(book, "risk desk")
    assert [record.stream for record in records] == ["account/A/-", "account/B/-"]
    assert {(record.actor, record.note) for record in records} == {("risk desk", "seeded from risk.toml")}
    assert records[0].event == AccountConfigured(
        valuation=Valuation.MARK,
        baseline=Baseline.EQUITY_AT_RESET,
        payout="floor-to=0",
        cost=Cost.AVERAGE,
        unpriced=Unpriced.FLATTEN,
        unpriced_after=90_000_000_000,
        haircut=Decimal("0.05"),
        balance_tolerance=Decimal("2.50"),
    )
    # What an account does not state itself is as the defaults say, setting by setting.
    found = book.accounts.configuration("B")
    assert (found.valuation, found.haircut, found.baseline) == (Valuation.MID, Decimal("0.05"), Baseline.MAXIMUM)
    assert written(tmp_path, SETTINGS).apply(projections.open(store), "somebody") == []


def test_every_setting_there_is_can_be_set_by_a_file(tmp_path: Path) -> None:
    more = '\n[accounts.A.settings]\nbalance_kind = "wallet"\nsecond_approver = "risk"\n'
    text = SETTINGS.replace("\n[accounts.A.settings]\n", more)
    found = written(tmp_path, text).settings["A"]
    assert [name for name in AccountConfigured.__struct_fields__ if getattr(found, name) is None] == []


def test_an_account_is_opened_and_configured_together(store: EventStore, tmp_path: Path) -> None:
    text = '[accounts.A]\nstarting_balance = "1"\ncurrency = "USD"\n' + SETTINGS.replace("[accounts.B]", "")
    records = written(tmp_path, text).apply(projections.open(store), "risk desk")
    assert [(record.type, record.version) for record in records] == [("AccountOpened", 1), ("AccountConfigured", 2)]
    assert written(tmp_path, text).apply(projections.open(store), "risk desk") == []


def test_a_setting_that_was_made_by_hand_stays_and_the_others_are_seeded(store: EventStore, tmp_path: Path) -> None:
    store.append("account/A/-", AccountConfigured(valuation=Valuation.LAST), actor="trader")
    book = projections.open(store)
    [record, _] = written(tmp_path, SETTINGS).apply(book, "risk desk")
    assert isinstance(record.event, AccountConfigured)
    assert (record.event.valuation, record.event.baseline) == (None, Baseline.EQUITY_AT_RESET)
    assert book.accounts.configuration("A").valuation is Valuation.LAST


def test_a_setting_that_a_changed_file_adds_is_seeded_and_none_is_changed(store: EventStore, tmp_path: Path) -> None:
    book = projections.open(store)
    written(tmp_path, SETTINGS).apply(book, "risk desk")
    changed = SETTINGS.replace('"mark"', '"last"').replace('cost = "average"', 'second_approver = "risk"')
    [record] = written(tmp_path, changed).apply(book, "risk desk")
    assert record.event == AccountConfigured(second_approver="risk")
    found = book.accounts.configuration("A")
    assert (found.valuation, found.cost, found.second_approver) == (Valuation.MARK, Cost.AVERAGE, "risk")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('[accounts.A.settings]\nvalue = "mid"', "[accounts.A.settings] unknown key value: the keys are valuation, "),
        ('[defaults.settings]\nvalue = "mid"', "[defaults.settings] unknown key value: the keys are valuation, "),
        (
            '[accounts.A.settings]\nvaluation = "best"',
            "[accounts.A.settings] valuation = 'best': expected one of mark, last-within-spread, ",
        ),
        ("[accounts.A.settings]\nvaluation = 3", "[accounts.A.settings] valuation = 3: expected one of mark, "),
        ('[accounts.A.settings]\nbaseline = ["maximum"]', "[accounts.A.settings] baseline = ['maximum']: expected one"),
        (
            '[defaults.settings]\nunpriced = "reduce-only"\n[accounts.A]',
            "[defaults.settings] unpriced = 'reduce-only': expected one of REDUCE_ONLY, NOTHING, FLATTEN",
        ),
        ('[accounts.A.settings]\ncost = "lifo"', "[accounts.A.settings] cost = 'lifo': expected one of fifo, average"),
        ('[accounts.A.settings]\npayout = "all"', "[accounts.A.settings] AccountConfigured: payout 'all' is unknown"),
        ("[accounts.A.settings]\nunpriced_after = 30", "[accounts.A.settings] unpriced_after = 30: expected text in q"),
        (
            '[accounts.A.settings]\nunpriced_after = "soon"',
            "[accounts.A.settings] unpriced_after: invalid duration 'soon': write it like ",
        ),
        ("[accounts.A.settings]\nhaircut = 0.5", "[accounts.A.settings] haircut = 0.5 is a float, which is not exact"),
        (
            '[accounts.A.settings]\nhaircut = "1.5"',
            "[accounts.A.settings] AccountConfigured: haircut 1.5 is not",
        ),
        ("[accounts.A]\nsettings = 3", "[accounts.A] settings = 3: write a table [accounts.A.settings] instead"),
    ],
)
def test_what_settings_may_not_say_is_refused_by_table_and_key(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(InvalidEvent, match=re.escape(why)):
        written(tmp_path, text)
