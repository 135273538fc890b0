"""Random histories of growth, signing, theft and restoration, against a model that keeps what was signed as lists."""

from __future__ import annotations

import itertools
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import eventstore
from eventstore import CorruptJournal, InvalidEvent, InvalidNote, StoreError
from eventstore.proofs import Checkpoint
from eventstore.proofs.keys import PublicKey
from tests.proofs.signed_logs import AT, SignedLog
from tests.proofs.test_signed_notes import mutated
from tests.proving import rounds

STEPS = 14


class History:
    """A log, what it holds as a list, and the lists that each key has signed."""

    def __init__(self, place: Path, chance: random.Random) -> None:
        self.log, self.chance = SignedLog(place), chance
        self.records: list[int] = []
        self.signed: dict[str, list[list[int]]] = {}
        self.copies: list[tuple[Path, list[int]]] = []
        self.number = 0
        self.log.new_key()

    def grow(self) -> None:
        for _ in range(self.chance.choice([1, 2, 3, 256, 300])):
            self.number += 1
            self.records.append(self.number)
        count = len(self.records) - self.head()
        with eventstore.open(self.log.data) as store:
            names = [eventstore.trading.Marked(name=f"n{number}") for number in self.records[-count:]]
            store.append("mark/-/many", names)

    def head(self) -> int:
        with eventstore.open(self.log.data) as store:
            return store.head()

    def copy(self) -> None:
        self.copies.append((self.log.copy(f"copy{len(self.copies)}"), list(self.records)))

    def put_back(self) -> None:
        if self.copies:
            copied, self.records = self.chance.choice(self.copies)
            self.records = list(self.records)
            self.log.put_back(copied)

    def lose_the_file(self) -> None:
        self.log.checkpoints_path.unlink(missing_ok=True)

    def put_back_the_file(self) -> None:
        """Of an older copy: an honest file, of this log or of another branch of it."""
        files = [copied / "main" / "checkpoints.txt" for copied, _ in self.copies]
        if kept := [file for file in files if file.exists()]:
            shutil.copy(self.chance.choice(kept), self.log.checkpoints_path)

    def change_keys(self) -> None:
        if active := [each for each in self.log.folder.all() if each.retired_at is None]:
            self.log.folder.retire(active[0], AT)
        self.log.new_key()

    def sign(self, *, restored: bool = False) -> None:
        keys = [each for each in self.log.folder.all() if each.retired_at is None]
        mine = [kept for key in keys for kept in self.signed.get(key.key, [])]
        binding = mine or [kept for lists in self.signed.values() for kept in lists]
        continues = all(self.records[: len(kept)] == kept for kept in binding)
        try:
            result = self.log.sign(restored=restored)
        except (CorruptJournal, InvalidEvent, InvalidNote):
            # Refused without a reason only where it was said, and is not so, that the log was restored.
            assert not continues or restored
            return
        assert continues or (restored and not mine)
        assert result.checkpoint.size == len(self.records)
        for key in keys:
            if PublicKey.parse(key.key) in result.checkpoint.signers([key.public]):
                self.signed.setdefault(key.key, []).append(list(self.records))

    def sign_as_restored(self) -> None:
        self.sign(restored=True)

    def check(self) -> None:
        """Nothing that a key signed contradicts anything else that it signed: each list begins with the one before."""
        for lists in self.signed.values():
            for first, second in itertools.pairwise(lists):
                assert second[: len(first)] == first


def test_no_key_ever_signs_two_histories(tmp_path: Path) -> None:
    for seed in rounds("signed histories", test=6, prove=400):
        chance = random.Random(seed)
        history = History(tmp_path / str(seed), chance)
        steps: list[Callable[[], None]] = [
            history.grow, history.grow, history.sign, history.sign, history.sign, history.copy, history.put_back,
            history.lose_the_file, history.put_back_the_file, history.change_keys, history.sign_as_restored,
        ]  # fmt: skip
        for _ in range(STEPS):
            chance.choice(steps)()
        history.check()
        shutil.rmtree(tmp_path / str(seed))


def test_no_altered_file_of_checkpoints_is_signed_over_or_crashes_anything(tmp_path: Path) -> None:
    """Altered at any byte: refused, or reported by `health`, or what it says of the log is true all the same."""
    log = SignedLog(tmp_path)
    log.new_key()
    for _ in range(3):
        log.grow(2)
        log.sign()
    [key] = log.folder.all()
    whole = log.checkpoints_path.read_bytes()
    with eventstore.open(log.data) as store:
        roots = {size: store.root(size)[1] for size in range(7)}
        for seed in rounds("altered checkpoints", test=150, prove=5_000):
            altered = mutated(whole, random.Random(seed))
            log.checkpoints_path.write_bytes(altered)
            try:
                result = store.checkpoint(log.settings())
            except StoreError:
                found = None
            else:
                found = result.checkpoint
            health = log.health()
            assert found is None or (found.size, found.root) == (6, roots[6])
            for each in newest(log):
                # What still counts as signed is what was signed.
                if is_signed(each, key.public):
                    assert roots[each.size] == each.root
            if found is None:
                assert health.wrong or health.attention
            log.checkpoints_path.unlink(missing_ok=True)


def newest(log: SignedLog) -> list[Checkpoint]:
    try:
        return log.file.newest()
    except InvalidNote:
        return []


def is_signed(checkpoint: Checkpoint, key: PublicKey) -> bool:
    try:
        return checkpoint.signers([key]) == (key,)
    except InvalidNote:
        return False
