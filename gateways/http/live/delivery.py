"""One delivery of new records: encoded, framed and allowed once for all followers who are sent it at one moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateways.http.live.cutting import chunk_of

if TYPE_CHECKING:
    from gateways.http.access import Authenticator, Caller
    from gateways.http.live.filters import RecordFilter
    from gateways.http.live.ring import Segment


class Delivery:
    """What is new for all followers, for as long as the loop does nothing else."""

    def __init__(self, segment: Segment, authenticator: Authenticator) -> None:
        self.after, self.last = segment.after, segment.last
        """The positions that are new: past the first one, up to the second one."""
        self._segment, self._authenticator = segment, authenticator
        self._chunks: dict[RecordFilter, bytes] = {}
        self._valid: dict[str, bool] = {}

    def chunk(self, wanted: RecordFilter) -> bytes:
        """Return what a filter asks for, framed as a piece of a streamed answer; nothing if there is nothing."""
        found = self._chunks.get(wanted)
        if found is None:
            found = self._chunks[wanted] = chunk_of(self._segment.chosen(wanted, self.after))
        return found

    def is_allowed(self, caller: Caller) -> bool:
        """Return whether a caller's key is valid: each key is looked at once."""
        found = self._valid.get(caller.key)
        if found is None:
            found = self._valid[caller.key] = self._authenticator.is_valid(caller)
        return found
