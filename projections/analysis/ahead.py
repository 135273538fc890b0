"""Work on pages in a second thread, while the next page is read."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Page = TypeVar("Page")
Result = TypeVar("Result")


def ahead(work: Callable[[Page], Result], pages: Iterable[Page]) -> Iterator[Result]:
    """Yield what `work` makes of each page, in order. Two pages are held at a time: one read, one worked on.

    Reading stays in the caller's thread, where an interruption ends it at once. An end before the last page waits for
    the work on one page only.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="frames") as executor:
        running: Future[Result] | None = None
        for page in pages:
            done, running = running, None
            if done is not None:
                result = done.result()
                running = executor.submit(work, page)
                yield result
            else:
                running = executor.submit(work, page)
        if running is not None:
            yield running.result()
