"""Settings of checkpoints: how often one is signed, by which keys, and which witnesses get it."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from eventstore.clock import NANOSECONDS, parse_duration
from eventstore.config import FILE, document
from eventstore.errors import InvalidEvent, InvalidNote, shown
from eventstore.proofs.keys import PublicKey
from eventstore.streams import check_name

if TYPE_CHECKING:
    import os

TABLE = "checkpoints"
WITNESSES_MAX = 16


class CheckpointSettings(msgspec.Struct, frozen=True):
    """How a log's checkpoints are signed. `keys` is the folder of keys, by default that of the environment.

    `every_seconds`: how often a process that has the log open signs, 0 for never; `at_close`: whether it does so once
    more at its end. `witnesses`: a command for each witness by name, as its arguments; it gets the note on stdin and
    has `witness_seconds`. `witness_keys`: a public key for each witness whose cosignature has to be among its output.
    """

    keys: str = ""
    every_seconds: float = 3_600.0
    at_close: bool = True
    witnesses: Mapping[str, Sequence[str]] = {}
    witness_keys: Mapping[str, str] = {}
    witness_seconds: float = 30.0

    def __post_init__(self) -> None:
        if not 0 <= self.every_seconds < math.inf:
            msg = f"every_seconds is a number of 0 or more, not {self.every_seconds!r}"
            raise InvalidEvent(msg)
        if not 0 < self.witness_seconds < math.inf:
            msg = f"witness_seconds is a number above 0, not {self.witness_seconds!r}"
            raise InvalidEvent(msg)
        if len(self.witnesses) > WITNESSES_MAX:
            msg = f"{len(self.witnesses)} witnesses are configured, and {WITNESSES_MAX} is the limit"
            raise InvalidEvent(msg)
        for name, command in self.witnesses.items():
            check_name("witness", name)
            if isinstance(command, str) or not command or not all(isinstance(part, str) for part in command):
                msg = f"the command of witness {name} is a list of texts, its program first, not {shown(command)}"
                raise InvalidEvent(msg)
        if unknown := sorted(set(self.witness_keys) - set(self.witnesses)):
            msg = f"witness_keys has a key of {', '.join(unknown)}, which is not among the witnesses"
            raise InvalidEvent(msg)
        self.public_keys()

    def public_keys(self) -> dict[str, PublicKey]:
        """Return each witness's key by its name; raise InvalidNote."""
        return {name: _key_of(name, text) for name, text in self.witness_keys.items()}

    @classmethod
    def load(cls, directory: str | os.PathLike[str] = ".") -> CheckpointSettings:
        """Return the settings of DIRECTORY/eventstore.toml, table `[checkpoints]`; the defaults without it.

        There `every` is a duration such as "1h", or "never", and a witness's command a line as a shell splits it, or a
        list. Raises InvalidEvent.
        """
        table = document(Path(directory) / FILE).get(TABLE, {})
        if not isinstance(table, dict):
            msg = f"{FILE}: {TABLE} is a table: write [{TABLE}] and its members below"
            raise InvalidEvent(msg)
        found = dict(table)
        if "every" in found:
            found["every_seconds"] = seconds_of(found.pop("every"))
        commands = found.get("witnesses", {})
        if isinstance(commands, dict):
            found["witnesses"] = {name: command_of(name, given) for name, given in commands.items()}
        names = {field.name for field in msgspec.structs.fields(cls)}
        if unknown := sorted(set(found) - names):
            known = ", ".join(sorted({*names, "every"} - {"every_seconds"}))
            msg = f"{FILE}: unknown setting {', '.join(unknown)} in [{TABLE}]: the settings are {known}"
            raise InvalidEvent(msg)
        try:
            return msgspec.convert(found, cls)
        except msgspec.ValidationError as e:
            msg = f"{FILE}: [{TABLE}]: {e}"
            raise InvalidEvent(msg) from e


def seconds_of(given: object) -> float:
    """Return how often is asked for, in seconds: a duration such as 1h, or never."""
    if given == "never":
        return 0.0
    if not isinstance(given, str):
        msg = f"how often checkpoints are signed is a text such as 1h, or never, not {shown(given)}"
        raise InvalidEvent(msg)
    return parse_duration(given) / NANOSECONDS


def command_of(name: str, given: object) -> Sequence[str]:
    """Return a witness's command as its arguments; a line is split as a shell does, and no shell runs it."""
    if not isinstance(given, str):
        return given  # type: ignore[return-value] # the settings check what it is
    try:
        return shlex.split(given)
    except ValueError as e:
        msg = f"the command of witness {name} is not a command line: {e}"
        raise InvalidEvent(msg) from e


def _key_of(name: str, text: str) -> PublicKey:
    try:
        return PublicKey.parse(text)
    except InvalidNote as e:
        msg = f"the key of witness {name}: {e}"
        raise InvalidNote(msg) from e
