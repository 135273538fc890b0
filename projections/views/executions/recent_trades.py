"""What is remembered of an account's recent trades, to recognize duplicates and to find what a later event names."""

from collections.abc import Iterator
from typing import Generic, TypeVar

import msgspec

RECENT_MAX = 1_000

V = TypeVar("V")


class TwoGenerationCache(msgspec.Struct, Generic[V]):
    """The last 1,000 to 2,000 keys with their values: two generations, the older of which is dropped as a whole.

    Dropping a whole generation keeps `put` cheap: nothing is moved or evicted one by one.
    """

    newer: dict[str, V] = {}
    older: dict[str, V] = {}

    def put(self, key: str, value: V, most: int | None = None) -> None:
        if len(self.newer) >= (most or RECENT_MAX):
            self.older = self.newer
            self.newer = {}
        self.newer[key] = value

    def get(self, key: str) -> V | None:
        value = self.newer.get(key)
        return self.older.get(key) if value is None else value

    def ending_with(self, suffix: str) -> Iterator[tuple[str, V]]:
        """Yield the keys with this ending and their values, newest first."""
        for generation in (self.newer, self.older):
            for key, value in reversed(generation.items()):
                if key.endswith(suffix):
                    yield key, value
