"""Reading records: filters, and pages by position."""

from __future__ import annotations

from litestar import get

from eventstore.remote.wire import SentRecords, sent_record
from gateways.http.access import Scope
from gateways.http.routes.documented import responses
from gateways.http.routes.parameters import After, Calling, FromQuery, Limit, Serving


@get("/v1/records", opt={"scope": Scope.READ}, responses=responses(), tags=["read"])
async def read_records(
    service: Serving,
    caller: Calling,
    after: After = 0,
    limit: Limit = 200,
    stream: FromQuery[str | None] = None,
    account: FromQuery[str | None] = None,
    types: FromQuery[list[str] | None] = None,
) -> SentRecords:
    """Return records past a position, oldest first; `next_after` is where the next page begins."""
    if account is None:
        caller.require_all_accounts(Scope.READ)
    head = await service.store.head()
    found = [
        record
        async for record in service.store.read(
            after=after, limit=limit, stream=stream, account=account, types=types, until=head
        )
    ]
    return SentRecords(
        records=[sent_record(record) for record in found],
        next_after=found[-1].position if len(found) == limit else None,
        head=head,
    )


ROUTES = (read_records,)
