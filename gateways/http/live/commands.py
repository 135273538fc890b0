"""What a client of a socket sends: it begins and ends to look at topics."""

from __future__ import annotations

from typing import Literal, TypeVar

import msgspec

from eventstore.remote.wire import malformed, pointer
from gateways.http.live.topics import RECORDS, TOPICS

T = TypeVar("T")
COMMAND_BYTES_MAX = 16_384
ACCOUNTS_MAX = 1_000
_ALL, _TOPIC, _ACCOUNTS, _AFTER = "", "/topic", "/accounts", "/after"
NAMES = (*TOPICS, RECORDS)


class Command(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One message of a client. Without `accounts`, all that its key may see; `after` is for records alone."""

    action: Literal["subscribe", "unsubscribe"]
    topic: str
    accounts: list[str] | None = None
    after: int | None = None


_decoder = msgspec.json.Decoder(Command)


def command_of(text: str) -> Command:
    """Return what a client sent; raise InvalidEvent, with the path of the member, for what is malformed."""
    command = decoded_command(_decoder, text)
    if command.topic not in NAMES:
        raise malformed(_TOPIC, f"the topics are {', '.join(NAMES)}")
    if command.accounts is not None and not 1 <= len(command.accounts) <= ACCOUNTS_MAX:
        raise malformed(_ACCOUNTS, f"name 1 to {ACCOUNTS_MAX:,} accounts; leave it out for all that the key may see")
    if command.after is not None and (command.topic != RECORDS or command.after < 0):
        raise malformed(_AFTER, "a log position, 0 or more, of the topic `records`")
    return command


def decoded_command(decoder: msgspec.json.Decoder[T], text: str) -> T:
    """Return the message that a text holds; raise InvalidEvent with the path of what is malformed."""
    if len(text) > COMMAND_BYTES_MAX:
        raise malformed(_ALL, f"a message has at most {COMMAND_BYTES_MAX:,} characters, not {len(text):,}")
    try:
        return decoder.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as e:
        what, _, where = str(e).partition(" - at `$")
        raise malformed(pointer(where.rstrip("`")), what) from e
