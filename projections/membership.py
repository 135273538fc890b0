"""One worker's membership in a group: which shares of the accounts it holds, and how many it should."""

from __future__ import annotations

import os
import re
import socket
import threading
from typing import TYPE_CHECKING

import msgspec
from typing_extensions import override

from eventstore import EventStore, InvalidEvent, StoreError
from eventstore.actors import default_actor
from eventstore.clock import NANOSECONDS
from eventstore.entropy import piece
from eventstore.side import GroupSide, group_lock
from eventstore.streams import check_name
from projections.shares import SHARES, AccountShares, share_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from eventstore.record import Fence
    from eventstore.side import SeenMember

BEAT_SECONDS = 1.0
HOST_MAX = 40
SILENT_SECONDS = 2.0
"""After what time without a beat a member is shown as silent: the server ends its session after three."""


class MemberState(msgspec.Struct, frozen=True):
    """One worker of a group as others see it."""

    id: str
    who: str
    url: str
    state: str
    """`working`; `silent` for one that is paused or cut off; `ended`, `evicted`."""
    partitions: tuple[int, ...]
    """The shares of the accounts that it holds."""
    position: int
    events_behind: int
    seconds_behind: float
    """Since the first record was recorded that it had not folded at its last beat."""
    silent_seconds: float
    joined_at: int


class GroupState(msgspec.Struct, frozen=True):
    """A group's workers, and the shares that none of them holds."""

    name: str
    log: str
    head: int
    members: tuple[MemberState, ...]
    free: tuple[int, ...]


class Evicted(StoreError):
    """Somebody has evicted this member of a group: it ends, and another one may be started."""

    def __init__(self, group: str, id: str) -> None:
        super().__init__(f"member {id} was evicted from group {group}: start it again to rejoin")


class NotOwner(StoreError):
    """A member of a group was asked as the owner of an account that it does not work on, or not any more."""

    def __init__(self, account: str, id: str) -> None:
        super().__init__(f"member {id} does not work on account {account}: ask its owner, or a book from snapshots")
        self.account = account


class GroupMember:
    """A member of a group of workers: it beats each second and holds the locks of its shares.

    The server ends the session of one that is silent for three seconds, and its locks with it; from two seconds on it
    holds nothing by its own clock. `fences` is what it publishes by.
    """

    def __init__(self, store: EventStore, group: str, *, id: str, url: str = "") -> None:
        self.group, self.id, self.url = check_name("group", group), check_name("member", id), url
        self._side = group_side(store)
        self._own = self._side.lock(group_lock(group, "member", id))
        self._locks = [self._side.lock(group_lock(group, "share", f"{share:02}")) for share in range(SHARES)]
        self._mutex = threading.Lock()

    def join(self) -> None:
        """Become a member; raise Unavailable where the server cannot be reached."""
        self._side.join(self.group, self.id, default_actor(), self.url)
        self._own.take()

    def leave(self) -> None:
        """Release all shares and be no member any more."""
        self.release(range(SHARES))
        self._own.release()
        self._side.leave(self.group, self.id)

    def beat(self, position: int) -> list[SeenMember]:
        """Note that it lives, and how far it has folded; return all members. Raises Evicted and Unavailable."""
        if not self._side.beat(self.group, self.id, position):
            known = [each for each in self._side.members(self.group) if each.id == self.id]
            if known:
                raise Evicted(self.group, self.id)
            # Forgotten, as after a fail-over that took its row back, or while it was cut off.
            self._side.join(self.group, self.id, default_actor(), self.url)
        if not self._own.is_held:
            self._own.take()
        return self._side.members(self.group)

    def fences(self) -> dict[int, Fence]:
        """Return the fence of each share that is held now."""
        found = {}
        for share, lock in enumerate(self._locks):
            if lock.is_held and (fence := lock.fence) is not None:
                found[share] = fence
        return found

    @property
    def held(self) -> frozenset[int]:
        """The shares that are held now."""
        return frozenset(share for share, lock in enumerate(self._locks) if lock.is_held)

    def take(self, members: Sequence[SeenMember]) -> None:
        """Take shares that nobody holds, up to this member's part."""
        with self._mutex:
            held = self.held
            missing = part_of(self.id, members) - len(held)
            free = _free(held, members)
            while missing > 0 and free:
                tried, free = free[:missing], free[missing:]
                missing -= len(self._side.take_all([self._locks[share] for share in tried]))

    def excess(self, members: Sequence[SeenMember]) -> frozenset[int]:
        """Return the shares that this member holds beyond its part: they are another's to take once released."""
        held = sorted(self.held)
        return frozenset(held[part_of(self.id, members) :])

    def lacks(self, members: Sequence[SeenMember]) -> bool:
        """Return whether there are shares that this member should take."""
        held = self.held
        return len(held) < part_of(self.id, members) and bool(_free(held, members))

    def release(self, shares: Iterable[int]) -> None:
        """Let other members take shares."""
        self._side.release_all([self._locks[share] for share in shares])

    @override
    def __repr__(self) -> str:
        return f"<GroupMember {self.id} of {self.group} with {len(self.held)} of {SHARES} shares>"


class HeldShares:
    """The shares that a member held at one moment, as far as it has never lost them since.

    What was decided, or folded, before a share was lost and taken again is not published by its new epoch.
    """

    def __init__(self, member: GroupMember) -> None:
        self._member, self._fences = member, member.fences()

    @property
    def shares(self) -> AccountShares:
        """All of them, those that were lost included."""
        return AccountShares(frozenset(self._fences))

    def fences(self) -> dict[int, Fence]:
        """Return the fences of those that are still held."""
        now = self._member.fences()
        return {share: fence for share, fence in self._fences.items() if now.get(share) == fence}

    @property
    def are_all_held(self) -> bool:
        """Whether none was lost, and no other one is held."""
        return self._member.fences() == self._fences


def member_id() -> str:
    """Return an id for a new member, by which people find its process: its host, its process and four digits."""
    host = re.sub(r"[^A-Za-z0-9_-]", "-", socket.gethostname())[:HOST_MAX]
    return f"{host}-{os.getpid()}-{piece(2).hex()}"


def group_state(store: EventStore, name: str) -> GroupState:
    """Return a group's members, those of the last hour that have ended included, and what they hold."""
    members = group_side(store).members(check_name("group", name))
    head = store.head()
    free = set(range(SHARES)).difference(*(share_numbers(each.locks) for each in members))
    return GroupState(
        name, store.log, head, tuple(_state_of(store, each, head) for each in members), tuple(sorted(free))
    )


def owner_of(store: EventStore, name: str, account: str) -> MemberState | None:
    """Return the member of a group that works on an account now, None where none does or it has been silent.

    Its `url` is where its host's service is asked. Others answer from the newest cut and the records after it.
    """
    share = share_of(account)
    found = (each for each in group_state(store, name).members if share in each.partitions)
    return next((each for each in found if each.state == "working"), None)


def _state_of(store: EventStore, member: SeenMember, head: int) -> MemberState:
    behind = max(head - member.position, 0)
    first = next(iter(store.read(after=member.position, limit=1)), None) if behind else None
    seconds = 0.0 if first is None else max(store.clock.now_ns() - first.recorded_at, 0) / NANOSECONDS
    state = "evicted" if member.is_evicted else "ended" if not member.is_alive else "working"
    if state == "working" and member.silent_seconds >= SILENT_SECONDS:
        state = "silent"
    return MemberState(
        member.id, member.who, member.url, state, tuple(sorted(share_numbers(member.locks))), member.position, behind,
        seconds, member.silent_seconds, member.joined_at,
    )  # fmt: skip


def group_side(store: EventStore) -> GroupSide:
    """Return the side of a log that a group of workers can share; raise InvalidEvent for any other log."""
    if not isinstance(store.side, GroupSide):
        msg = "workers of several hosts share a log in PostgreSQL: a log in a directory has one worker, as `policies`"
        raise InvalidEvent(msg)
    return store.side


def part_of(id: str, members: Sequence[SeenMember]) -> int:
    """Return how many shares a member should hold: equal parts among those that live, the first ones take the rest."""
    living = sorted({id, *(each.id for each in members if is_living(each))})
    least, rest = divmod(SHARES, len(living))
    return least + (living.index(id) < rest)


def is_living(member: SeenMember) -> bool:
    """Return whether a member takes part in the division: the server would have ended the session of a silent one.

    One that beats late, because its machine is busy, must not lose its part and get it back over and over.
    """
    return member.is_alive and not member.is_evicted


def share_numbers(locks: Collection[str]) -> frozenset[int]:
    """Return the shares whose locks are among those that a member holds."""
    return frozenset(int(lock.rsplit("/", 1)[1]) for lock in locks)


def _free(held: frozenset[int], members: Sequence[SeenMember]) -> list[int]:
    taken = held.union(*(share_numbers(each.locks) for each in members))
    return [share for share in range(SHARES) if share not in taken]
