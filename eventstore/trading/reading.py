"""Who asked what of the log, where reading is recorded: stream `audit/-/reads`."""

from typing import Any

import msgspec

from eventstore.events import QUEUED, Event, event


@event(categories=("audit",), durability=QUEUED)
class RecordsRead(Event, frozen=True, kw_only=True):
    """Somebody read records, or asked what they say; the record's actor is who, its time when.

    `question` names the command or the function, `arguments` what was asked, and `account` of which account, None for
    all of them. `head` is the log position up to which there were records then.
    """

    question: str
    account: str | None = None
    arguments: dict[str, Any] = msgspec.field(default_factory=dict)
    head: int | None = None
