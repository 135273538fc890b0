"""Alterations of all that proves a log: of its journal, archive, bundles, proofs and checkpoints, one at a time."""

from __future__ import annotations

import contextlib
import enum
import json
import random
import shutil
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from eventstore.proofs.standalone import verify_bundle as program
from projections.analysis.archive import layout
from tests.analysis.archive_log import agree, rewrite
from tests.proofs.histories import Histories, History
from tests.reliability.alterations import Altering


class Finder(enum.Enum):
    """What has to find an alteration."""

    ALONE = "what was altered does not verify, with nothing else at hand"
    KEPT = "it verifies alone, which says what it cannot show; a checkpoint kept elsewhere finds it"
    WITNESS = "it verifies with its own signed checkpoints, which says what a newer one or a witness would show"
    SAME = "it may pass: then it says the same as what was not altered"


class Altered(NamedTuple):
    """What was done, where the result is, and what has to find it."""

    what: str
    place: Path
    finder: Finder


class Alterations:
    """Puts an altered copy of one thing at a time into a folder."""

    def __init__(self, histories: Histories, place: Path) -> None:
        self.histories, self._place = histories, place
        journal = place / "journal" / "main" / "journal.db"
        journal.parent.mkdir(parents=True)
        self._journal = Altering(histories.log.journal.read_bytes(), journal)

    def alter(self, kind: str, chance: random.Random) -> Altered:
        """Alter one thing of a kind in one way."""
        ways = _WAYS[kind]
        return chance.choice(ways)(self, chance)

    # The journal

    def journal_file(self, content: bytes = b"") -> Path:
        """Return the journal's file in a directory of its own, with some content."""
        directory = self._place / "journal"
        shutil.rmtree(directory)
        path = directory / "main" / "journal.db"
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        return path

    def journal_cell(self, chance: random.Random) -> Altered:
        """A cell, an entry of an index, a definition, a row, a byte: each in a page that is otherwise in order."""
        self.journal_file()
        found = self._journal.alter(chance)
        return Altered(found.what, self._place / "journal", Finder.ALONE if found.must_be_found else Finder.SAME)

    def journal_cut(self, chance: random.Random) -> Altered:
        whole = self.histories.log.journal.read_bytes()
        length = chance.randrange(1, len(whole))
        self.journal_file(whole[:length])
        return Altered(f"the first {length} bytes", self._place / "journal", Finder.ALONE)

    def journal_spliced(self, chance: random.Random) -> Altered:
        """Pages of another honest file."""
        other = chance.choice([each for each in self.histories.all() if each is not self.histories.log])
        whole, theirs = bytearray(self.histories.log.journal.read_bytes()), other.journal.read_bytes()
        pages = min(len(whole), len(theirs)) // 4096
        first = chance.randrange(pages)
        last = chance.randrange(first, pages) + 1
        whole[first * 4096 : last * 4096] = theirs[first * 4096 : last * 4096]
        self.journal_file(bytes(whole))
        finder = Finder.SAME if last - first < pages else Finder.ALONE
        return Altered(f"pages {first} to {last - 1} of {other.place.name}", self._place / "journal", finder)

    def journal_branch(self, chance: random.Random) -> Altered:
        other = chance.choice([self.histories.branch, self.histories.other])
        self.journal_file(other.journal.read_bytes())
        return Altered(f"the whole of {other.place.name}", self._place / "journal", Finder.KEPT)

    def journal_emptied(self, _chance: random.Random) -> Altered:
        self.journal_file()
        return Altered("nothing left", self._place / "journal", Finder.KEPT)

    def journal_older(self, _chance: random.Random) -> Altered:
        self.journal_file(self.histories.older.journal.read_bytes())
        return Altered("an older copy", self._place / "journal", Finder.WITNESS)

    # The archive

    def archive_of(self, history: History) -> Path:
        """Return a copy of an archive."""
        folder = self._place / "archive"
        shutil.rmtree(folder, ignore_errors=True)
        return Path(shutil.copytree(history.archive, folder))

    def archive_byte(self, chance: random.Random) -> Altered:
        folder = self.archive_of(self.histories.log)
        path = folder / chance.choice(_files(folder))
        path.write_bytes(_bytes_altered(chance, path.read_bytes()))
        return Altered(f"bytes of {path.name}", folder, Finder.ALONE)

    def archive_contents(self, chance: random.Random) -> Altered:
        """The table of contents: a blank between two members says nothing."""
        folder = self.archive_of(self.histories.log)
        path = folder / layout.CATALOG
        path.write_bytes(_bytes_altered(chance, path.read_bytes()))
        return Altered("bytes of the table of contents", folder, Finder.SAME)

    def archive_rows(self, chance: random.Random) -> Altered:
        """Rows left out, doubled or exchanged, by somebody who lets the table of contents agree."""
        folder = self.archive_of(self.histories.log)
        path = chance.choice(_files(folder))
        rows = list(range(pq.read_metadata(folder / path).num_rows))
        at, other = chance.sample(rows, 2)
        match chance.randrange(3):
            case 0:
                rows.remove(at)
            case 1:
                rows.insert(at, at)
            case _:
                rows[at], rows[other] = rows[other], rows[at]
        rewrite(folder, path, rows=rows)
        return Altered(f"rows {at} and {other} of {path}", folder, Finder.ALONE)

    def archive_value(self, chance: random.Random) -> Altered:
        folder = self.archive_of(self.histories.log)
        path = chance.choice(_files(folder))
        column = pq.read_table(folder / path).column("note")
        values = column.to_pylist()
        at = chance.randrange(len(values))
        values[at] = f"{values[at]}."
        rewrite(folder, path, {"note": pa.array(values, column.type)})
        return Altered(f"row {at} of {path}", folder, Finder.ALONE)

    def archive_spliced(self, chance: random.Random) -> Altered:
        """A file of another honest archive, or none, in the place of one."""
        folder = self.archive_of(self.histories.log)
        path = chance.choice(_files(folder))
        other = chance.choice([each for each in self.histories.all() if each is not self.histories.log])
        theirs = chance.choice(_files(other.archive))
        is_same = (other.archive / theirs).read_bytes() == (folder / path).read_bytes()
        (folder / path).unlink()
        if chance.random() < 0.8:
            shutil.copy(other.archive / theirs, folder / path)
            agree(folder, path)
        else:
            is_same = False
        finder = Finder.SAME if is_same else Finder.ALONE
        return Altered(f"{theirs} of {other.place.name} as {path}", folder, finder)

    def archive_branch(self, chance: random.Random) -> Altered:
        other = chance.choice([self.histories.branch, self.histories.other])
        return Altered(f"the whole of {other.place.name}", self.archive_of(other), Finder.KEPT)

    def archive_older(self, _chance: random.Random) -> Altered:
        return Altered("an older copy", self.archive_of(self.histories.older), Finder.WITNESS)

    # Bundles

    def bundle_bytes(self, chance: random.Random) -> Altered:
        honest = chance.choice([self.histories.log.bundle, self.histories.log.account])
        target = self._place / "b.zip"
        target.write_bytes(_bytes_altered(chance, honest.read_bytes()))
        return Altered(f"bytes of {honest.name}", target, Finder.ALONE)

    def bundle_part(self, chance: random.Random) -> Altered:
        """A file of a bundle exchanged, cut or reordered, and the manifest made to fit: its signature cannot be."""
        honest = chance.choice([self.histories.log.bundle, self.histories.log.account])
        parts = _parts(honest)
        other = chance.choice([each for each in self.histories.all() if each is not self.histories.log])
        theirs = _parts(chance.choice([other.bundle, other.account]))
        # What a page says, only the signature of the manifest shows.
        name = chance.choice(sorted(set(parts) & set(theirs) - {program.MANIFEST, program.MANIFEST_NOTE}))
        # The proof of a whole log needs no hash.
        lines = parts[name].splitlines(keepends=True) or [b""]
        at, second = chance.randrange(len(lines)), chance.randrange(len(lines))
        match chance.randrange(4):
            case 0:
                parts[name] = theirs[name]
            case 1:
                del lines[at]
                parts[name] = b"".join(lines)
            case 2:
                lines[at], lines[second] = lines[second], lines[at]
                parts[name] = b"".join(lines)
            case _:
                parts[name] = b"".join([*lines[:at], *theirs[name].splitlines(keepends=True)[at:]])
        is_same = parts[name] == _parts(honest)[name]
        target = _packed(parts, self._place / "b.zip", is_noted=chance.random() < 0.5)
        return Altered(
            f"{name} of {honest.name} and {other.place.name}", target, Finder.SAME if is_same else Finder.ALONE
        )

    def bundle_branch(self, chance: random.Random) -> Altered:
        """A whole bundle that is in order, signed by somebody else with a key of the same name."""
        other = chance.choice([self.histories.branch, self.histories.other])
        target = self._place / "b.zip"
        shutil.copy(chance.choice([other.bundle, other.account]), target)
        return Altered(f"the bundle of {other.place.name}", target, Finder.ALONE)

    def bundle_older(self, chance: random.Random) -> Altered:
        target = self._place / "b.zip"
        shutil.copy(chance.choice([self.histories.older.bundle, self.histories.older.account]), target)
        return Altered("an older bundle", target, Finder.WITNESS)

    # Proofs

    def proof_text(self, chance: random.Random) -> Altered:
        honest = chance.choice([self.histories.log.inclusion, self.histories.log.growth])
        target = self._place / honest.name
        target.write_bytes(_bytes_altered(chance, honest.read_bytes()))
        return Altered(f"bytes of {honest.name}", target, Finder.ALONE)

    def proof_lines(self, chance: random.Random) -> Altered:
        """Lines exchanged, left out, or of another honest proof."""
        honest = chance.choice([self.histories.log.inclusion, self.histories.log.growth])
        other = chance.choice([each for each in self.histories.all() if each is not self.histories.log])
        lines, theirs = [path.read_bytes().splitlines(keepends=True) for path in (honest, other.place / honest.name)]
        at, second = chance.randrange(len(lines)), chance.randrange(len(lines))
        match chance.randrange(4):
            case 0:
                del lines[at]
            case 1:
                lines[at], lines[second] = lines[second], lines[at]
            case 2:
                lines = [*lines[:at], *theirs[at:]]
            case _:
                lines = [*lines[:at], theirs[min(at, len(theirs) - 1)], *lines[at + 1 :]]
        target = self._place / honest.name
        target.write_bytes(b"".join(lines))
        is_honest = target.read_bytes() in {
            each.read_bytes() for each in (honest, self.histories.older.place / honest.name)
        }
        what = f"lines {at} and {second} of {honest.name} and {other.place.name}"
        return Altered(what, target, Finder.SAME if is_honest else Finder.ALONE)

    def proof_branch(self, chance: random.Random) -> Altered:
        other = chance.choice([self.histories.branch, self.histories.other])
        target = self._place / chance.choice(["inclusion", "growth"])
        shutil.copy(other.place / target.name, target)
        return Altered(f"{target.name} of {other.place.name}", target, Finder.ALONE)

    def proof_older(self, chance: random.Random) -> Altered:
        target = self._place / chance.choice(["inclusion", "growth"])
        shutil.copy(self.histories.older.place / target.name, target)
        return Altered(f"an older {target.name}", target, Finder.WITNESS)

    # Checkpoints

    def checkpoints_bytes(self, chance: random.Random) -> Altered:
        """A file of checkpoints that was cut off after a whole one is an older file."""
        target = self._place / "checkpoints.txt"
        target.write_bytes(_bytes_altered(chance, self.histories.log.checkpoints.read_bytes()))
        return Altered("bytes of the checkpoints", target, Finder.SAME)

    def checkpoints_notes(self, chance: random.Random) -> Altered:
        """Whole notes in another order, doubled, left out: each is signed for itself."""
        notes = _notes(self.histories.log)
        chance.shuffle(notes)
        target = self._place / "checkpoints.txt"
        target.write_bytes(b"\n".join(notes[: chance.randrange(1, len(notes) + 1)] + notes[: chance.randrange(2)]))
        return Altered("whole checkpoints", target, Finder.SAME)

    def checkpoints_spliced(self, chance: random.Random) -> Altered:
        """A note of another key, or lines of two notes."""
        other = chance.choice([self.histories.branch, self.histories.other])
        notes, theirs = _notes(self.histories.log), _notes(other)
        at = chance.randrange(len(notes))
        own, foreign = notes[at].split(b"\n"), theirs[at].split(b"\n")
        line = chance.randrange(1, len(own) - 1)
        whole = chance.random() < 0.5
        changed = foreign if whole else [*own[:line], foreign[line], *own[line + 1 :]]
        notes[at] = b"\n".join(changed)
        target = self._place / "checkpoints.txt"
        target.write_bytes(b"\n".join(notes))
        finder = Finder.SAME if changed == own else Finder.ALONE
        return Altered(f"checkpoint {at}, line {'all' if whole else line}", target, finder)

    def checkpoints_older(self, _chance: random.Random) -> Altered:
        target = self._place / "checkpoints.txt"
        shutil.copy(self.histories.older.checkpoints, target)
        return Altered("an older file", target, Finder.WITNESS)


Way = Callable[[Alterations, random.Random], Altered]
_WAYS: dict[str, Sequence[Way]] = {
    "journal": [
        *[Alterations.journal_cell] * 6, Alterations.journal_cut, Alterations.journal_spliced,
        Alterations.journal_spliced, Alterations.journal_branch, Alterations.journal_emptied, Alterations.journal_older,
    ],
    "archive": [
        Alterations.archive_byte, Alterations.archive_byte, Alterations.archive_contents, Alterations.archive_rows,
        Alterations.archive_value, Alterations.archive_spliced, Alterations.archive_branch, Alterations.archive_older,
    ],
    "bundle": [
        Alterations.bundle_bytes, Alterations.bundle_bytes, Alterations.bundle_part, Alterations.bundle_part,
        Alterations.bundle_branch, Alterations.bundle_older,
    ],
    "proof": [
        Alterations.proof_text, Alterations.proof_text, Alterations.proof_lines, Alterations.proof_lines,
        Alterations.proof_branch, Alterations.proof_older,
    ],
    "checkpoints": [
        Alterations.checkpoints_bytes, Alterations.checkpoints_bytes, Alterations.checkpoints_notes,
        Alterations.checkpoints_spliced, Alterations.checkpoints_spliced, Alterations.checkpoints_older,
    ],
}  # fmt: skip
KINDS = tuple(_WAYS)


def _bytes_altered(chance: random.Random, honest: bytes) -> bytes:
    """Flip, cut, leave out, insert or copy bytes; never return what was given."""
    while True:
        at, length = chance.randrange(len(honest)), chance.randrange(1, 40)
        source = chance.randrange(len(honest))
        changed = chance.choice([
            honest[:at] + bytes([honest[at] ^ 1 << chance.randrange(8)]) + honest[at + 1 :],
            honest[:at],
            honest[:at] + honest[at + length :],
            honest[:at] + chance.randbytes(length) + honest[at:],
            honest[:at] + honest[source : source + length] + honest[at + length :],
        ])  # fmt: skip
        if changed != honest:
            return changed


def _files(folder: Path) -> list[str]:
    return [file.path for sealed in layout.load(folder).ranges for file in sealed.files]


def _parts(bundle: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(bundle) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def _packed(parts: dict[str, bytes], target: Path, *, is_noted: bool) -> Path:
    """Pack a bundle's parts as it is packed itself, with a manifest that names them as they are now.

    With `is_noted` the manifest's note is of it as well, with the signature of the one before.
    """
    from eventstore.proofs.bundle.packing import put

    manifest = json.loads(parts[program.MANIFEST])
    with contextlib.suppress(FileNotFoundError):
        target.unlink()
    with zipfile.ZipFile(target, "w", allowZip64=False) as packed:
        for name in sorted(set(parts) - {program.MANIFEST, program.MANIFEST_NOTE}):
            manifest["files"][name] = put(packed, name, parts[name])
        manifest["records"] = parts[program.RECORDS].count(b"\n")
        content = json.dumps(manifest, indent=1).encode() + b"\n"
        put(packed, program.MANIFEST, content)
        note = parts[program.MANIFEST_NOTE]
        if is_noted:
            # The signature is the log's key's, of another text.
            origin, signatures = note.split(b"\n")[1].decode(), note.partition(b"\n\n")[2]
            note = program.manifest_text(origin, content).encode() + b"\n" + signatures
        put(packed, program.MANIFEST_NOTE, note)
    return target


def _notes(history: History) -> list[bytes]:
    """Return the notes of a file of checkpoints, each with its end."""
    chunks = history.checkpoints.read_bytes().split(b"\n\n")
    return [b"\n\n".join(chunks[at : at + 2]).rstrip(b"\n") + b"\n" for at in range(0, len(chunks), 2)]
