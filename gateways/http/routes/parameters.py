"""What routes take: the service, the caller, and the parameters that many of them have."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from litestar.di import NamedDependency
from litestar.openapi.spec import Example
from litestar.params import FromPath, FromQuery, JSONBody, PathParameter, QueryParameter

from gateways.http.access import Caller
from gateways.http.live.hub import Hub
from gateways.http.served import AskedBook
from gateways.http.service import Service

Serving: TypeAlias = NamedDependency[Service]
Asking: TypeAlias = NamedDependency[AskedBook]
"""The service, for what a member of a group answers too."""
Calling: TypeAlias = NamedDependency[Caller]
Live: TypeAlias = NamedDependency[Hub]
POSITION_MAX = 2**53
"""Far beyond any log, and what JavaScript's numbers still count one by one."""
After: TypeAlias = Annotated[
    int, QueryParameter(ge=0, le=POSITION_MAX, description="Only records past this log position.")
]
Limit: TypeAlias = Annotated[int, QueryParameter(ge=1, le=10_000, description="At most so many.")]
Account: TypeAlias = Annotated[
    str | None,
    QueryParameter(description="Only this account; `-` for what belongs to none.", examples=[Example(value="ACC1")]),
]
Types: TypeAlias = Annotated[
    list[str] | None,
    QueryParameter(description="Only these event types.", examples=[Example(value=["OrderFilled", "LockoutSet"])]),
]
LogInstantText: TypeAlias = Annotated[
    str | None,
    QueryParameter(
        description="A time (ISO 8601; without an offset it is read in `zone`), a log position, or a mark's name.",
        examples=[Example(value="2026-11-19T15:10:00Z"), Example(value="1204"), Example(value="end-of-day")],
    ),
]
ZoneName: TypeAlias = Annotated[
    str | None,
    QueryParameter(
        description="Time zone of times in the question and the answer; UTC without one, and sentences have the "
        "account's.",
        examples=[Example(value="America/Chicago")],
    ),
]
LogPosition: TypeAlias = Annotated[
    int, PathParameter(ge=1, le=POSITION_MAX, description="A log position.", examples=[Example(value=1)])
]

__all__ = [
    "POSITION_MAX",
    "Account",
    "After",
    "Asking",
    "Calling",
    "FromPath",
    "FromQuery",
    "JSONBody",
    "Limit",
    "Live",
    "LogInstantText",
    "LogPosition",
    "Serving",
    "Types",
    "ZoneName",
]
