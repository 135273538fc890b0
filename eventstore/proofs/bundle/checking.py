"""Checking a bundle from Python, with the very program that is in it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from eventstore.proofs.keys import PublicKey
from eventstore.proofs.standalone import verify_bundle as program
from eventstore.readable import Readable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Keys = PublicKey | str | Sequence[PublicKey | str]


class CheckedBundle(Readable, msgspec.Struct, frozen=True, kw_only=True):
    """What checking a bundle found: `ok` is True, False, or None where it cannot be said.

    `position` is the first that is wrong, 0 where it belongs to none; `unknown` says what is missing to be sure.
    """

    ok: bool | None
    records: int
    position: int = 0
    reason: str = ""
    origin: str = ""
    size: int = 0
    signed: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    proved: tuple[str, ...] = ()
    not_proved: tuple[str, ...] = ()

    @property
    def status(self) -> int:
        """What the program ends with: 0 good, 1 bad, 2 cannot tell."""
        return program.UNKNOWN if self.ok is None else program.GOOD if self.ok else program.BAD


def verify_bundle(
    path: str | os.PathLike[str],
    *,
    key: Keys = (),
    witness: Keys = (),
    log_id: bytes | str = "",
    progress: Callable[[int, int], None] | None = None,
) -> CheckedBundle:
    """Check a bundle with the public key of its log, and those of witnesses that must have signed too.

    Without a key the answer is None at best: it is whole in itself, and who signed it is unknown. Never raises for what
    a bundle holds.
    """
    id_ = log_id.hex() if isinstance(log_id, bytes) else log_id
    found = program.verify(os.fspath(path), _lines(key), _lines(witness), id_, progress)
    return CheckedBundle(
        ok={program.GOOD: True, program.BAD: False}.get(found.status),
        records=found.records,
        position=found.position,
        reason=found.reason,
        origin=found.origin,
        size=found.size,
        signed=tuple(found.signed),
        unknown=tuple(found.unknown),
        proved=tuple(found.proved),
        not_proved=tuple(found.not_proved),
    )


def _lines(keys: Keys) -> list[str]:
    given = [keys] if isinstance(keys, str | PublicKey) else keys
    return [key if isinstance(key, str) else key.text for key in given]
