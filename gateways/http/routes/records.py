"""Reading records: filters, and pages by position."""

from __future__ import annotations

from litestar import get

from eventstore.reader import ReadOptions
from eventstore.remote.wire import SentRecords, sent_record
from gateways.http.access import Scope
from gateways.http.routes.documented import responses
from gateways.http.routes.parameters import After, Calling, FromQuery, Limit, Serving
from gateways.http.visibility import reader_for


@get("/v1/records", opt={"scope": Scope.READ, "shared": True}, responses=responses(), tags=["read"])
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
    store = service.store
    options: ReadOptions = {"after": after, "limit": limit, "stream": stream, "account": account, "types": types}
    options["until"] = head = await store.head()
    if caller.accounts is None:
        found = [record async for record in store.read(**options)]
    else:
        reader = reader_for(caller, store.sync_store)
        found = await store.long(lambda: list(reader.read(**options)))
    return SentRecords(
        records=[sent_record(record) for record in found],
        next_after=found[-1].position if len(found) == limit else None,
        head=head,
    )


ROUTES = (read_records,)
