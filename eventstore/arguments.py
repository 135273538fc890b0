"""What callers give to a store, checked: each error says what is expected."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping

from eventstore.batch import Batch
from eventstore.config import InfluxSettings
from eventstore.errors import EventTooLarge, InvalidEvent, shown
from eventstore.events import SYNCED, VOLATILE, Durability, Event
from eventstore.events.registry import EventType, type_names
from eventstore.ids import keyed_id
from eventstore.journal import BATCH_EVENTS_MAX, Query
from eventstore.locations import is_utf8, masked_url
from eventstore.proofs.merkle import HASH_BYTES
from eventstore.proofs.settings import CheckpointSettings
from eventstore.record import Fence, Unchanged
from eventstore.streams import check_name, check_pattern
from eventstore.trading.logs import LogContinued, LogEnded, StateCarried, VersionsCarried

TEXT_MAX = 4_096
POSITION_MAX = (1 << 63) - 1
ACCOUNTS_MAX = 1_000
"""The most accounts that one condition names: each is a look-up in the transaction."""
_ROOT = re.compile(r"[0-9A-Fa-f]{64}")


def events_of(given: object) -> tuple[Event, ...]:
    # First what is asked most, by the cheapest question.
    if type(given) is list or isinstance(given, tuple):
        return tuple(given)
    if isinstance(given, Event):
        return (given,)
    if isinstance(given, Iterable) and not isinstance(given, str | bytes | Mapping):
        # One more than may be given together, so that an endless one is refused as well.
        return tuple(itertools.islice(given, BATCH_EVENTS_MAX + 1))
    msg = f"expected an event or a sequence of events, not {shown(given)}"
    raise InvalidEvent(msg)


def batches_of(given: object) -> list[Batch]:
    if not isinstance(given, Iterable) or isinstance(given, str | bytes | Mapping):
        msg = f"expected a sequence of Batch, as in [Batch(stream, events)], not {shown(given)}"
        raise InvalidEvent(msg)
    batches = list(itertools.islice(given, BATCH_EVENTS_MAX + 1))
    if len(batches) > BATCH_EVENTS_MAX:
        what = "the list of batches"
        raise EventTooLarge(what, len(batches), BATCH_EVENTS_MAX)
    for batch in batches:
        if not isinstance(batch, Batch):
            msg = f"expected a sequence of Batch, as in [Batch(stream, events)], and {shown(batch)} is not one"
            raise InvalidEvent(msg)
    return batches


def durability_of(given: object) -> Durability:
    if type(given) is int and given in Durability._value2member_map_:
        return Durability(given)
    if not isinstance(given, Durability):
        msg = f"durability is one of {', '.join(each.name for each in Durability)}, not {shown(given)}"
        raise InvalidEvent(msg)
    return given


def appended_with(given: object) -> Durability:
    """Return what `append` is given as durability: at least SYNCED."""
    durability = durability_of(given)
    if durability < SYNCED:
        msg = "append is at least SYNCED: use enqueue for QUEUED events and a book's observe for VOLATILE ones"
        raise InvalidEvent(msg)
    return durability


def check_allowed(kind: EventType, event: Event, stream: str, durability: Durability, actor: str | None) -> None:
    """Raise InvalidEvent if an event may not have this durability, be in this stream, or lack an actor.

    For a type without `durability_of` the answer is the same for all events.
    """
    weakest = kind.durability if kind.durability_of is None else kind.durability_of(event)
    if weakest > durability:
        asked = "" if durability is VOLATILE else f", not {durability.name}"
        msg = f"{kind.name} must be at least {weakest.name}{asked}: append it"
        raise InvalidEvent(msg)
    # Asked here once more: a call would cost each event more than the question.
    if kind.prefixes and not stream.startswith(kind.prefixes):
        kind.check_category(stream)
    is_of_rotation = isinstance(event, LogContinued) and event.carried is not None
    if is_of_rotation or isinstance(event, LogEnded | StateCarried | VersionsCarried):
        msg = f"{kind.name} is appended by `eventstore rotate` alone"
        raise InvalidEvent(msg)
    if kind.requires_actor and not (actor and actor.strip()):
        msg = f"{kind.name} requires an actor: give actor="
        raise InvalidEvent(msg)


def filter_of(stream: str | None, account: str | None, types: object) -> Query:
    """Return a query of what a reader is asked for, checked; each page gives it its bounds."""
    if stream is not None:
        check_pattern(stream)
    if account is not None:
        check_name("account", account)
    return Query(limit=0, stream=stream, account=account, types=type_names(types))


def accounts_of(given: object) -> frozenset[str] | None:
    """Return accounts by name, None for all; one text is refused, for its letters would be taken for accounts."""
    return None if given is None else frozenset([check_name("account", account) for account in account_list(given)])


def account_list(given: object) -> Iterable[str]:
    """Return what may name accounts; raise InvalidEvent for one text, and for anything but a sequence."""
    if isinstance(given, str):
        msg = f"accounts is a sequence of account names, not text: give accounts=[{shown(given)}]"
        raise InvalidEvent(msg)
    if not isinstance(given, Iterable) or isinstance(given, bytes | bytearray | memoryview):
        msg = f'accounts is a sequence of account names, as accounts=["ACC1"], not {shown(given)}'
        raise InvalidEvent(msg)
    return given


def position_of(what: str, value: int) -> int:
    if type(value) is not int or value < 0:
        msg = f"{what} is an int of 0 or more, not {shown(value)}"
        raise InvalidEvent(msg)
    # Beyond every log is beyond every log, also where SQLite's integers end.
    return min(value, POSITION_MAX)


def size_of(size: int | None, head: int) -> int:
    """Return the size of a log's tree that is asked for: today's, or that of when the log had fewer records."""
    found = head if size is None else position_of("size", size)
    if found > head:
        msg = f"the log has {head} records: size is 0 to {head}, not {shown(size)}"
        raise InvalidEvent(msg)
    return found


def root_of(root: object, size: int | None) -> tuple[bytes | None, int | None]:
    """Return a root hash that was kept elsewhere, given as bytes or in hex, and the size of the log it was of."""
    if root is None:
        if size is not None:
            msg = f"size {shown(size)} is given without a root: give the root that the log had at that size"
            raise InvalidEvent(msg)
        return None, None
    if isinstance(root, str) and _ROOT.fullmatch(root):
        root = bytes.fromhex(root)
    if not isinstance(root, bytes) or len(root) != HASH_BYTES:
        msg = f"a root is {2 * HASH_BYTES} hexadecimal digits, or {HASH_BYTES} bytes, not {shown(root)}"
        raise InvalidEvent(msg)
    return root, None if size is None else position_of("size", size)


def unchanged_of(given: object) -> Unchanged | None:
    """Return a condition of an append with its accounts checked, each once."""
    if given is None:
        return None
    if not isinstance(given, Unchanged):
        msg = f"unchanged is an Unchanged(accounts=..., since=...), not {shown(given)}"
        raise InvalidEvent(msg)
    names = itertools.islice(account_list(given.accounts), ACCOUNTS_MAX + 1)
    accounts = tuple(dict.fromkeys([check_name("account", account) for account in names]))
    if len(accounts) > ACCOUNTS_MAX:
        msg = f"unchanged names more than {ACCOUNTS_MAX} accounts: name none, for the whole log"
        raise InvalidEvent(msg)
    fence = _fence_of(given.fence)
    if given.since is None and (fence is None or accounts):
        msg = "since is an int of 0 or more, the position at which was decided; or None, with a fence and no accounts"
        raise InvalidEvent(msg)
    since = None if given.since is None else position_of("since", given.since)
    return Unchanged(accounts=accounts, since=since, fence=fence)


def _fence_of(given: object) -> Fence | None:
    if given is not None and not isinstance(given, Fence):
        msg = f"fence is what a lock of a log's side has, not {shown(given)}"
        raise InvalidEvent(msg)
    return given


def check_checkpoints(given: object, *, read_only: bool) -> None:
    """Raise InvalidEvent unless a store that is opened is given settings of checkpoints that it can follow, or none."""
    if given is None:
        return
    if not isinstance(given, CheckpointSettings):
        msg = f"checkpoints is CheckpointSettings(...), not {shown(given)}"
        raise InvalidEvent(msg)
    if read_only:
        msg = "checkpoints are written beside the log that is signed: leave out checkpoints, or read_only"
        raise InvalidEvent(msg)


def settings_of(given: object) -> InfluxSettings | None:
    if given is None or isinstance(given, InfluxSettings):
        return given
    msg = f"influx is an InfluxSettings, not {_kind_of(given)}: InfluxSettings.load() takes those of the environment"
    raise InvalidEvent(msg)


def _kind_of(given: object) -> str:
    """Return what was given in the place of settings: its kind alone, for it may hold a token, or a URL's safe part."""
    return shown(masked_url(given)) if isinstance(given, str) else type(given).__name__


def text_of(what: str, value: object) -> str:
    if not isinstance(value, str) or len(value) > TEXT_MAX or "\0" in value or not (value.isascii() or is_utf8(value)):
        msg = f"{what} is Unicode text of at most {TEXT_MAX} characters, without NUL, not {shown(value)}"
        raise InvalidEvent(msg)
    return value


def keys_of(key: object, count: int) -> tuple[str, ...]:
    """Return the keys of so many events; a malformed one is refused where an id is made of it."""
    if not isinstance(key, Iterable):
        msg = f"a key is text, or a sequence of texts, one for each event, not {shown(key)}"
        raise InvalidEvent(msg)
    keys = (key,) if isinstance(key, str) else tuple(itertools.islice(key, BATCH_EVENTS_MAX + 1))
    if len(keys) > BATCH_EVENTS_MAX:
        what = "the list of keys"
        raise EventTooLarge(what, len(keys), BATCH_EVENTS_MAX)
    if len(keys) != count:
        msg = f"{count} event(s) and {len(keys)} key(s): give one key for each event"
        raise InvalidEvent(msg)
    return keys


def keyed_ids(stream: str, key: object, count: int) -> list[bytes]:
    """Return the ids of so many events of a stream that have keys."""
    return [keyed_id(stream, text) for text in keys_of(key, count)]
