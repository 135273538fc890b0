"""Pairs and portfolios: returned as strategies saved them, every state there was included."""

from pathlib import Path
from typing import Any

import pytest

import eventstore
import projections
from eventstore import Event, trading
from projections.views import pairs
from projections.views.pairs import Pairs, PairsState, PairsView, TooManyNames
from tests.views.position_folding import Folding, round_tripped


class Keeping(Folding):
    """A log of saved states."""

    def __init__(self) -> None:
        super().__init__()
        self.view = PairsView()
        self.pairs = Pairs(self)

    def save(self, *events: Event, stream: str = "pair/A/ES-NQ") -> "Keeping":
        for event in events:
            record = self.record(stream, event, occurred_at=1_000 + len(self.records))
            self.view.apply(self.states.setdefault(("pairs", "A"), self.view.initial()), record.event, record)
        return self

    def many(self, count: int) -> "Keeping":
        for number in range(count):
            self.save(pair(number), stream=f"pair/A/P{number}")
        return self


def pair(state: Any, version: int = 1, name: str | None = None) -> Event:  # noqa: ANN401 - opaque
    return trading.PairStateSaved(state=state, version=version, pair=name)


def portfolio(state: Any, name: str | None = None) -> Event:  # noqa: ANN401 - opaque
    return trading.PortfolioSaved(state=state, portfolio=name)


def test_the_newest_state_of_a_name_is_kept() -> None:
    book = Keeping().save(pair({"beta": "1.25", "legs": [1, None, True]}), pair(["other", {"form": 2}], version=2))
    saved = book.pairs.get("A", "ES-NQ")
    assert saved is not None
    assert (saved.account, saved.name, saved.state) == ("A", "ES-NQ", ["other", {"form": 2}])
    assert (saved.version, saved.saved_at, saved.position) == (2, 1_001, 2)


@pytest.mark.parametrize("state", [None, "", 0, [], {}, {"": None}, "ü"])
def test_a_state_may_be_anything_that_json_can_say(state: Any) -> None:  # noqa: ANN401 - opaque
    saved = Keeping().save(pair(state)).pairs.get("A", "ES-NQ")
    assert saved is not None
    assert saved.state == state


def test_what_was_never_saved_is_none() -> None:
    book = Keeping()
    assert book.pairs.get("A", "ES-NQ") is None
    assert book.pairs.of("A") == book.pairs.portfolios("A") == ()
    book.save(pair(1))
    assert book.pairs.get("A", "other") is None
    assert book.pairs.get("B", "ES-NQ") is None
    assert book.pairs.portfolio("A", "ES-NQ") is None


def test_a_name_is_the_events_else_the_streams() -> None:
    book = Keeping().save(pair(1, name="renamed"), pair(2)).save(pair(3), stream="pair/A/ES%2FNQ")
    assert [(saved.name, saved.state) for saved in book.pairs.of("A")] == [("ES-NQ", 2), ("ES/NQ", 3), ("renamed", 1)]


def test_portfolios_and_pairs_of_one_name_are_two_things() -> None:
    book = Keeping().save(pair("pair", name="core")).save(portfolio("portfolio", name="core"), portfolio("own"))
    assert [saved.state for saved in book.pairs.of("A")] == ["pair"]
    assert [(saved.name, saved.state) for saved in book.pairs.portfolios("A")] == [
        ("ES-NQ", "own"),
        ("core", "portfolio"),
    ]
    found = book.pairs.portfolio("A", "core")
    assert found is not None
    assert found.state == "portfolio"


def test_changing_an_answer_changes_no_state() -> None:
    book = Keeping().save(pair({"legs": [1, 2]}))
    first = book.pairs.get("A", "ES-NQ")
    assert first is not None
    first.state["legs"].append(3)
    again = book.pairs.get("A", "ES-NQ")
    assert again is not None
    assert again.state == {"legs": [1, 2]}


def test_history_has_every_saved_state_oldest_first() -> None:
    book = Keeping().save(pair(1), portfolio(2), pair(3, name="other"), pair(4, version=2))
    book.save(pair(5, name="ES-NQ"), stream="pair/A/elsewhere")
    found = [(saved.state, saved.version, saved.position) for saved in book.pairs.history("A", "ES-NQ")]
    assert found == [(1, 1, 1), (4, 2, 4), (5, 1, 5)]
    assert [saved.state for saved in book.pairs.portfolio_history("A", "ES-NQ")] == [2]
    assert list(book.pairs.history("B", "ES-NQ")) == []


def test_a_state_saved_long_ago_is_read_from_its_stream() -> None:
    book = Keeping().save(pair("first"), pair("old", name="named"), pair("newest")).many(pairs.RESIDENT_MAX)
    saved = book.states["pairs", "A"].pairs
    assert len(saved.resident) == len(saved.streams) == pairs.RESIDENT_MAX
    assert saved.evicted == {"named": "pair/A/ES-NQ", "ES-NQ": "pair/A/ES-NQ"}
    states = {saved.name: saved.state for saved in book.pairs.of("A")}
    assert states == {"ES-NQ": "newest", "named": "old", **{f"P{number}": number for number in range(100)}}
    book.save(pair("again"))
    assert list(saved.evicted) == ["named", "P0"]
    found = book.pairs.get("A", "ES-NQ")
    assert found is not None
    assert found.state == "again"


def test_a_name_saved_again_and_again_evicts_no_other() -> None:
    book = Keeping().many(pairs.RESIDENT_MAX).save(*[pair(number, name="P7") for number in range(5)])
    assert book.states["pairs", "A"].pairs.evicted == {}
    book.save(pair("again", name="P0"), pair("new", name="new"))
    assert list(book.states["pairs", "A"].pairs.evicted) == ["P1"]


def test_one_name_too_many_is_an_error_and_a_known_one_still_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs, "NAMES_MAX", 2)
    monkeypatch.setattr(pairs, "RESIDENT_MAX", 1)
    book = Keeping().many(2)
    with pytest.raises(TooManyNames, match="P9"):
        book.save(pair(9), stream="pair/A/P9")
    book.save(pair("again"), stream="pair/A/P0")
    assert [saved.state for saved in book.pairs.of("A")] == ["again", 1]


def test_the_state_survives_a_snapshot() -> None:
    book = Keeping().many(pairs.RESIDENT_MAX + 1).save(portfolio({"a": [1]}))
    state = book.states["pairs", "A"]
    assert round_tripped(state, PairsState) == state


def test_an_event_of_another_kind_changes_nothing() -> None:
    assert Keeping().save(trading.OrderRejected()).states["pairs", "A"] == PairsState()


def test_a_state_outlives_the_process_that_saved_it(tmp_path: Path) -> None:
    with eventstore.open(tmp_path) as store, projections.open(store) as book:
        book.append("pair/A/ES-NQ", pair({"beta": "1.25"}))
        assert book.snapshot()
    with eventstore.open(tmp_path) as store, projections.open(store) as book:
        assert book.recovery.cut == 1
        saved = book.pairs.get("A", "ES-NQ")
        assert saved is not None
        assert saved.state == {"beta": "1.25"}
