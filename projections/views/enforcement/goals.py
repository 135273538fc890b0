"""Which requests are pending, as those who judge it compute it: it depends on positions, orders and lockouts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from projections.views.enforcement.request import Enforcement

if TYPE_CHECKING:
    from projections.view import BookReader

PendingFunction = Callable[["BookReader", Iterable[Enforcement], int], list[Enforcement]]


def provide(function: PendingFunction) -> None:
    """Say who decides what is pending: the layer of risk, above the views, does so when it is imported."""
    _provided[:] = [function]


def pending_of(book: BookReader, requests: Iterable[Enforcement], at: int) -> list[Enforcement]:
    """Return those of some requests that are pending at an instant, UNIX ns."""
    return _provided[0](book, requests, at)


_provided: list[PendingFunction] = []
