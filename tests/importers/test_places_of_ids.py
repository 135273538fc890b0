"""The places of ids: against a plain dict, with ids that share their ends, past every growth of the table."""

from __future__ import annotations

import random

import pytest

from gateways.importers import places_of_ids
from gateways.importers.places_of_ids import PlacesOfIds
from tests.proving import rounds

END = bytes(range(8))


def test_an_id_that_was_not_added_has_no_place() -> None:
    places = PlacesOfIds()
    assert places.may_be_at(bytes(16)) == []
    places.add(b"a" * 16, 1)
    assert places.may_be_at(b"b" * 16) == []


def test_ids_with_the_same_end_are_all_named() -> None:
    places = PlacesOfIds()
    for place in range(1, 40):
        places.add(bytes([place]) * 8 + END, place)
    assert places.may_be_at(bytes(8) + END) == list(range(1, 40))


def test_an_end_of_zeros_is_an_end_like_another() -> None:
    places = PlacesOfIds()
    places.add(bytes(16), 1)
    places.add(bytes(15) + b"\1", 2)
    assert (places.may_be_at(bytes(16)), places.may_be_at(bytes(15) + b"\1")) == ([1], [2])


@pytest.mark.parametrize("place", [0, -1, 1 << 28])
def test_a_place_that_no_slot_has_room_for_is_a_fault(place: int) -> None:
    with pytest.raises(AssertionError):
        PlacesOfIds().add(bytes(16), place)


def test_the_last_place_that_a_slot_has_room_for_is_kept() -> None:
    places = PlacesOfIds()
    places.add(b"\xff" * 16, (1 << 28) - 1)
    assert places.may_be_at(b"\xff" * 16) == [(1 << 28) - 1]


@pytest.mark.untraced
def test_random_ids_are_found_as_in_a_dict(monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in rounds("places of ids", test=20, prove=2_000):
        chance = random.Random(seed)
        monkeypatch.setattr(places_of_ids, "_SLOTS_MIN", chance.choice([2, 4, 64]))
        # Few ends: clusters of slots that run past the end of the table to its beginning.
        ends = chance.choice([5, 300, 1 << 36])
        places, model = PlacesOfIds(), dict[int, list[int]]()
        for place in range(1, chance.choice([3, 50, 1_000])):
            end = chance.randrange(ends)
            other = chance.randrange(ends)
            assert sorted(places.may_be_at(other.to_bytes(16, "big"))) == model.get(other, [])
            places.add(chance.randbytes(8) + end.to_bytes(8, "big"), place)
            model.setdefault(end, []).append(place)
        for end, found in model.items():
            assert sorted(places.may_be_at(end.to_bytes(16, "big"))) == found
