"""Where cuts lie, as Snapshots uses it: a file of SQLite, or the tables of a log in PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from eventstore.record import Fence
    from projections.cuts.keys import Key


class Dialect(NamedTuple):
    """What differs between the places in the statements that are the same otherwise."""

    find: str
    """The function that returns where a text has another one."""
    shared_in: str = "NULL"
    """`PartRow.shared_in` of part p: only tables have cuts of shares."""
    of_share: str = ""
    """Or part p is of the share that state s is of, or has it from under the name that s has."""
    is_not_of_share: str = ""
    """And part p is of an account."""


class CutRows(Protocol):
    """The rows of cuts, within one transaction. A statement names its values as in `:view`."""

    @property
    def dialect(self) -> Dialect:
        """How statements are written here."""

    def execute(self, sql: str, values: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
        """Return the rows of an answer."""

    def execute_many(self, sql: str, values: Iterable[Mapping[str, Any]]) -> None:
        """Execute a statement once for each set of values."""

    def bytes_used(self, log_id: bytes) -> int:
        """Return what the cuts of a log take, or the whole file of them."""

    def key(self) -> Key:
        """Return the key that signs cuts here; one that is new signed none of those that are here."""


class CutPlace(Protocol):
    """Cuts, to be read and written in transactions. Use it inside `translated`; `str` names it in messages."""

    @property
    def is_with_log(self) -> bool:
        """Whether the log lies in the same place: neither can be reached without the other."""

    @property
    def is_current(self) -> bool:
        """Whether what was last read or written is still in its place."""

    def reading(self) -> AbstractContextManager[CutRows | None]:
        """Hold a read transaction; None where nothing was ever written."""

    def writing(self, *fences: Fence) -> AbstractContextManager[CutRows]:
        """Hold a write transaction, one at a time; creates what is missing, if it may. Raises Fenced.

        It rests on fences only where the place lies with the log.
        """

    def translated(self) -> AbstractContextManager[None]:
        """Translate the errors of the place into UnusableError or DamagedError."""

    def set_aside(self, why: object) -> None:
        """Put away what is damaged, with a warning."""

    def close(self) -> None:
        """Release what is held; the next use opens it again."""
