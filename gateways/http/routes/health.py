"""Whether the service lives, and whether it is ready to be asked."""

from __future__ import annotations

from litestar import get


@get("/health/live", opt={"scope": None}, tags=["health"])
async def live() -> dict[str, str]:
    """Answer that the process runs."""
    return {"status": "live"}


ROUTES = (live,)
