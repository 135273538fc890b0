"""What routes take: the service, the caller, and the parameters that many of them have."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from gateways.http.access import Caller
from gateways.http.live.hub import Hub
from gateways.http.service import Service

Serving: TypeAlias = NamedDependency[Service]
Calling: TypeAlias = NamedDependency[Caller]
Live: TypeAlias = NamedDependency[Hub]
After: TypeAlias = Annotated[int, QueryParameter(ge=0, description="Only records past this log position.")]
Limit: TypeAlias = Annotated[int, QueryParameter(ge=1, le=10_000, description="At most so many.")]

__all__ = ["After", "Calling", "FromPath", "FromQuery", "JSONBody", "Limit", "Live", "Serving"]
