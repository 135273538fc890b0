"""Where the events of a file were put, by their ids: a table that takes eight bytes for a slot, and grows."""

from __future__ import annotations

# A slot has the last bits of an id, then the place; an empty one is 0, since places count from 1.
_PLACE_BITS, _TAG_BITS = 28, 36
_PLACES = (1 << _PLACE_BITS) - 1
_TAGS = (1 << _TAG_BITS) - 1
_SLOTS_MIN = 1 << 16


class PlacesOfIds:
    """A hash table of ids, which are digests, with linear probing: at most two thirds of it are filled.

    It keeps only a part of each id, so what it finds is to be compared; of 5,000,000 ids, one in 10,000 finds another.
    """

    def __init__(self) -> None:
        self._count = 0
        self._resize(_SLOTS_MIN)

    def may_be_at(self, id_: bytes) -> list[int]:
        """Return the places under which an id may have been added: usually none."""
        tag = int.from_bytes(id_[-8:], "big") & _TAGS
        slots, mask, found = self._slots, self._mask, []
        at = tag & mask
        while slot := slots[at]:
            if slot >> _PLACE_BITS == tag:
                found.append(slot & _PLACES)
            at = (at + 1) & mask
        return found

    def add(self, id_: bytes, place: int) -> None:
        """Keep the place of an id: from 1 to 268,435,455."""
        assert 0 < place <= _PLACES, "a slot has room for 28 bits of a place"
        self._count += 1
        if self._count > self._filled_max:
            self._grow()
        self._put((int.from_bytes(id_[-8:], "big") & _TAGS) << _PLACE_BITS | place)

    def _put(self, slot: int) -> None:
        slots, mask = self._slots, self._mask
        at = slot >> _PLACE_BITS & mask
        while slots[at]:
            at = (at + 1) & mask
        slots[at] = slot

    def _grow(self) -> None:
        before = self._slots
        self._resize(2 * len(before))
        for slot in filter(None, before):
            self._put(slot)

    def _resize(self, slots: int) -> None:
        self._slots = memoryview(bytearray(8 * slots)).cast("Q")
        self._mask = slots - 1
        self._filled_max = 2 * slots // 3
