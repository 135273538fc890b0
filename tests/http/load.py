"""A load on a service, in a process of its own: clients that append at a steady rate, and followers of everything.

Appends are retried under their own ids after any cut, as every client does. What the process prints, as JSON, are the
acknowledged records, what each follower received, and how long both took.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import itertools
import re
import sys
import time
import uuid
from collections.abc import AsyncIterator

import msgspec

from eventstore.clock import parse_time
from eventstore.ids import new_ids

_RECORD = re.compile(rb"id: (\d+)\nevent: record\n")
_RECORDED = b'"recorded_at":"'
_TIME = len("2026-12-01T11:27:30.745123456Z")
_POSITION = re.compile(rb'"position":(\d+)')
RETRY_SECONDS = 0.05
GIVE_UP_SECONDS = 60
READ_BYTES = 262_144


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of the process: for so long, at so many appends per second in all."""

    port: int
    seconds: float
    rate: float
    clients: int
    followers: int


class Loaded(msgspec.Struct, kw_only=True):
    """What came of it: times in seconds; `acknowledged` are ids and positions, `broken` what should not be."""

    acknowledged: list[tuple[str, int]] = []
    append_seconds: list[float] = []
    follow_seconds: list[float] = []
    followed: list[tuple[int, int, int]] = []
    """Of each follower: its first position, its last one, and how many records it received in order."""
    retries: int = 0
    resumptions: int = 0
    broken: list[str] = []


class _Unanswered(Exception):
    """The connection ended before the answer."""


class _Client:
    """One client: appends when its turn comes, whatever became of the service meanwhile."""

    def __init__(self, load: Load, number: int, result: Loaded) -> None:
        self._load, self._number, self._result = load, number, result
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        each = self._load.clients / self._load.rate
        began = loop.time() + each * self._number / self._load.clients
        for count in itertools.count():
            due = began + each * count
            if due - began >= self._load.seconds:
                break
            await asyncio.sleep(due - loop.time())
            await self._append(count)
        if self._streams is not None:
            self._streams[1].close()

    async def _append(self, count: int) -> None:
        """Append one order until it is acknowledged."""
        (id_,) = new_ids(1, time.time_ns())  # noqa: TID251 - a client of its own, without the house's clock
        data = b'{"symbol":"ESZ5","side":"BUY","quantity":"1","order_type":"MARKET","limit_price":null}'
        body = b'{"events":[{"type":"OrderSubmitted","id":"%b","data":%b}]}' % (
            str(uuid.UUID(bytes=id_)).encode(),
            data,
        )
        stream = f"order/ACC{self._number}/O-{count}-{id_.hex()[:16]}"
        head = f"POST /v1/streams/{stream} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        request = head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body
        began = time.perf_counter()
        while time.perf_counter() - began < GIVE_UP_SECONDS:
            try:
                status, answer = await self._answer(request)
            except (OSError, _Unanswered, asyncio.IncompleteReadError):
                self._result.retries += 1
                self._streams = None
                await asyncio.sleep(RETRY_SECONDS)
                continue
            if status == 200:
                self._result.append_seconds.append(time.perf_counter() - began)
                found = _POSITION.search(answer)
                assert found is not None
                self._result.acknowledged.append((str(uuid.UUID(bytes=id_)), int(found[1])))
                return
            if status != 503:
                self._result.broken.append(f"{status}: {answer[:500]!r}")
                return
            self._result.retries += 1
            await asyncio.sleep(RETRY_SECONDS)
        self._result.broken.append(f"no answer for {GIVE_UP_SECONDS} s")

    async def _answer(self, request: bytes) -> tuple[int, bytes]:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._load.port)
        reader, writer = self._streams
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        if length is None:
            raise _Unanswered
        return int(head[9:12]), await reader.readexactly(int(length[1]))


class _Follower:
    """Follows everything, and resumes from the last id after any cut."""

    def __init__(self, load: Load, after: int, result: Loaded) -> None:
        self._load, self._result = load, result
        self.first = self.last = after
        self.count = 0

    async def run(self) -> None:
        while True:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._load.port)
                try:
                    writer.write(b"GET /v1/follow?after=%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % self.last)
                    async for events in self._events(reader):
                        self._take(events)
                finally:
                    writer.close()
            self._result.resumptions += 1
            await asyncio.sleep(RETRY_SECONDS)

    async def _events(self, reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
        """Yield what is received, cut at the end of an event."""
        # The frames of HTTP's chunks are left in: each chunk of the service ends with an event.
        rest = b""
        while data := await reader.read(READ_BYTES):
            rest += data
            end = rest.rfind(b"\n\n")
            if end >= 0:
                yield rest[: end + 2]
                rest = rest[end + 2 :]

    def _take(self, events: bytes) -> None:
        now = time.time_ns()  # noqa: TID251 - a client of its own, without the house's clock
        positions = [int(found) for found in _RECORD.findall(events)]
        if not positions:
            return
        if positions != list(range(self.last + 1, self.last + 1 + len(positions))):
            self._result.broken.append(f"after {self.last} came {positions[:5]}… {positions[-1]}")
        self.last = positions[-1]
        self.count += len(positions)
        # The first of several has waited longest.
        start = events.index(_RECORDED) + len(_RECORDED)
        recorded = parse_time(events[start : start + _TIME].decode())
        self._result.follow_seconds.append((now - recorded) / 1e9)


async def _run(load: Load) -> Loaded:
    result = Loaded()
    after = await _head(load)
    followers = [_Follower(load, after, result) for _ in range(load.followers)]
    following = [asyncio.create_task(each.run()) for each in followers]
    await asyncio.sleep(0.5)
    gc.disable()
    await asyncio.gather(*(_Client(load, number, result).run() for number in range(load.clients)))
    last = max([position for _, position in result.acknowledged], default=after)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + GIVE_UP_SECONDS
    while min([each.last for each in followers], default=last) < last and loop.time() < deadline:
        await asyncio.sleep(RETRY_SECONDS)
    for task in following:
        task.cancel()
    await asyncio.gather(*following, return_exceptions=True)
    result.followed = [(each.first, each.last, each.count) for each in followers]
    return result


async def _head(load: Load) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", load.port)
    writer.write(b"GET /v1/records?limit=1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    found = re.search(rb'"head":(\d+)', answer)
    assert found is not None, answer
    return int(found[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("load", help="what to do, as JSON")
    load = msgspec.json.decode(parser.parse_args().load, type=Load)
    sys.stdout.buffer.write(msgspec.json.encode(asyncio.run(_run(load))))


if __name__ == "__main__":
    main()
