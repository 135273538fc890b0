"""Writing a bundle: records as JSON lines and CSV, one proof of all of them, and what verifies it, in one zip file."""

from __future__ import annotations

import contextlib
import json
import tempfile
import zipfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypedDict

import msgspec

from eventstore.arguments import filter_of, position_of
from eventstore.clock import SystemClock, format_time, to_ns
from eventstore.errors import CorruptJournal, InvalidEvent, StorageFull, TargetExists, Unavailable, shown
from eventstore.extras import DISTRIBUTION, version
from eventstore.files import make_directory, publish, temporary
from eventstore.locations import local_path
from eventstore.proofs.bundle import packing
from eventstore.proofs.lines import line_of
from eventstore.proofs.proving import checkpoint_text, tree_of, unsigned
from eventstore.proofs.signed_notes import SignedNote, base64_of
from eventstore.proofs.standalone import verify_bundle as program
from eventstore.readable import Readable
from eventstore.store import EventStore

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Unpack

    from eventstore.clock import Times
    from eventstore.journal import Query
    from eventstore.proofs.checkpoints import Checkpoint
    from eventstore.proofs.keys import PrivateKey, PublicKey
    from eventstore.proofs.stored_tree import StoredTree
    from eventstore.reader import EventReader, Types
    from eventstore.record import Record

    Progress = Callable[[int, int], None]
    Page = bytes | Callable[[], bytes]

README, PROGRAM = "README.txt", "verify_bundle.py"
OWN_FILES = frozenset({
    program.MANIFEST, program.MANIFEST_NOTE, program.RECORDS, program.TABLE, program.STREAMS, program.PROOF,
    program.CHECKPOINT, program.KEYS, README, PROGRAM,
})  # fmt: skip
_OF_RECORDS = (program.RECORDS, program.TABLE, program.STREAMS, program.PROOF)
_CHUNK = 1 << 18
"""How much of a bundle is yielded at once."""
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


class BundleOptions(TypedDict, total=False):
    """The keyword arguments of `write_bundle` that `stream_bundle` takes too."""

    checkpoint: Checkpoint | None
    signers: Sequence[PrivateKey]
    keys: Sequence[PublicKey]
    account: str | None
    types: Types | None
    after: int
    until: int | None
    start: Times | None
    stop: Times | None
    pages: Mapping[str, Page] | None
    progress: Progress | None


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
    pages: Mapping[str, Page] | None = None,
    progress: Progress | None = None,
) -> Bundle:
    """Write records with their proof into a new zip file, whole or not at all; arguments choose them as `read` does.

    Only records that the `checkpoint` covers are in it; without one it is the log as it is now, signed by nobody.
    `signers`, the log's keys, sign the manifest, so that nothing can be left out of the bundle; `keys` are public ones
    that go with it. `pages` are further files, by name, or what makes them. Raises TargetExists, InvalidEvent,
    CorruptJournal where a record does not have its digest, StorageFull and Unavailable.
    """
    path = local_path(target, "the bundle").absolute()
    if path.exists() or path.is_symlink():
        msg = f"{path} exists already: name a new place for the bundle"
        raise TargetExists(msg)
    store, after, until = _of_one_log(store, after, until)
    head = checkpoint or unsigned(store)
    chosen = _Chosen(store, head, filter_of(stream, account, types), (start, stop))
    chosen.bound(position_of("after", after), head.size if until is None else position_of("until", until))
    files = _files(head, signers, keys, pages)
    with _translated(path):
        make_directory(path.parent)
        with temporary(path) as whole:
            with contextlib.ExitStack() as stack:
                writer = _Writer(stack, chosen, whole.parent, progress)
                for _ in writer.pack(whole, files, signers):
                    pass
            publish(whole, path)
    return writer.bundle(signers)


def stream_bundle(
    store: EventReader,
    folder: str | os.PathLike[str],
    **options: Unpack[BundleOptions],
) -> Iterator[bytes]:
    """Yield the bytes of the bundle that `write_bundle` would write, each of its files as soon as it is packed.

    What is not sent yet lies in files of an own directory in `folder`, which is gone at the end. Arguments are checked
    at once. What is found to be wrong later is raised in the middle: only an iterator that ends has given a bundle.
    """
    store, after, until = _of_one_log(store, options.get("after", 0), options.get("until"))
    head = options.get("checkpoint") or unsigned(store)
    query = filter_of(None, options.get("account"), options.get("types"))
    chosen = _Chosen(store, head, query, (options.get("start"), options.get("stop")))
    chosen.bound(position_of("after", after), position_of("until", head.size if until is None else until))
    signers = options.get("signers", ())
    files = _files(head, signers, options.get("keys", ()), options.get("pages"))
    return _streamed(chosen, Path(folder), files, signers, options.get("progress"))


def _of_one_log(store: EventReader, after: int, until: int | None) -> tuple[EventReader, int, int | None]:
    """Return the log by itself, with the positions there; raise InvalidEvent where several would be in the bundle."""
    chain = store.chain if isinstance(store, EventStore) else None
    if chain is None or not isinstance(store, EventStore):
        return store, after, until
    offset, name = chain.offset, chain.continued.name
    if position_of("after", after) < offset:
        msg = (
            f"a bundle is of one log, and positions up to {offset:,} are in log {name}: give after {offset} for those "
            f"of log {store.log}, and for the others open a copy of log {name} that lies in a directory of its own"
        )
        raise InvalidEvent(msg)
    return store.alone(), after - offset, None if until is None else max(position_of("until", until) - offset, 0)


def _streamed(
    chosen: _Chosen,
    folder: Path,
    files: Mapping[str, Page],
    signers: Sequence[PrivateKey],
    progress: Progress | None,
) -> Iterator[bytes]:
    with (
        _translated(folder),
        tempfile.TemporaryDirectory(dir=folder, prefix="export-") as made,
        contextlib.ExitStack() as stack,
    ):
        whole, sent = Path(made, "bundle.zip"), 0
        for written in _Writer(stack, chosen, Path(made), progress).pack(whole, files, signers):
            with whole.open("rb") as packed:
                packed.seek(sent)
                while sent < written:
                    chunk = packed.read(min(written - sent, _CHUNK))
                    sent += len(chunk)
                    yield chunk


def _files(
    head: Checkpoint, signers: Sequence[PrivateKey], keys: Sequence[PublicKey], pages: Mapping[str, Page] | None
) -> dict[str, Page]:
    """Return the files of a bundle that are not made of its records."""
    more = dict(pages or {})
    _check_pages(more)
    return {**_own_files(head, [*(each.public for each in signers), *keys]), **more}


def _check_pages(pages: Mapping[str, Page]) -> None:
    names = {name.lower() for name in OWN_FILES}
    for name, content in pages.items():
        if type(name) is not str or not program.is_name(name) or name.lower() in names:
            msg = f"{shown(name)} cannot be a further file: a name of A-Z a-z 0-9 . _ - that the bundle does not use"
            raise InvalidEvent(msg)
        names.add(name.lower())
        if type(content) is not bytes and not callable(content):
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
        self.until = min(until, self.head.size)
        self.after = min(after, self.until)
        if self.start is not None:
            self.after = min(max(self.after, self.store.position_before(self.start)), self.until)
        if self.stop is not None:
            self.until = max(min(self.until, self.store.position_before(self.stop)), self.after)

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

    def __init__(self, stack: contextlib.ExitStack, chosen: _Chosen, folder: Path, progress: Progress | None) -> None:
        self._chosen, self._progress = chosen, progress
        self._records, self._table, self._proof = [_unnamed(stack, folder) for _ in range(3)]
        self._count = 0
        self._versions = program.StreamVersions(are_whole=chosen.query.types is None)
        self._is_filled = False
        self._proved: tuple[Sequence[str], Sequence[str]] = ((), ())

    def _fill(self) -> None:
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
            self._table.write(row.csv.encode())
            self._count += 1
            if self._progress is not None and not self._count % 1_000:
                self._progress(record.position - chosen.after, chosen.until - chosen.after)
        tree.fill(chosen.head.size)
        if tree.root() != chosen.head.root:
            what = "the records do not give the root of the stored tree: eventstore verify names the first bad one"
            raise CorruptJournal(chosen.after + 1, what)

    def _node(self, level: int, number: int) -> bytes:
        found = self._chosen.tree.node(level, number)
        self._proof.write(found)
        return found

    def _file(self, name: str) -> IO[bytes] | bytes:
        """Return one of the files that are made of the records, which are read once for all of them."""
        if not self._is_filled:
            self._fill()
            self._is_filled = True
        match name:
            case program.RECORDS:
                return self._records
            case program.TABLE:
                return self._table
            case program.PROOF:
                return self._proof
            case _:
                return "".join(self._versions.table()).encode()

    def pack(self, path: Path, files: Mapping[str, Page], signers: Sequence[PrivateKey]) -> Iterator[int]:
        """Write the zip: all files, then the manifest that names them, signed if there are keys.

        Yields how much of it is written and stays as it is, after each file.
        """
        chosen, stated = self._chosen, dict[str, dict[str, int | str]]()
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, allowZip64=False) as packed:
            for name in sorted({*files, *_OF_RECORDS}):
                found = files.get(name)
                content = self._file(name) if found is None else found() if callable(found) else found
                stated[name] = packing.put(packed, name, content)
                yield packing.written(packed)
            manifest = chosen.manifest(self._count) | {"files": stated}
            proved, missing = program.statements(program.Manifest(_json(manifest)), len(self._versions))
            self._proved = proved, missing
            text = _json(manifest | {"proved": proved, "not_proved": missing})
            packing.put(packed, program.MANIFEST, text)
            if signers:
                signed = program.manifest_text(chosen.head.origin, text)
                note = SignedNote(signed, tuple([key.sign(signed) for key in signers]))
                packing.put(packed, program.MANIFEST_NOTE, note.encoded())
        yield path.stat().st_size

    def bundle(self, signers: Sequence[PrivateKey]) -> Bundle:
        """Return what was packed."""
        chosen = self._chosen
        return Bundle(
            records=self._count,
            streams=len(self._versions),
            first=chosen.after + 1,
            last=chosen.until,
            size=chosen.head.size,
            is_signed=bool(signers) and bool(chosen.head.signatures),
            proved=tuple(self._proved[0]),
            not_proved=tuple(self._proved[1]),
        )


def _unnamed(stack: contextlib.ExitStack, folder: Path) -> IO[bytes]:
    return stack.enter_context(tempfile.TemporaryFile(dir=folder, buffering=packing.BUFFER))


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
