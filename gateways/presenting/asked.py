"""What somebody asked of the log, as the event that records it where `audit_reads` is set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventstore.trading import RecordsRead

if TYPE_CHECKING:
    from collections.abc import Mapping

STREAM = "audit/-/reads"
TEXT_MAX = 1_000
ITEMS_MAX = 20


def question_asked(question: str, account: str | None, arguments: Mapping[str, object], head: int) -> RecordsRead:
    """Return the event that records a question, of what the log had up to a head."""
    of = None if account is None else _text(account)
    return RecordsRead(question=question, account=of, arguments=stated(arguments), head=head)


def stated(arguments: Mapping[str, object]) -> dict[str, Any]:
    """Return the arguments that were given, as an event can have them: long text is cut, long lists end."""
    return {name: _plain(value) for name, value in arguments.items() if value not in (None, False, "", (), [])}


def _plain(value: object) -> Any:  # noqa: ANN401 - what JSON has
    if isinstance(value, bool | int):
        return value
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value[:ITEMS_MAX]]
    return _text(str(value))


def _text(text: str) -> str:
    # What is not Unicode would keep the question out of the log.
    return text[:TEXT_MAX].encode("utf-8", "backslashreplace").decode()
