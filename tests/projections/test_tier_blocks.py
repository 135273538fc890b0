"""Blocks of tiers: packing, eviction, and orders that change meanwhile."""

from collections.abc import Callable
from typing import Any

import pytest

from projections import tiers as module
from projections.tiers import TierSettings
from projections.views.orders.view import Order, tiers_of
from tests.projections.examples import in_thread
from tests.projections.test_tiers import close, tiered


def test_of_the_oldest_blocks_those_stay_in_memory_that_are_asked_for() -> None:
    folding = tiered(decoded_max=0, compressed_max=8, block_orders=2)
    close(folding, *[f"X{number}" for number in range(8)])
    for _ in range(3):
        folding.orders.get("A", "X0")
        folding.orders.get("A", "X5")
    close(folding, "Y0", "Y1")
    was = folding.orders.tiers.log
    for name in ("X0", "X5", "X6", "X7", "Y0", "Y1"):
        folding.orders.get("A", name)
    assert folding.orders.tiers.log == was
    for name in ("X2", "X3"):
        folding.orders.get("A", name)
    assert folding.orders.tiers.log == was + 2


def test_of_orders_that_are_never_asked_for_the_newest_stay() -> None:
    folding = tiered(decoded_max=0, compressed_max=8, block_orders=3)
    names = [f"X{number}" for number in range(36)]
    close(folding, *names)
    held = folding.orders.tiers.orders
    assert 5 <= held <= 8
    for name in names[-held:]:
        folding.orders.get("A", name)
    assert folding.orders.tiers.log == 0


ZSTD: Any = vars(module)["zstd"]


class Interleaved:
    """Zstd, with a call that another thread begins just before the first use of one of its functions."""

    def __init__(self, function: str, call: Callable[[], None]) -> None:
        self._function, self._calls = function, [call]
        self.wait: list[Callable[[], None]] = []

    def compress(self, data: bytes, level: int) -> bytes:
        # The lock is held here: the other thread waits for it.
        self._begin("compress")
        return bytes(ZSTD.compress(data, level))

    def decompress(self, data: bytes) -> bytes:
        self._begin("decompress")
        for wait in self.wait:
            wait()
        return bytes(ZSTD.decompress(data))

    def _begin(self, function: str) -> None:
        if function == self._function and self._calls:
            self.wait.append(in_thread(self._calls.pop()))


def orders(*names: str) -> list[Order]:
    return [Order("A", name, 1, 2) for name in names]


@pytest.mark.parametrize("function", ["compress", "decompress"])
@pytest.mark.parametrize("touched", ["X0", "X1"])
def test_an_order_that_is_forgotten_while_its_block_is_compressed_or_decompressed_stays_so(
    monkeypatch: pytest.MonkeyPatch, function: str, touched: str
) -> None:
    held = tiers_of(TierSettings(decoded_max=0, block_orders=2))
    zstd = Interleaved(function, lambda: held.forget((1, touched)))
    monkeypatch.setattr(module, "zstd", zstd)
    held.keep(1, orders("X0", "X1"))
    if function == "decompress":
        held.get((1, touched))
    for wait in zstd.wait:
        wait()
    assert len(zstd.wait) == 1
    assert [held.get((1, name)) is None for name in ("X0", "X1")] == [touched == "X0", touched == "X1"]
    assert held.stats().orders == 1


def test_what_leaves_a_state_takes_the_place_of_what_was_kept() -> None:
    held = tiers_of(TierSettings(block_orders=1))
    before, after = (Order("A", "X", 1, last) for last in (2, 3))
    for order in (before, after):
        held.keep(1, [order])
        assert held.get((1, "X")) == order
    assert held.stats().orders == 1


@pytest.mark.parametrize("name", ["decoded_max", "compressed_max", "compressed_bytes_max"])
def test_a_setting_that_cannot_be_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is -1: give 0 to"):
        TierSettings(**{name: -1})
    with pytest.raises(ValueError, match="block_orders is 0: give 1 to 4096"):
        TierSettings(block_orders=0)
    with pytest.raises(ValueError, match="level is 20: give 1 to 19"):
        TierSettings(level=20)


def test_what_a_lookup_drives_from_the_decoded_ones_is_compressed_at_once() -> None:
    held = tiers_of(TierSettings(decoded_max=1, block_orders=1))
    held.keep(1, orders("Y"))
    held.get((1, "X"))
    held.put((1, "X"), orders("X")[0], lambda: True)
    assert held.stats().blocks == 1
    assert held.get((1, "Y")) == orders("Y")[0]
    assert (held.stats().compressed, held.stats().blocks, held.stats().orders) == (1, 2, 2)
