"""Which views the cached values of checks are computed from, and members that remember their values by that."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from projections.book import Book

# The views that each group of cached values is computed from; a star marks the shared partition. These views change
# only by folding records, rebuilding or retrying, each of which raises their change counts (observed quotes are in none
# of them). So a group is valid while the counts of its views stay the same, whatever the records were. What else a
# value depends on is the instant (see `RiskCache.is_valid`), or part of the name that it is memoized under.
DEPENDENCIES = {
    "day_bounds": ("executions",),
    "sessions": ("sessions",),
    "limits": ("limits", "groups*"),
    "pnl": ("executions", "accounts", "contracts*", "sessions", "baselines"),
    "positions": ("executions", "contracts*"),
    "orders": ("orders", "executions", "contracts*", "sessions"),
    "exposure": ("executions", "orders", "contracts*", "sessions"),
    "counts": ("counters", "executions"),
    "opening": ("accounts",),
    "account": ("accounts", "executions", "contracts*"),
    "floors": ("equity",),
    "highs": ("bests",),
    "day_best": ("executions", "accounts", "contracts*", "bests", "sessions"),
    "names": ("contracts*",),
    "terms": ("contracts*", "executions*"),
    "blackouts": ("blackouts", "blackouts*"),
    # Nothing is in it: what is converted is computed again for each instant, and for each cache.
    "conversions": ("rates*",),
}
VIEWS = tuple(dict.fromkeys(view for views in DEPENDENCIES.values() for view in views))
# The same the other way round: what to drop when a view has changed, in the order of `VIEWS`.
DEPENDENT_GROUPS = tuple(tuple(group for group, views in DEPENDENCIES.items() if view in views) for view in VIEWS)

T = TypeVar("T")


class Cached(abc.ABC):
    """An account's values at an instant, each computed once: by `cached` members, or under a name in a group."""

    groups: dict[str, dict[Any, Any]]
    _name: str
    _at: int

    @property
    @abc.abstractmethod
    def book(self) -> Book:
        """The book that the values are of."""

    @abc.abstractmethod
    def memoize(self, group: str, name: object, compute: Callable[[], T]) -> T:
        """Return a group's value of a name, computed now where it is not cached."""


class CachedMember(Generic[T]):
    """A member of a cache that is computed when it is first read.

    The value then hides this descriptor in the instance's `__dict__`, so that reading it again costs no call.
    """

    def __init__(self, group: str, compute: Callable[[Any], T]) -> None:
        self._compute, self._name = compute, compute.__name__
        self.__doc__ = compute.__doc__
        GROUP_OF[compute.__name__] = group

    def __get__(self, cache: object, cls: type[object]) -> T:
        value = cache.__dict__[self._name] = self._compute(cache)
        return value


GROUP_OF: dict[str, str] = {}
"""The group of each cached member, by its name."""


def cached(group: str) -> Callable[[Callable[[Any], T]], CachedMember[T]]:
    return lambda compute: CachedMember(group, compute)
