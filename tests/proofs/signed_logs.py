"""A log whose checkpoints are signed: its directory, its folder of keys, and what an attacker does to them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import eventstore
from eventstore import CheckpointSettings, ManualClock
from eventstore.proofs import Checkpoint, checkpoint_file, witness_file
from eventstore.proofs.checkpoint_file import CheckpointFile
from eventstore.proofs.health import CheckpointHealth, checkpoint_health
from eventstore.proofs.key_files import KeyFolder, StoredKey
from eventstore.proofs.signers import origin_of
from eventstore.proofs.signing import CheckpointResult
from eventstore.proofs.witness_file import WitnessFile
from eventstore.side import FileSide
from eventstore.trading import Marked

AT = 1_753_113_600_000_000_000


@dataclass
class SignedLog:
    """A log in a directory of its own, with the folder of keys beside it."""

    place: Path

    @property
    def data(self) -> Path:
        return self.place / "data"

    @property
    def directory(self) -> Path:
        return self.data / "main"

    @property
    def folder(self) -> KeyFolder:
        return KeyFolder(self.place / "keys")

    @property
    def file(self) -> CheckpointFile:
        return CheckpointFile(FileSide(self.directory))

    @property
    def checkpoints_path(self) -> Path:
        return self.directory / checkpoint_file.NAME

    @property
    def witnesses(self) -> WitnessFile:
        return WitnessFile(FileSide(self.directory))

    @property
    def witnesses_path(self) -> Path:
        return self.directory / witness_file.NAME

    def settings(
        self, witnesses: Mapping[str, Sequence[str]] | None = None, keys: Mapping[str, str] | None = None
    ) -> CheckpointSettings:
        return CheckpointSettings(
            keys=str(self.folder.path), every_seconds=0, witnesses=witnesses or {}, witness_keys=keys or {}
        )

    def new_key(self, name: str | None = None) -> StoredKey:
        with eventstore.open(self.data) as store:
            number = len(self.folder.of_log(store.log_id))
            return self.folder.create(name or origin_of("main", store.log_id), "main", store.log_id, AT + number)

    def grow(self, count: int, name: str = "x") -> None:
        with eventstore.open(self.data) as store:
            store.append("mark/-/many", [Marked(name=name)] * count)

    def sign(self, *, restored: bool = False, settings: CheckpointSettings | None = None) -> CheckpointResult:
        with eventstore.open(self.data, clock=ManualClock(AT)) as store:
            return store.checkpoint(settings or self.settings(), restored=restored)

    def health(self) -> CheckpointHealth:
        with eventstore.open(self.data) as store:
            return checkpoint_health(store, FileSide(self.directory), self.folder)

    def copy(self, name: str) -> Path:
        """Copy the log's whole directory, as somebody does who means to put it back later."""
        return Path(shutil.copytree(self.data, self.place / name))

    def put_back(self, copied: Path) -> None:
        shutil.rmtree(self.data)
        shutil.copytree(copied, self.data)


def bodies(checkpoints: Sequence[Checkpoint]) -> list[int]:
    return [each.size for each in checkpoints]
