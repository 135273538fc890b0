"""A bare Litestar route in a process of its own: what the service's answers are compared with."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import uvicorn
from litestar import Litestar, get, post
from litestar.params import FromPath  # noqa: TC002 - Litestar reads it

ANSWER = b'{"records":[{"position":1,"text":"' + b"x" * 500 + b'"}],"head":0}'


@post("/v1/streams/{category:str}/{account:str}/{entity:str}", status_code=200, media_type="application/json")
async def take(category: FromPath[str], account: FromPath[str], entity: FromPath[str], data: dict[str, Any]) -> bytes:  # noqa: ARG001 - what the service's route takes
    """Decode a body, and answer as many bytes as the service does for one record."""
    return ANSWER


@get("/v1/records", media_type="application/json")
async def answer() -> bytes:
    """Answer as many bytes as the service does for one record."""
    return ANSWER


async def _main() -> None:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
    config = uvicorn.Config(Litestar([take, answer], openapi_config=None), log_config=None, access_log=False)
    await uvicorn.Server(config).serve([listening])


if __name__ == "__main__":
    asyncio.run(_main())
