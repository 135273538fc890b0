"""Recording who asks what, where the log's settings say so: before the answer, which does not depend on it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eventstore import StoreError
from eventstore.config import audits_reads
from gateways.http.answering import request_id_of
from gateways.presenting.asked import STREAM, question_asked

if TYPE_CHECKING:
    from litestar import Request

    from eventstore import EventStore

logger = logging.getLogger("eventstore.http")


async def record_question(request: Request[Any, Any, Any]) -> None:
    """Append RecordsRead in the caller's name, if the route asks a question of an audit: `opt={"question": NAME}`.

    The name is that of the command that answers the same. What cannot be recorded is logged; the question is answered.
    """
    question = request.route_handler.opt.get("question")
    if question is None:
        return
    service = request.scope["state"]["service"]
    query = {name: request.query_params.getall(name) for name in request.query_params}
    arguments = request.path_params | {name: given[0] if len(given) == 1 else given for name, given in query.items()}
    account, name = arguments.pop("account", None), request.scope["state"]["caller"].name
    of = account if isinstance(account, str) else None
    await service.store.long(
        lambda: _record(service.store.sync_store, name, (question, of, arguments), request_id_of(request.scope))
    )


def _record(store: EventStore, actor: str, asked: tuple[str, str | None, dict[str, Any]], request_id: str) -> None:
    try:
        # Asked each time, as by each command: the setting holds from when it is made.
        if audits_reads(Path() if store.directory is None else store.directory.parent):
            question, account, arguments = asked
            store.append(STREAM, question_asked(question, account, arguments, store.head()), actor=actor)
    except StoreError:
        logger.exception("request %s is answered, and not recorded in %s", request_id, STREAM)
