"""Definitions of an import's contracts: once each, also where another process defines them at any moment in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal

import pytest
from msgspec.structs import replace

from eventstore import EventStore, VersionConflict
from eventstore.trading import ContractDefined
from gateways.importers.definitions import ATTEMPTS_MAX, define

AT = 1_759_329_000_000_000_000
ES = ContractDefined(symbol="ESZ5", multiplier=Decimal(50), currency="USD")
NQ = ContractDefined(symbol="NQZ5", multiplier=Decimal(20), currency="USD")
NAMED = replace(ES, broker_ids=("ES DEC25",))


class Raced:
    """A store in which others act just before, or just after, the first calls of one of its methods."""

    def __init__(self, store: EventStore, method: str, act: Callable[[], object], *, after: bool, of: int = 1) -> None:
        self._store, self._method, self._act, self._after, self._left = store, method, act, after, of

    def __getattr__(self, name: str) -> object:
        found = getattr(self._store, name)
        if name != self._method or self._left == 0:
            return found
        self._left -= 1
        return self._called(found)

    def _called(self, method: Callable[..., object]) -> Callable[..., object]:
        def call(*given: object, **options: object) -> object:
            if not self._after:
                self._act()
            answer = method(*given, **options)
            answer = iter(list(answer)) if isinstance(answer, Iterator) else answer
            if self._after:
                self._act()
            return answer

        return call


def definitions(store: EventStore) -> list[ContractDefined]:
    return [r.event for r in store.read(types=ContractDefined) if isinstance(r.event, ContractDefined)]


def run(store: EventStore, contracts: list[ContractDefined]) -> list[str]:
    return list(define(store, {each.symbol: each for each in contracts}, AT, "an import"))


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("method", ["version", "read", "append_many"])
@pytest.mark.parametrize("theirs", [[ES], [NAMED], [NQ], [NAMED, NQ]])
def test_who_comes_in_between_changes_nothing(
    store: EventStore, method: str, after: bool, theirs: list[ContractDefined]
) -> None:
    raced = Raced(store, method, lambda: run(store, theirs), after=after)
    assert sorted(run(raced, [ES, NQ])) == ["ESZ5", "NQZ5"]  # type: ignore[arg-type]
    newest = {each.symbol: each for each in definitions(store)}
    assert newest == {"ESZ5": NAMED if NAMED in theirs else ES, "NQZ5": NQ}
    # The names alone may come as a second definition.
    assert len(definitions(store)) == (3 if NAMED in theirs and method == "append_many" and after else 2)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("method", ["version", "read", "append_many"])
def test_names_of_two_imports_are_all_kept(store: EventStore, method: str, after: bool) -> None:
    other = replace(ES, broker_ids=("ESZ25",))
    run(Raced(store, method, lambda: run(store, [other]), after=after), [NAMED])  # type: ignore[arg-type]
    assert set(definitions(store)[-1].broker_ids) == {"ES DEC25", "ESZ25"}


def test_who_is_always_overtaken_gives_up(store: EventStore) -> None:
    numbers = iter(range(1_000))

    def name() -> None:
        store.append("contract/-/ESZ5", replace(ES, broker_ids=(f"other {next(numbers)}",)))

    raced = Raced(store, "append_many", name, after=False, of=1_000)
    with pytest.raises(VersionConflict):
        run(raced, [NAMED])  # type: ignore[arg-type]
    assert (next(numbers), len(definitions(store))) == (ATTEMPTS_MAX, ATTEMPTS_MAX)
