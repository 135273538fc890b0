"""Blocks of tiers: packing, eviction, and orders that change meanwhile."""

from collections.abc import Callable
from typing import Any

import pytest

from projections import tiers as module
from projections.tiers import TierSettings
from projections.views.orders.view import Order, tiers_of
from tests.projections.test_tiers import close, tiered


def test_of_the_oldest_those_stay_in_memory_that_are_asked_for() -> None:
    folding = tiered(decoded_max=0, compressed_max=8, block_orders=2)
    close(folding, *[f"X{number}" for number in range(8)])
    for _ in range(3):
        folding.orders.get("A", "X0")
        folding.orders.get("A", "X3")
    close(folding, "Y0", "Y1")
    was = folding.orders.tiers.log
    for name in ("X0", "X3"):
        folding.orders.get("A", name)
    assert folding.orders.tiers.log == was
    for name in ("X1", "X2"):
        folding.orders.get("A", name)
    assert folding.orders.tiers.log == was + 2


def test_what_was_asked_for_long_ago_counts_for_less() -> None:
    sketch = module._Sketch(1)
    halved = [sketch.add(5) for _ in range(module.SAMPLE_PER_ORDER * 100)]
    assert halved.index(True) == len(halved) - 1
    assert sketch.count(5) == 255 >> 1
    assert sketch.count(6 << 32 | 6) == 0


def test_the_bar_falls_as_the_counts_do() -> None:
    held = tiers_of(TierSettings(compressed_max=1))
    held._bar = 8
    for _ in range(module.SAMPLE_PER_ORDER * 100):
        held.get((1, "X"))
    assert held._bar == 4


def test_of_orders_that_nobody_asks_for_the_newest_stay() -> None:
    folding = tiered(decoded_max=0, compressed_max=8, block_orders=3)
    names = [f"X{number}" for number in range(36)]
    close(folding, *names)
    held = folding.orders.tiers.orders
    assert 5 <= held <= 8
    for name in names[-held:]:
        folding.orders.get("A", name)
    assert folding.orders.tiers.log == 0


ZSTD: Any = vars(module)["zstd"]


class Meddling:
    """Zstd, with something that another thread does just before it packs or unpacks."""

    def __init__(self, verb: str, meanwhile: Callable[[], object]) -> None:
        self._verb, self._meanwhile = verb, [meanwhile]

    def compress(self, data: bytes, level: int) -> bytes:
        self._meddle("compress")
        return bytes(ZSTD.compress(data, level))

    def decompress(self, data: bytes) -> bytes:
        self._meddle("decompress")
        return bytes(ZSTD.decompress(data))

    def _meddle(self, verb: str) -> None:
        if verb == self._verb and self._meanwhile:
            self._meanwhile.pop()()


def orders(*names: str) -> list[Order]:
    return [Order("A", name, 1, 2) for name in names]


@pytest.mark.parametrize("verb", ["compress", "decompress"])
@pytest.mark.parametrize("touched", ["X0", "X1"])
def test_an_order_that_is_forgotten_while_it_is_packed_or_unpacked_stays_so(
    monkeypatch: pytest.MonkeyPatch, verb: str, touched: str
) -> None:
    held = tiers_of(TierSettings(decoded_max=9, block_orders=2))
    monkeypatch.setattr(module, "zstd", Meddling(verb, lambda: held.forget((1, touched))))
    held.keep(1, orders("X0", "X1"))
    held.get((1, touched))
    assert [held.get((1, name)) is None for name in ("X0", "X1")] == [touched == "X0", touched == "X1"]
    assert held.stats().orders == 1


@pytest.mark.parametrize("touched", ["X0", "X1", "X2", "X3"])
def test_an_order_that_is_forgotten_while_the_oldest_make_room_stays_so(
    monkeypatch: pytest.MonkeyPatch, touched: str
) -> None:
    held = tiers_of(TierSettings(decoded_max=0, compressed_max=6, block_orders=2))
    held.keep(1, orders("X0", "X1", "X2", "X3"))
    # Of the others the older one goes, and the younger one stays where it is.
    held.get((1, "X0"))
    monkeypatch.setattr(module, "zstd", Meddling("decompress", lambda: held.forget((1, touched))))
    held.keep(1, orders("Y0", "Y1", "Y2", "Y3"))
    assert held.get((1, touched)) is None
    names = ["X0", "X1", "X2", "X3", "Y0", "Y1", "Y2", "Y3"]
    there = [order.order_id for name in names if (order := held.get((1, name))) is not None]
    assert there == [name for name in names if name not in {touched, "X1", "X2"}]
    assert held.stats().orders == len(there)


def test_what_leaves_a_state_takes_the_place_of_what_was_kept() -> None:
    held = tiers_of(TierSettings(block_orders=1))
    before, after = (Order("A", "X", 1, last) for last in (2, 3))
    for order in (before, after):
        held.keep(1, [order])
        assert held.get((1, "X")) == order
    assert held.stats().orders == 1


@pytest.mark.parametrize("name", ["decoded_max", "compressed_max", "compressed_bytes_max", "asked_min"])
def test_a_setting_that_cannot_be_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is -1: give 0 to"):
        TierSettings(**{name: -1})
    with pytest.raises(ValueError, match="block_orders is 0: give 1 to 4096"):
        TierSettings(block_orders=0)
    with pytest.raises(ValueError, match="level is 20: give 1 to 19"):
        TierSettings(level=20)


def test_what_a_lookup_drives_from_the_decoded_ones_is_packed_at_once() -> None:
    held = tiers_of(TierSettings(decoded_max=1, block_orders=1, asked_min=1))
    held.keep(1, orders("Y"))
    held.get((1, "X"))
    held.put((1, "X"), orders("X")[0], lambda: True)
    assert held.stats().blocks == 1
    held.get((1, "Y"))
    assert (held.stats().blocks, held.stats().orders) == (2, 2)
