"""A log of three accounts with a signed checkpoint, bundles of it, and bundles that an attacker made of these."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

import eventstore
from eventstore import Batch, EventStore, ManualClock, Record
from eventstore.clock import parse_time
from eventstore.proofs import Bundle, CheckedBundle, Checkpoint, verify_bundle, write_bundle
from eventstore.proofs.bundle.packing import put
from eventstore.proofs.keys import PrivateKey
from eventstore.proofs.lines import line_of
from eventstore.proofs.proving import tree_of
from eventstore.proofs.signed_notes import SignedNote
from eventstore.proofs.signers import origin_of
from eventstore.proofs.standalone import verify_bundle as program
from eventstore.record import Digester
from eventstore.trading import Marked, OrderAccepted, OrderFilled, OrderSubmitted, Side

AT = 1_753_113_600_000_000_000
SECOND = 1_000_000_000
ORDERS = 40
FORMULAS = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "a;=1", 'a;"=1"', "'=1", "\uff1d1", "x\n=1", "ü", "\u202e=1", "")
"""Notes that a spreadsheet might run, or that steer what shows them."""


def seed(number: int) -> Callable[[int], bytes]:
    """Return a source of secrets that always gives the same, for keys that sign nothing but tests."""
    return lambda count: sha256(f"seed {number}".encode()).digest()[:count]


class Desk:
    """The log, its key, and its checkpoint."""

    def __init__(self, place: Path, *, number: int = 1, log_id: bytes | None = None) -> None:
        self.place, self.clock = place, ManualClock(AT)
        self.store: EventStore = eventstore.open(place / "data", clock=self.clock)
        for order in range(ORDERS):
            self._trade(order, f"ACC{order % 3}")
        self.key = PrivateKey.generate(origin_of("main", self.store.log_id), seed(number))
        self.checkpoint = self.signed()

    def _trade(self, order: int, account: str) -> None:
        self.clock.advance(SECOND)
        note = FORMULAS[order % len(FORMULAS)]
        submitted = OrderSubmitted(symbol="ESZ5", side=Side.BUY, quantity=Decimal(2))
        filled = OrderFilled(
            trade_id=f"T-{order}", symbol="ESZ5", side=Side.BUY, quantity=Decimal(2), price=Decimal("5312.25")
        )
        stream = f"order/{account}/O-{order}"
        [first, _] = self.store.append(stream, [submitted, OrderAccepted(broker_order_id=f"B-{order}")], note=note)
        self.store.append_many(
            [
                Batch(stream, filled, key=f"exec-{order}", causation_id=first.id, correlation_id=first.id),
                Batch(f"mark/{account}/{order}", Marked(name=f"order {order}"), actor="desk"),
            ]
        )

    def signed(self, size: int | None = None, key: PrivateKey | None = None) -> Checkpoint:
        """Return a checkpoint of the log, signed by its key."""
        size, root = self.store.root(size)
        made = Checkpoint(self.key.public.name, size, root, ("first 1",))
        return made.with_signatures([(key or self.key).sign(made.body)])

    def bundle(self, path: Path, **chosen: Any) -> Bundle:  # noqa: ANN401 - what write_bundle takes
        given: dict[str, Any] = {"checkpoint": self.checkpoint, "signers": [self.key]} | chosen
        return write_bundle(self.store, path, **given)

    def verify(self, path: Path) -> CheckedBundle:
        return verify_bundle(path, key=self.key.public)


@dataclass
class Forgery:
    """The parts of a bundle, to be altered and packed again as if nothing had happened."""

    desk: Desk
    parts: dict[str, bytes]
    manifest: dict[str, Any] = field(default_factory=dict)
    restated: bool = True
    """Whether what the manifest says is proved is made to fit."""

    @classmethod
    def of(cls, desk: Desk, path: Path) -> Forgery:
        with zipfile.ZipFile(path) as packed:
            parts = {name: packed.read(name) for name in packed.namelist()}
        manifest = json.loads(parts.pop(program.MANIFEST))
        parts.pop(program.MANIFEST_NOTE, None)
        return cls(desk, parts, manifest)

    @property
    def lines(self) -> list[bytes]:
        return self.parts[program.RECORDS].split(b"\n")[:-1]

    def set_lines(self, lines: Sequence[bytes]) -> None:
        """Replace the records; table, streams and proof are made to fit as far as they can be."""
        self.parts[program.RECORDS] = b"".join([line + b"\n" for line in lines])
        self.manifest["records"] = len(lines)
        rows = list[program.Row]()
        reader = program.Lines(bytes.fromhex(self.manifest["log_id"]))
        for number, line in enumerate(lines, 1):
            try:
                rows.append(reader.record(line, number))
            except program.NotSo:
                return
        self.parts[program.TABLE] = program.TABLE_HEAD + "".join([row.csv for row in rows]).encode()
        self._set_streams(rows)
        self._set_proof(rows)

    def _set_streams(self, rows: Sequence[program.Row]) -> None:
        versions = program.StreamVersions(are_whole=False)
        for row in rows:
            try:
                versions.add(row)
            except program.NotSo:
                return
        self.parts[program.STREAMS] = "".join(versions.table()).encode()

    def _set_proof(self, rows: Sequence[program.Row]) -> None:
        honest, nodes = tree_of(self.desk.store, self.desk.checkpoint), list[bytes]()

        def node(level: int, number: int) -> bytes:
            nodes.append(honest.node(level, number))
            return nodes[-1]

        tree = program.PartialTree(node)
        for row in rows:
            if tree.size < row.position <= honest.size:
                tree.add(row.position, row.digest)
        tree.fill(honest.size)
        self.parts[program.PROOF] = b"".join(nodes)

    def save(self, path: Path, signer: PrivateKey | None, *, raw_manifest: bytes | None = None) -> Path:
        """Pack the parts as a bundle is packed, with a manifest that fits them, signed if there is a key."""
        with zipfile.ZipFile(path, "w", allowZip64=False) as packed:
            files = {name: put(packed, name, content) for name, content in sorted(self.parts.items())}
            manifest = self.manifest | {"files": files | self.manifest.get("stated", {})}
            manifest.pop("stated", None)
            content = json.dumps(manifest, indent=1).encode() + b"\n"
            if self.restated:
                found = program.Manifest(content)
                streams = len(self.parts[program.STREAMS].split(b"\r\n")) - 2
                proved, missing = program.statements(found, streams)
                content = json.dumps(manifest | {"proved": proved, "not_proved": missing}, indent=1).encode() + b"\n"
            content = content if raw_manifest is None else raw_manifest
            put(packed, program.MANIFEST, content)
            if signer is not None:
                text = program.manifest_text(self.desk.key.public.name, content)
                put(packed, program.MANIFEST_NOTE, SignedNote(text, (signer.sign(text),)).encoded())
        return path


def record_of(line: bytes) -> Record:
    """Return the record that a line of JSON has, read without this project's reader of bundles."""
    members = json.loads(line)
    stored = line[line.index(b',"data":') + len(b',"data":') : line.rindex(b"}")]
    ids = [
        bytes.fromhex((members[name] or "").replace("-", "")) or None
        for name in ("id", "correlation_id", "causation_id")
    ]
    return Record(
        id=ids[0] or b"",
        stream=members["stream"],
        type=members["type"],
        schema=members["schema"],
        occurred_at=parse_time(members["occurred_at"]),
        data=stored,
        actor=members["actor"],
        note=members["note"],
        correlation_id=ids[1],
        causation_id=ids[2],
        position=members["position"],
        version=members["version"],
        recorded_at=parse_time(members["recorded_at"]),
        digest=bytes.fromhex(members["digest"]),
        log="main",
    )


def rehashed(line: bytes, log_id: bytes, **members: Any) -> bytes:  # noqa: ANN401 - members of a record
    """Return a record's line with other members, and the digest that these have."""
    changed = msgspec.structs.replace(record_of(line), **members)
    return line_of(msgspec.structs.replace(changed, digest=Digester(log_id).digest(changed)))[:-1]
