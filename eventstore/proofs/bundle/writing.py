"""Writing a bundle: records as JSON lines and CSV, one proof of all of them, and what verifies it, in one zip file."""

from __future__ import annotations

import contextlib
import hashlib
import json
import tempfile
import zipfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import msgspec

from eventstore.arguments import filter_of, position_of
from eventstore.clock import SystemClock, format_time, to_ns
from eventstore.errors import CorruptJournal, InvalidEvent, StorageFull, TargetExists, Unavailable, shown
from eventstore.extras import DISTRIBUTION, version
from eventstore.files import make_directory, publish, temporary
from eventstore.locations import local_path
from eventstore.proofs.lines import line_of
from eventstore.proofs.proving import checkpoint_text, tree_of, unsigned
from eventstore.proofs.signed_notes import SignedNote, base64_of
from eventstore.proofs.standalone import verify_bundle as program
from eventstore.readable import Readable
from eventstore.store import EventStore

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from eventstore.clock import Times
    from eventstore.journal import Query
    from eventstore.proofs.checkpoints import Checkpoint
    from eventstore.proofs.keys import PrivateKey, PublicKey
    from eventstore.proofs.stored_tree import StoredTree
    from eventstore.reader import EventReader, Types
    from eventstore.record import Record

    Progress = Callable[[int, int], None]

README, PROGRAM = "README.txt", "verify_bundle.py"
OWN_FILES = frozenset({
    program.MANIFEST, program.MANIFEST_NOTE, program.RECORDS, program.TABLE, program.STREAMS, program.PROOF,
    program.CHECKPOINT, program.KEYS, README, PROGRAM,
})  # fmt: skip
_BUFFER = 1 << 20
# The same bundle is the same bytes: no file has the time at which it was packed.
_PACKED_AT = (1980, 1, 1, 0, 0, 0)
_TEXT = """\
Records of an event log, and the proof that they are unchanged.

records.jsonl     the records, one JSON object a line: all that was hashed
records.csv       the same as a table; a cell that a spreadsheet would take for a formula begins with an apostrophe
timeline.html     where it is there: each record as a sentence, with what it changed, to read and to print
streams.csv       which versions of each stream are here
proof.bin         the hashes that lead from the records to the root in the checkpoint
checkpoint.txt    size and root of the log, signed (c2sp.org/tlog-checkpoint)
key.txt           the log's public key, for convenience: have it confirmed from elsewhere
manifest.json     what was asked for, what is proved and what is not, the SHA-256 of each file
manifest.note     the manifest's SHA-256, signed
verify_bundle.py  checks all this with Python 3.11 or newer alone

To check:  python verify_bundle.py THIS.zip --key 'NAME+HASH+BASE64'

It ends with 0 if everything is proved, 1 if something is not as it was signed (it names the position), 2 if it cannot
tell, as without a key. A forger would change verify_bundle.py and key.txt too: take the program from a release and
compare its SHA-256 with the one printed there, and get the key from its owner.
"""


class Bundle(Readable, msgspec.Struct, frozen=True, kw_only=True):
    """A bundle that was written: how many records and streams, which positions were looked at, what is proved."""

    records: int
    streams: int
    first: int
    last: int
    size: int
    is_signed: bool
    proved: tuple[str, ...]
    not_proved: tuple[str, ...]


def write_bundle(
    store: EventReader,
    target: str | os.PathLike[str],
    *,
    checkpoint: Checkpoint | None = None,
    signers: Sequence[PrivateKey] = (),
    keys: Sequence[PublicKey] = (),
    account: str | None = None,
    stream: str | None = None,
    types: Types | None = None,
    after: int = 0,
    until: int | None = None,
    start: Times | None = None,
    stop: Times | None = None,
    pages: Mapping[str, bytes] | None = None,
    progress: Progress | None = None,
) -> Bundle:
    """Write records with their proof into a new zip file, whole or not at all; arguments choose them as `read` does.

    Only records that the `checkpoint` covers are in it; without one it is the log as it is now, signed by nobody.
    `signers`, the log's keys, sign the manifest, so that nothing can be left out of the bundle; `keys` are public ones
    that go with it. `pages` are further files, by name. Raises TargetExists, InvalidEvent, CorruptJournal where a
    record does not have its digest, StorageFull and Unavailable.
    """
    path = local_path(target, "the bundle").absolute()
    if path.exists() or path.is_symlink():
        msg = f"{path} exists already: name a new place for the bundle"
        raise TargetExists(msg)
    more = dict(pages or {})
    _check_pages(more)
    head = checkpoint or unsigned(store)
    chosen = _Chosen(store, head, filter_of(stream, account, types), (start, stop))
    chosen.bound(position_of("after", after), head.size if until is None else position_of("until", until))
    with _translated(path):
        make_directory(path.parent)
        with temporary(path) as whole:
            with contextlib.ExitStack() as stack:
                writer = _Writer(stack, chosen, whole.parent)
                writer.fill(progress)
                files = {**writer.files(), **_own_files(head, [*(each.public for each in signers), *keys]), **more}
                bundle = writer.pack(whole, files, signers)
            publish(whole, path)
    return bundle


def _check_pages(pages: Mapping[str, bytes]) -> None:
    names = {name.lower() for name in OWN_FILES}
    for name, content in pages.items():
        if type(name) is not str or not program.is_name(name) or name.lower() in names:
            msg = f"{shown(name)} cannot be a further file: a name of A-Z a-z 0-9 . _ - that the bundle does not use"
            raise InvalidEvent(msg)
        names.add(name.lower())
        if type(content) is not bytes:
            msg = f"the content of {name} is bytes, not {shown(content)}"
            raise InvalidEvent(msg)


def _own_files(head: Checkpoint, keys: Sequence[PublicKey]) -> dict[str, bytes]:
    public = dict.fromkeys([each.text for each in keys])
    found = {
        program.CHECKPOINT: checkpoint_text(head).encode(),
        README: _TEXT.encode(),
        PROGRAM: Path(program.__file__).read_bytes(),
    }
    return found | ({program.KEYS: "".join(f"{line}\n" for line in public).encode()} if public else {})


class _Chosen:
    """The records of a bundle: those that fit a query, within the positions that times and the checkpoint leave."""

    def __init__(
        self, store: EventReader, head: Checkpoint, query: Query, times: tuple[Times | None, Times | None]
    ) -> None:
        self.store, self.head, self.query = store, head, query
        self.start, self.stop = [None if each is None else to_ns(each) for each in times]
        self.after = self.until = 0
        self.tree: StoredTree = tree_of(store, head)

    def bound(self, after: int, until: int) -> None:
        """Set the positions looked at: past `after` and up to `until`."""
        position_at = self.store._source.position_at  # noqa: SLF001 - the reader's takes no time before 1990
        self.until = min(until, self.head.size)
        self.after = min(after, self.until)
        if self.start is not None:
            self.after = min(max(self.after, position_at(self.start - 1)), self.until)
        if self.stop is not None:
            self.until = max(min(self.until, position_at(self.stop - 1)), self.after)

    def records(self) -> Iterator[Record]:
        query = self.query
        return self.store.read(
            after=self.after, until=self.until, stream=query.stream, account=query.account, types=query.types
        )

    def manifest(self, records: int) -> dict[str, Any]:
        query, store = self.query, self.store
        clock = store.clock if isinstance(store, EventStore) else SystemClock()
        return {
            "format": program.FORMAT,
            "created_at": format_time(clock.now_ns()),
            "created_with": f"{DISTRIBUTION} {version()}",
            "log": store.log,
            "log_id": store.log_id.hex(),
            "query": {
                "account": query.account,
                "stream": query.stream,
                "types": None if query.types is None else list(query.types),
                "start": None if self.start is None else format_time(self.start),
                "stop": None if self.stop is None else format_time(self.stop),
            },
            "first": self.after + 1,
            "last": self.until,
            "records": records,
            "checkpoint": {"origin": self.head.origin, "size": self.head.size, "root": base64_of(self.head.root)},
        }


class _Writer:
    """Writes the parts beside one another into files without a name, then all of them into the zip."""

    def __init__(self, stack: contextlib.ExitStack, chosen: _Chosen, folder: Path) -> None:
        self._chosen = chosen
        self._records, self._table, self._proof = [_unnamed(stack, folder) for _ in range(3)]
        self._count = 0
        self._versions = program.StreamVersions(are_whole=chosen.query.types is None)

    def fill(self, progress: Progress | None) -> None:
        """Write every record as a line and as a row, and the hashes that they do not give themselves."""
        chosen = self._chosen
        tree = program.PartialTree(self._node)
        lines = program.Lines(chosen.store.log_id)
        self._table.write(program.TABLE_HEAD)
        for record in chosen.records():
            line = line_of(record)
            # Read again as an auditor will: what would not be accepted is not written.
            try:
                row = lines.record(line[:-1], self._count + 1)
                self._versions.add(row)
            except program.NotSo as e:
                raise CorruptJournal(record.position, e.reason) from e
            tree.add(record.position, row.digest)
            self._records.write(line)
            self._table.write(row.csv)
            self._count += 1
            if progress is not None and not self._count % 1_000:
                progress(record.position - chosen.after, chosen.until - chosen.after)
        tree.fill(chosen.head.size)
        if tree.root() != chosen.head.root:
            what = "the records do not give the root of the stored tree: eventstore verify names the first bad one"
            raise CorruptJournal(chosen.after + 1, what)

    def _node(self, level: int, number: int) -> bytes:
        found = self._chosen.tree.node(level, number)
        self._proof.write(found)
        return found

    def files(self) -> dict[str, IO[bytes] | bytes]:
        streams = "".join(self._versions.table()).encode()
        return {
            program.RECORDS: self._records,
            program.TABLE: self._table,
            program.STREAMS: streams,
            program.PROOF: self._proof,
        }

    def pack(self, path: Path, files: Mapping[str, IO[bytes] | bytes], signers: Sequence[PrivateKey]) -> Bundle:
        """Write the zip: all files, then the manifest that names them, signed if there are keys."""
        chosen = self._chosen
        manifest = chosen.manifest(self._count)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, allowZip64=False) as packed:
            manifest["files"] = {name: _put(packed, name, content) for name, content in sorted(files.items())}
            found = program.Manifest(_json(manifest))
            proved, missing = program.statements(found, len(self._versions))
            content = _json(manifest | {"proved": proved, "not_proved": missing})
            _put(packed, program.MANIFEST, content)
            if signers:
                text = program.manifest_text(chosen.head.origin, content)
                note = SignedNote(text, tuple([key.sign(text) for key in signers]))
                _put(packed, program.MANIFEST_NOTE, note.encoded())
        return Bundle(
            records=self._count,
            streams=len(self._versions),
            first=chosen.after + 1,
            last=chosen.until,
            size=chosen.head.size,
            is_signed=bool(signers) and bool(chosen.head.signatures),
            proved=tuple(proved),
            not_proved=tuple(missing),
        )


def _unnamed(stack: contextlib.ExitStack, folder: Path) -> IO[bytes]:
    return stack.enter_context(tempfile.TemporaryFile(dir=folder, buffering=_BUFFER))


def _put(packed: zipfile.ZipFile, name: str, content: IO[bytes] | bytes) -> dict[str, int | str]:
    """Write a file into the zip; return what the manifest states of it: size, SHA-256, that of its packed bytes."""
    info = zipfile.ZipInfo(name, _PACKED_AT)
    is_packed = name not in {program.MANIFEST, program.MANIFEST_NOTE}
    info.compress_type = zipfile.ZIP_DEFLATED if is_packed else zipfile.ZIP_STORED
    info.external_attr, info.create_system = 0o100600 << 16, 3
    found, size = hashlib.sha256(), 0
    if not isinstance(content, bytes):
        info.file_size = content.tell()
        content.seek(0)
    with packed.open(info, "w") as stream:
        for chunk in [content] if isinstance(content, bytes) else _chunks(content):
            stream.write(chunk)
            found.update(chunk)
            size += len(chunk)
    return {"bytes": size, "sha256": found.hexdigest(), "packed": _packed_hash(packed, info)}


def _packed_hash(packed: zipfile.ZipFile, info: zipfile.ZipInfo) -> str:
    """Return the SHA-256 of a file's packed bytes, read back: so no bit of the zip can change unnoticed."""
    file = packed.fp
    assert file is not None, "the zip is open"
    found, left = hashlib.sha256(), info.compress_size
    file.seek(packed.start_dir - left)
    while left:
        chunk = file.read(min(left, _BUFFER))
        found.update(chunk)
        left -= len(chunk)
    return found.hexdigest()


def _chunks(content: IO[bytes]) -> Iterable[bytes]:
    while chunk := content.read(_BUFFER):
        yield chunk


def _json(manifest: Mapping[str, Any]) -> bytes:
    return json.dumps(manifest, indent=1).encode() + b"\n"


@contextlib.contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except zipfile.LargeZipFile as e:
        msg = "a bundle has at most 4 GiB in a file: export a shorter time, or fewer accounts"
        raise InvalidEvent(msg) from e
    except OSError as e:
        kind = StorageFull if e.errno in {28, 122, 27} else Unavailable
        msg = f"the bundle {path} cannot be written ({e.strerror}): make room, or name another place"
        raise kind(msg) from e
