"""Bundles as they are written: what they hold, what they prove, and which are refused."""

import csv
import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typing_extensions import override

from eventstore import CorruptJournal, InvalidEvent, TargetExists
from eventstore.proofs import Checkpoint, verify_bundle, write_bundle
from eventstore.proofs.bundle import writing
from eventstore.proofs.keys import COSIGNATURE_V1, PrivateKey
from eventstore.proofs.standalone import verify_bundle as program
from eventstore.reader import EventReader
from eventstore.record import Record
from eventstore.testing import naive_digest
from eventstore.trading import Marked, OrderFilled
from tests.proofs.bundled import AT, FORMULAS, SECOND, Desk, record_of, seed

CHOSEN: dict[str, dict[str, Any]] = {
    "the whole log": {},
    "an account": {"account": "ACC1"},
    "a type": {"types": OrderFilled},
    "types of an account": {"account": "ACC2", "types": ["OrderFilled", "Marked"]},
    "a stream": {"stream": "order/ACC1/O-7"},
    "streams": {"stream": "mark/ACC0/"},
    "positions": {"after": 17, "until": 90},
    "one position": {"after": 17, "until": 18},
    "a time": {"start": AT + 10 * SECOND, "stop": AT + 20 * SECOND},
    "an account and a time": {"account": "ACC1", "start": AT + 10 * SECOND},
    "a time without records": {"start": AT + 5_000 * SECOND},
    "an account that nobody has": {"account": "NOBODY"},
    "nothing at all": {"after": 5_000},
}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    made = Desk(tmp_path_factory.mktemp("desk"))
    with made.store:
        yield made


@pytest.mark.parametrize("chosen", CHOSEN.values(), ids=CHOSEN)
def test_a_bundle_has_what_was_asked_for_and_proves_it(desk: Desk, tmp_path: Path, chosen: dict[str, Any]) -> None:
    written = desk.bundle(tmp_path / "b.zip", **chosen)
    found = desk.verify(tmp_path / "b.zip")
    assert (found.ok, found.status, found.reason, found.unknown) == (True, 0, "", ())
    expected = list(desk.store.read(**chosen))
    assert written.records == found.records == len(expected)
    assert (written.proved, written.not_proved) == (found.proved, found.not_proved)
    assert written.is_signed
    assert [json.loads(line)["position"] for line in part(tmp_path / "b.zip", program.RECORDS).splitlines()] == [
        record.position for record in expected
    ]


def part(path: Path, name: str) -> str:
    with zipfile.ZipFile(path) as packed:
        return packed.read(name).decode()


def test_a_line_has_all_that_was_hashed(desk: Desk, tmp_path: Path) -> None:
    desk.bundle(tmp_path / "b.zip")
    lines = part(tmp_path / "b.zip", program.RECORDS).split("\n")[:-1]
    for line, record in zip(lines, desk.store.read(), strict=True):
        again = record_of(line.encode())
        assert again == record
        assert naive_digest(desk.store.log_id, again) == record.digest


def test_the_table_has_the_same_and_no_formulas(desk: Desk, tmp_path: Path) -> None:
    desk.bundle(tmp_path / "b.zip")
    text = part(tmp_path / "b.zip", program.TABLE)
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert len(rows) == desk.store.head()
    for row, record in zip(rows, desk.store.read(), strict=True):
        assert (int(row["position"]), row["stream"], row["account"]) == (record.position, record.stream, record.account)
        assert row["data"] == record.data.decode()
        shown = row["note"]
        assert shown in {record.note, f"'{record.note}"} or "'" in shown
        for value in row.values():
            for piece in re.split(r"[;|\t\r\n]", value):
                assert piece.lstrip(' "')[:1] not in {"=", "+", "@", "-", "\uff1d"}


@pytest.mark.parametrize("text", FORMULAS, ids=ascii)
def test_a_cell_holds_no_formula_and_stays_one_text(text: str) -> None:
    [[found]] = csv.reader(io.StringIO(program.cell(text), newline=""))
    assert found.replace("'", "") == text.replace("'", "")
    assert found[:1] not in {"=", "+", "-", "@", "\t", "\r", "\uff1d"}
    others = {program.cell(other) for other in FORMULAS if other != text}
    assert program.cell(text) not in others


def test_a_cell_of_many_separators_takes_no_time() -> None:
    for sign in ("\n", ";", "\t", " ", "'", '"', "; "):
        assert program.cell(sign * 30_000 + "x").endswith('x"')


def test_nothing_is_proved_without_the_right_key(desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "b.zip"
    desk.bundle(path)
    other = PrivateKey.generate(desk.key.public.name, seed(2)).public
    found = verify_bundle(path)
    assert (found.ok, found.status) == (None, 2)
    assert "who signed" in found.unknown[0]
    assert "by the key that the bundle itself brings" in found.signed[0]
    found = verify_bundle(path, key=other)
    assert (found.ok, found.reason) == (False, f"checkpoint.txt is not signed by a key given for {other.name!r}")
    renamed = PrivateKey.generate("desk.example/log", seed(1)).public
    assert verify_bundle(path, key=renamed).ok is False
    assert verify_bundle(path, key=[other, desk.key.public]).ok
    for wrong in ("", "x", "a+b+c", desk.key.public.text[:-2], str(tmp_path / "missing")):
        found = verify_bundle(path, key=wrong)
        assert (found.ok, found.records) == (None, 0), wrong


def test_a_key_may_be_in_a_file(desk: Desk, tmp_path: Path) -> None:
    desk.bundle(tmp_path / "b.zip")
    (tmp_path / "key.txt").write_text(desk.key.public.text + "\n")
    assert verify_bundle(tmp_path / "b.zip", key=str(tmp_path / "key.txt")).ok


def test_without_signatures_it_cannot_tell(desk: Desk, tmp_path: Path) -> None:
    unsigned = Checkpoint(desk.checkpoint.origin, desk.checkpoint.size, desk.checkpoint.root)
    cases: dict[str, dict[str, Any]] = {
        "no checkpoint": {"checkpoint": None, "signers": []},
        "unsigned": {"checkpoint": unsigned, "signers": [desk.key]},
        "unsigned manifest": {"signers": []},
    }
    for name, given in cases.items():
        path = tmp_path / f"{name}.zip"
        assert not desk.bundle(path, **given).is_signed
        found = desk.verify(path)
        assert (found.ok, found.reason) == (None, ""), name
        assert found.unknown


def test_a_witness_that_was_asked_for_must_have_signed(desk: Desk, tmp_path: Path) -> None:
    witness = PrivateKey.generate("witness.example/w1", seed(3), kind=COSIGNATURE_V1)
    signed = desk.checkpoint.with_signatures([witness.sign(desk.checkpoint.body, at_seconds=1_753_200_000)])
    desk.bundle(tmp_path / "b.zip", checkpoint=signed)
    found = verify_bundle(tmp_path / "b.zip", key=desk.key.public, witness=witness.public)
    assert found.ok
    assert "witnessed by witness.example/w1 at 2025-07-22T16:00:00.000000000Z" in found.signed
    desk.bundle(tmp_path / "none.zip")
    found = verify_bundle(tmp_path / "none.zip", key=desk.key.public, witness=witness.public)
    assert (found.ok, found.unknown) == (None, ("witness 'witness.example/w1' has not signed the checkpoint",))


def test_the_log_can_be_pinned_by_its_id(desk: Desk, tmp_path: Path) -> None:
    desk.bundle(tmp_path / "b.zip")
    for given in (desk.store.log_id, desk.store.log_id.hex(), desk.store.log_id.hex().upper()):
        assert verify_bundle(tmp_path / "b.zip", key=desk.key.public, log_id=given).ok
    assert verify_bundle(tmp_path / "b.zip", key=desk.key.public, log_id=bytes(16)).ok is False


def test_only_what_the_checkpoint_covers_is_in_it(desk: Desk, tmp_path: Path) -> None:
    for size in (0, 1, 5, 100):
        path = tmp_path / f"{size}.zip"
        written = desk.bundle(path, checkpoint=desk.signed(size))
        assert (written.records, written.last, written.size) == (size, size, size)
        assert desk.verify(path).ok


def test_further_files_go_with_it_and_are_signed(desk: Desk, tmp_path: Path) -> None:
    pages = {"timeline.html": b"<p>day</p>", "day.pdf": b""}
    desk.bundle(tmp_path / "b.zip", pages=pages)
    assert desk.verify(tmp_path / "b.zip").ok
    assert part(tmp_path / "b.zip", "timeline.html") == "<p>day</p>"


@pytest.mark.parametrize(
    "name", ["", "../x", "a/b", ".x", "key.txt", "KEY.TXT", "manifest.json", "x" * 101, "ü", 5, "a b"]
)
def test_a_further_file_has_a_plain_name_of_its_own(desk: Desk, tmp_path: Path, name: Any) -> None:  # noqa: ANN401 - anything
    with pytest.raises(InvalidEvent, match="cannot be a further file"):
        desk.bundle(tmp_path / "b.zip", pages={name: b""})
    assert not (tmp_path / "b.zip").exists()


def test_nothing_is_overwritten_and_nothing_left_behind(desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "b.zip"
    path.write_bytes(b"mine")
    with pytest.raises(TargetExists):
        desk.bundle(path)
    assert path.read_bytes() == b"mine"
    with pytest.raises(InvalidEvent, match="did not have the checkpoint's root"):
        desk.bundle(tmp_path / "c.zip", checkpoint=Checkpoint("x", 5, bytes(32)))
    with pytest.raises(InvalidEvent, match="its tail is lost"):
        desk.bundle(tmp_path / "c.zip", checkpoint=Checkpoint("x", 5_000, bytes(32)))
    assert sorted(each.name for each in tmp_path.iterdir()) == ["b.zip"]


def test_a_changed_record_is_not_exported(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Changed(EventReader):
        @override
        def read(self, **options: Any) -> Iterator[Record]:
            for record in super().read(**options):
                yield msgspec.structs.replace(record, note="x") if record.position == 7 else record

    reader = Changed(desk.store._journal)
    with pytest.raises(CorruptJournal) as e:
        write_bundle(reader, tmp_path / "b.zip", checkpoint=desk.checkpoint)
    assert e.value.position == 7
    assert list(tmp_path.iterdir()) == []


def test_a_reader_without_a_tree_gives_the_same_bundle(desk: Desk, tmp_path: Path) -> None:
    for name, store in {"store": desk.store, "reader": EventReader(desk.store._journal)}.items():
        write_bundle(store, tmp_path / name, checkpoint=desk.checkpoint, signers=[desk.key], account="ACC1")
    first, second = ((tmp_path / name) for name in ("store", "reader"))
    with zipfile.ZipFile(first) as one, zipfile.ZipFile(second) as other:
        assert [one.read(name) for name in one.namelist() if name != program.MANIFEST_NOTE][:-1] == [
            other.read(name) for name in other.namelist() if name != program.MANIFEST_NOTE
        ][:-1]


def test_it_carries_the_program_and_says_how_to_run_it(desk: Desk, tmp_path: Path) -> None:
    desk.bundle(tmp_path / "b.zip")
    assert part(tmp_path / "b.zip", writing.PROGRAM) == Path(program.__file__).read_text("utf-8")
    assert "python verify_bundle.py" in part(tmp_path / "b.zip", writing.README)
    assert part(tmp_path / "b.zip", program.KEYS) == desk.key.public.text + "\n"


def test_data_that_is_not_one_plain_object_is_written_as_text(tmp_path: Path) -> None:
    # No store writes such data; a log that has it is still provable, and no reader of JSON takes it for something else.
    for data in (
        b'{"a":1,\n"b":2}',
        b'{"a":1,"a":2}',
        b"[1]",
        b'{"a":NaN}',
        b'{"a":1},"note":"x","z":{}',
        b"5",
        b"",
        b"{",
    ):
        line = program.json_line(
            (1, 1, 1, AT, AT), ("mark/-/x", "Marked", "a", ""), (str_id(), None, None), bytes(32), data
        )
        members = json.loads(line)
        assert members["data"] == data.decode()
        assert members["note"] == ""
        assert b"\n" not in line[:-1]


def str_id() -> str:
    return "01a230a7-0d18-702a-b038-97cbe1b15d70"


def test_the_same_bundle_is_the_same_bytes(desk: Desk, tmp_path: Path) -> None:
    desk.bundle(tmp_path / "a.zip", account="ACC1")
    desk.bundle(tmp_path / "b.zip", account="ACC1")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_a_log_that_grows_meanwhile_changes_nothing(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    with desk.store:
        size = desk.store.head()
        desk.store.append("mark/-/later", Marked(name="later"))
        assert desk.bundle(tmp_path / "b.zip").records == size
        assert desk.verify(tmp_path / "b.zip").ok
