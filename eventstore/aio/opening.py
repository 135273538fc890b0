"""Opening what blocks while it is opened: in a thread, to be awaited or entered."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Generator
    from types import TracebackType


class AsyncCloseable(Protocol):
    """What a loop closes."""

    async def close(self) -> None:
        """Give everything back."""


class Closeable(Protocol):
    """What a thread closes."""

    def close(self) -> None:
        """Give everything back."""


T = TypeVar("T", bound=AsyncCloseable)
S = TypeVar("S", bound=Closeable)


class Opening(Generic[T]):
    """What is being opened: `await` it, or enter it with `async with`, which also closes it."""

    def __init__(self, open: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._open = open
        self._opened: T | None = None

    def __await__(self) -> Generator[Any, None, T]:
        return self._open().__await__()

    async def __aenter__(self) -> T:
        self._opened = await self._open()
        return self._opened

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        if self._opened is not None:
            await self._opened.close()


async def opened_in_thread(run: Callable[[Callable[[], S]], Awaitable[S]], open: Callable[[], S]) -> S:
    """Return what a function opens in a thread; where the task is cancelled meanwhile, it is closed again."""
    mutex = threading.Lock()
    opened: list[S] = []
    is_abandoned = False

    def in_thread() -> S:
        found = open()
        with mutex:
            opened.append(found)
            is_late = is_abandoned
        if is_late:
            found.close()
        return found

    try:
        return await run(in_thread)
    except BaseException:
        with mutex:
            is_abandoned = True
        # Opened in the instant of the cancellation: closed here, which blocks for as long as nothing else uses it.
        for each in opened:
            each.close()
        raise
