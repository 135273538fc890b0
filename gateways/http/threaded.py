"""A member's service in a thread with a loop of its own: the main thread watches the worker and takes signals."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from gateways.http.loops import run
from gateways.http.serving import server_of

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType
    from typing import Self

    import uvicorn

    from gateways.http.member import MemberService


class ThreadedService:
    """Serves on a socket within a `with` block; `error` is what ended it before."""

    def __init__(
        self, opened: Callable[[], AbstractAsyncContextManager[MemberService]], listening: socket.socket
    ) -> None:
        self.error: BaseException | None = None
        self._opened, self._listening = opened, listening
        self._server: uvicorn.Server | None = None
        self._is_stopping = False
        self._begun = threading.Event()
        self._thread = threading.Thread(target=self._run, name="service of the member", daemon=True)

    def _run(self) -> None:
        try:
            run(self._serve())
        except BaseException as e:  # noqa: BLE001 - raised where the service was started, and watched
            self.error = e
        finally:
            self._begun.set()

    async def _serve(self) -> None:
        async with self._opened() as service:
            self._server = server = server_of(service, self._begun.set)
            if not self._is_stopping:
                await server.serve_in_thread(self._listening)

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self._begun.wait()
        except BaseException:
            self._stop()
            raise
        if self.error is not None:
            raise self.error
        return self

    def _stop(self) -> None:
        self._is_stopping = True
        if self._server is not None:
            self._server.should_exit = True
        self._thread.join()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop()
        if self.error is not None and error is None:
            raise self.error
