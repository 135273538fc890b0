"""False bundles: whatever was altered, left out or put together from others is found, also where the manifest fits."""

import base64
import json
import random
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from eventstore.proofs import verify_bundle
from eventstore.proofs.keys import PrivateKey
from eventstore.proofs.standalone import verify_bundle as program
from tests.proofs.bundled import AT, SECOND, Desk, Forgery, rehashed, seed
from tests.proving import rounds

CHANGED = 13
"""The line that is altered, counted from 0."""
WHOLE, ACCOUNT, FILLS = "whole", "account", "fills"

Alter = Callable[[Forgery], None]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    made = Desk(tmp_path_factory.mktemp("desk"))
    with made.store:
        made.bundle(made.place / "whole.zip", pages={"timeline.html": b"<p>day</p>"})
        made.bundle(made.place / "account.zip", account="ACC1")
        made.bundle(made.place / "fills.zip", types="OrderFilled")
        yield made


def line(change: Callable[[bytes], bytes], at: int = CHANGED) -> Alter:
    """Alter one line."""

    def alter(forgery: Forgery) -> None:
        lines = forgery.lines
        changed = change(lines[at])
        assert changed != lines[at], lines[at]
        lines[at] = changed
        forgery.set_lines(lines)

    return alter


def text(old: str, new: str) -> Alter:
    return line(lambda content: content.replace(old.encode(), new.encode(), 1))


def members(**changed: Any) -> Alter:  # noqa: ANN401 - members of a record
    """Alter a record, and give it the digest of what it says then."""
    return lambda forgery: line(lambda content: rehashed(content, forgery.desk.store.log_id, **changed))(forgery)


def lines(change: Callable[[list[bytes]], list[bytes]]) -> Alter:
    return lambda forgery: forgery.set_lines(change(forgery.lines))


def part(name: str, change: Callable[[bytes], bytes]) -> Alter:
    """Alter a file; what the manifest says of it fits."""

    def alter(forgery: Forgery) -> None:
        changed = change(forgery.parts[name])
        assert changed != forgery.parts[name]
        forgery.parts[name] = changed

    return alter


def stated(**changed: Any) -> Alter:  # noqa: ANN401 - what a manifest has
    def alter(forgery: Forgery) -> None:
        forgery.manifest |= changed

    return alter


def query(**changed: Any) -> Alter:  # noqa: ANN401 - what a manifest has
    def alter(forgery: Forgery) -> None:
        forgery.manifest["query"] |= changed

    return alter


def swapped(content: bytes, first: int, second: int, width: int = 32) -> bytes:
    pieces = [content[at : at + width] for at in range(0, len(content), width)]
    pieces[first], pieces[second] = pieces[second], pieces[first]
    return b"".join(pieces)


# Which bundle, what is altered, and the position that is named, None where it belongs to none or to several.
RECORDS: dict[str, tuple[str, Alter, int | None]] = {
    "a price": (WHOLE, line(lambda each: each.replace(b"5312.25", b"5312.50"), 2), 3),
    "a price, hashed again": (WHOLE, members(data=b'{"price":"1"}'), None),
    "an actor": (WHOLE, members(actor="mallory"), None),
    "a time of recording": (WHOLE, members(recorded_at=AT + 5 * SECOND + 7), None),
    "a time of recording that goes back": (WHOLE, members(recorded_at=AT), CHANGED + 1),
    "a time of occurrence": (WHOLE, members(occurred_at=AT), None),
    "a version": (WHOLE, members(version=7), CHANGED + 1),
    "no version": (WHOLE, members(version=0), CHANGED + 1),
    "a stream": (WHOLE, members(stream="order/ACC1/new"), None),
    "an account of another": (ACCOUNT, members(stream="order/ACC2/new", version=1), None),
    "an id": (WHOLE, members(id=bytes(16)), None),
    "a cause": (WHOLE, members(causation_id=bytes(16)), None),
    "a position": (WHOLE, members(position=CHANGED + 2), CHANGED + 1),
    "a position past the log": (ACCOUNT, members(position=5_000), 5_000),
    "a digest": (WHOLE, line(lambda each: each.replace(b'"digest":"', b'"digest":"0')), CHANGED + 1),
    "a record twice": (WHOLE, lines(lambda each: [*each[:5], each[4], *each[5:]]), 5),
    "two records exchanged": (WHOLE, lines(lambda each: [*each[:5], each[6], each[5], *each[7:]]), 6),
    "a record left out of the whole": (WHOLE, lines(lambda each: [*each[:5], *each[6:]]), 6),
    "the first left out of the whole": (WHOLE, lines(lambda each: each[1:]), 1),
    "the last left out of the whole": (WHOLE, lines(lambda each: each[:-1]), 160),
    "all left out of the whole": (WHOLE, lines(lambda _: []), 1),
    "one left out of a stream": (ACCOUNT, lines(lambda each: [*each[:1], *each[2:]]), 7),
    "a record of no question": (ACCOUNT, query(account="ACC2"), 5),
    "another account's name": (ACCOUNT, query(account="ACC1 "), 5),
    "the question widened": (ACCOUNT, query(account=None), 1),
    "the types widened": (FILLS, query(types=None), 1),
    "the types widened for an account": (FILLS, query(types=None, account="ACC0"), None),
    "a later start": (ACCOUNT, query(start="2025-07-21T16:00:10.000000000Z"), 5),
    "an earlier stop": (ACCOUNT, query(stop="2025-07-21T16:00:10.000000000Z"), None),
    "another stream asked for": (ACCOUNT, query(stream="order/ACC1/"), 8),
    "more positions": (WHOLE, stated(first=1, last=200), None),
    "fewer positions": (WHOLE, stated(last=159), 160),
    "another log's id": (WHOLE, stated(log_id="00" * 16), None),
    "more records stated": (ACCOUNT, stated(records=53), None),
}
SPELLED: dict[str, Alter] = {
    "a number with a zero": text('"position":14', '"position":014'),
    "a number with a sign": text('"position":14', '"position":+14'),
    "a number as a float": text('"position":14', '"position":14.0'),
    "a number with a power": text('"version":', '"version":1e0'),
    "a number as text": text('"position":14', '"position":"14"'),
    "a number of other digits": text('"position":14', '"position":\u0661\u0664'),
    "a blank": text(',"stream"', ', "stream"'),
    "a blank at the end": line(lambda each: each + b" "),
    "a carriage return": line(lambda each: each + b"\r"),
    "a mark of byte order": line(lambda each: b"\xef\xbb\xbf" + each),
    "an escape that is not needed": text('"order/', '"\\u006frder/'),
    "an escaped slash": text('"order/', '"order\\/'),
    "an escape in capitals": line(lambda each: each.replace(b"\\u00fc", b"\\u00FC"), 40),
    "a sign instead of its escape": line(lambda each: each.replace(b"\\u00fc", "ü".encode()), 40),
    "an id without hyphens": line(lambda each: each.replace(b"-", b"", 1) if b'"id"' in each else each),
    "a time with another zone": text("Z", "+00:00"),
    "a time with fewer digits": line(lambda each: each.replace(b"000000000Z", b"Z", 1).replace(b"Z", b".0Z", 1)),
    "a day that no calendar has": text("2025-07-21T", "2025-02-30T"),
    "an hour that no day has": line(lambda each: each[:36] + b"T24" + each[39:]),
    "a member twice": text(',"stream"', ',"position":14,"stream"'),
    "a further member": text(',"stream"', ',"x":1,"stream"'),
    "a member at the end": line(lambda each: each[:-1] + b',"note":"x"}'),
    "data with a name twice": line(lambda each: each.replace(b'"data":{', b'"data":{"side":"SELL",')),
    "data with a constant": line(lambda each: each.replace(b'"data":{', b'"data":{"x":NaN,')),
    "data that ends early": line(lambda each: each[:-2] + b"}"),
    "data as text": line(lambda each: each[: each.index(b'"data":') + 7] + b'"x"}'),
    "data of two objects": line(lambda each: each[:-1] + b"{}}"),
    "bytes that are not UTF-8": line(lambda each: each.replace(b'"data":{', b'"data":{"\xff":1,')),
    "half a pair": text('"actor":"', '"actor":"\\ud800'),
    "a NUL": text('"actor":"', '"actor":"\\u0000'),
    "nothing": line(lambda _: b""),
    "another thing": line(lambda _: b"[]"),
}


def upper_id(content: bytes) -> bytes:
    at = content.index(b'"id":"') + 6
    return content[:at] + content[at : at + 36].upper() + content[at + 36 :]


SPELLED["an id in capitals"] = line(upper_id)
SPELLED["members exchanged"] = line(
    lambda each: each.replace(b',"schema":1', b"").replace(b',"note"', b',"schema":1,"note"')
)
OTHERS: dict[str, Alter] = {
    "another table": part(program.TABLE, lambda each: each.replace(b"5312.25", b"5312.50", 1)),
    "a formula in the table": part(program.TABLE, lambda each: each.replace(b'"\'=1+1"', b'"=1+1"', 1)),
    "a row less": part(program.TABLE, lambda each: each[: each[:-2].rindex(b"\r\n") + 2]),
    "a row more": part(program.TABLE, lambda each: each + b"161\r\n"),
    "columns renamed": part(
        program.TABLE, lambda each: each.replace(b"recorded_at,occurred_at", b"occurred_at,recorded_at")
    ),
    "other ends of lines": part(program.TABLE, lambda each: each.replace(b"\r\n", b"\n")),
    "other versions": part(program.STREAMS, lambda each: each.replace(b",yes\r\n", b",no\r\n", 1)),
    "a stream more": part(program.STREAMS, lambda each: each + b'"order/ACC1/x",1,1,1,yes\r\n'),
    "a hash less": part(program.PROOF, lambda each: each[:-32]),
    "a hash more": part(program.PROOF, lambda each: each + bytes(32)),
    "half a hash": part(program.PROOF, lambda each: each[:-16]),
    "hashes exchanged": part(program.PROOF, lambda each: swapped(each, 0, 1)),
    "a bit of a hash": part(program.PROOF, lambda each: bytes([each[0] ^ 1]) + each[1:]),
    "no last line's end": part(program.RECORDS, lambda each: each[:-1]),
    "a line more": part(program.RECORDS, lambda each: each + b"\n"),
    "an endless line": part(program.RECORDS, lambda each: each + b'{"position":' + b"1" * 3_000_000),
}


def outcome(desk: Desk, forgery: Forgery, path: Path, signer: PrivateKey | None) -> Any:  # noqa: ANN401 - as it is
    return desk.verify(forgery.save(path, signer))


@pytest.mark.parametrize("name", RECORDS)
def test_an_altered_record_is_found_though_the_logs_key_signed_the_manifest(
    desk: Desk, tmp_path: Path, name: str
) -> None:
    which, alter, position = RECORDS[name]
    forgery = Forgery.of(desk, desk.place / f"{which}.zip")
    alter(forgery)
    found = outcome(desk, forgery, tmp_path / "b.zip", desk.key)
    assert found.ok is False, found
    assert position is None or found.position == position, found.reason


@pytest.mark.parametrize("name", SPELLED)
def test_a_record_is_spelled_in_one_way(desk: Desk, tmp_path: Path, name: str) -> None:
    forgery = Forgery.of(desk, desk.place / "whole.zip")
    SPELLED[name](forgery)
    found = outcome(desk, forgery, tmp_path / "b.zip", desk.key)
    assert found.ok is False, found
    assert f"line {CHANGED + 1} of records.jsonl" in found.reason or found.position or "41" in found.reason


@pytest.mark.parametrize("name", OTHERS)
def test_another_file_is_found_though_the_logs_key_signed_the_manifest(desk: Desk, tmp_path: Path, name: str) -> None:
    which = "account" if "hash" in name else "whole"
    forgery = Forgery.of(desk, desk.place / f"{which}.zip")
    OTHERS[name](forgery)
    assert outcome(desk, forgery, tmp_path / "b.zip", desk.key).ok is False


def test_an_honest_bundle_packed_again_is_still_good(desk: Desk, tmp_path: Path) -> None:
    for which in (WHOLE, ACCOUNT, FILLS):
        forgery = Forgery.of(desk, desk.place / f"{which}.zip")
        forgery.set_lines(forgery.lines)
        assert outcome(desk, forgery, tmp_path / f"{which}.zip", desk.key).ok


def test_what_only_the_signature_of_the_manifest_shows(desk: Desk, tmp_path: Path) -> None:
    """The first or last record of a stream, left out with a proof that fits: the log's key vouches for that alone."""
    other = PrivateKey.generate(desk.key.public.name, seed(9))
    for kept in (slice(1, None), slice(None, -1), slice(4, None)):
        forgery = Forgery.of(desk, desk.place / "account.zip")
        forgery.set_lines(forgery.lines[kept])
        unsigned = outcome(desk, forgery, tmp_path / "unsigned.zip", None)
        assert (unsigned.ok, unsigned.reason) == (None, "")
        assert "whether records were left out" in unsigned.unknown[0]
        assert outcome(desk, forgery, tmp_path / "other.zip", other).ok is False
        for path in tmp_path.iterdir():
            path.unlink()


def test_the_manifests_own_signature_is_not_moved_to_another(desk: Desk, tmp_path: Path) -> None:
    with zipfile.ZipFile(desk.place / "account.zip") as packed:
        note = packed.read(program.MANIFEST_NOTE)
    forgery = Forgery.of(desk, desk.place / "account.zip")
    forgery.set_lines(forgery.lines[:-1])
    forgery.save(tmp_path / "b.zip", None)
    with zipfile.ZipFile(tmp_path / "b.zip", "a") as packed:
        info = zipfile.ZipInfo(program.MANIFEST_NOTE, (1980, 1, 1, 0, 0, 0))
        info.external_attr, info.create_system = 0o100600 << 16, 3
        packed.writestr(info, note)
    found = desk.verify(tmp_path / "b.zip")
    assert (found.ok, found.reason) == (False, "manifest.note is of another manifest or another log")


def test_a_checkpoint_is_of_this_log_and_signed_by_its_key(desk: Desk, tmp_path: Path) -> None:
    other = PrivateKey.generate(desk.key.public.name, seed(9))
    whole = Forgery.of(desk, desk.place / "account.zip").parts[program.CHECKPOINT].decode()
    body, _, signatures = whole.partition("\n\n")
    name, encoded = signatures.split(" ")[1:]
    signed = base64.b64decode(encoded)
    later = (int.from_bytes(signed[36:], "little") + program.ORDER).to_bytes(32, "little")
    encoded_again = base64.b64encode(signed[:36] + later).decode()
    spare = encoded[:-3] + chr(ord(encoded[-3]) + 1) + encoded[-2:]
    forged = {
        "another key's signature": desk.signed(key=other).text,
        "an older one": desk.signed(100).text,
        "no extension": whole.replace("first 1\n", ""),
        "another size": whole.replace("\n160\n", "\n161\n"),
        "another origin": whole.replace(desk.checkpoint.origin, "example.com/log"),
        "a second form of the signature": f"{body}\n\n\N{EM DASH} {name} {encoded_again}\n",
        "spare bits of base64": f"{body}\n\n\N{EM DASH} {name} {spare}",
        "a signature that was cut": f"{body}\n\n\N{EM DASH} {name} {base64.b64encode(signed[:-1]).decode()}\n",
        "the end of the line": whole[:-1],
        "a carriage return": whole.replace("\n", "\r\n"),
        "a blank line": body + "\n\n" + whole,
        "not UTF-8": "\udcff" + whole,
        "nothing": "",
    }
    for what, content in forged.items():
        forgery = Forgery.of(desk, desk.place / "account.zip")
        forgery.parts[program.CHECKPOINT] = content.encode("utf-8", "surrogateescape")
        path = tmp_path / f"{what}.zip"
        assert outcome(desk, forgery, path, desk.key).ok is False, what
    for what, content in {"signature removed": body + "\n", "all signatures removed": body + "\n\n"}.items():
        forgery = Forgery.of(desk, desk.place / "account.zip")
        forgery.parts[program.CHECKPOINT] = content.encode()
        assert outcome(desk, forgery, tmp_path / f"{what}.zip", desk.key).ok is not True, what


def test_another_log_under_the_same_name_is_not_this_one(desk: Desk, tmp_path: Path) -> None:
    """Two honest logs spliced, and a forger's own log with a key of the same name."""
    other = Desk(tmp_path / "other", number=5)
    with other.store:
        other.bundle(tmp_path / "other.zip")
        assert other.verify(tmp_path / "other.zip").ok
        assert desk.verify(tmp_path / "other.zip").ok is False
        theirs = Forgery.of(other, tmp_path / "other.zip")
        mixed = Forgery.of(desk, desk.place / "whole.zip")
        whole = dict(mixed.parts)
        mixed.set_lines([*mixed.lines[:80], *theirs.lines[80:]])
        found = outcome(desk, mixed, tmp_path / "mixed.zip", desk.key)
        assert (found.ok, found.position) == (False, 81)
        for name in sorted(set(mixed.parts) & set(theirs.parts) - {"README.txt", "verify_bundle.py"}):
            mixed = Forgery.of(desk, desk.place / "whole.zip")
            mixed.parts[name] = theirs.parts[name]
            found = outcome(desk, mixed, tmp_path / f"{name}.zip", desk.key)
            # Whose key a bundle brings proves nothing, and is not asked.
            assert found.ok is (name == program.KEYS or mixed.parts[name] == whole[name]), name


MANIFESTS: dict[str, Callable[[dict[str, Any]], object]] = {
    "a list": lambda _: [],
    "nothing": lambda _: {},
    "a newer format": lambda each: each | {"format": "eventstore-bundle/2"},
    "another format": lambda each: each | {"format": "x"},
    "no query": lambda each: {name: value for name, value in each.items() if name != "query"},
    "a flag as a number": lambda each: each | {"records": True},
    "a number as text": lambda each: each | {"records": "160"},
    "a number with a point": lambda each: each | {"first": 1.0},
    "a large number": lambda each: each | {"last": 1 << 80},
    "a number below 0": lambda each: each | {"first": -1},
    "more proved": lambda each: each | {"proved": [*each["proved"], "the timeline is true"]},
    "less not proved": lambda each: each | {"not_proved": []},
    "another file": lambda each: each | {"files": each["files"] | {"x.html": each["files"]["README.txt"]}},
    "a file less": lambda each: (
        each | {"files": {name: value for name, value in each["files"].items() if name != "README.txt"}}
    ),
    "itself": lambda each: each | {"files": each["files"] | {"manifest.json": each["files"]["README.txt"]}},
    "a short log id": lambda each: each | {"log_id": "00"},
    "a time without digits": lambda each: each | {"query": each["query"] | {"start": "2025-07-21T16:00:00Z"}},
    "another packing": lambda each: (
        each | {"files": each["files"] | {"README.txt": each["files"]["README.txt"] | {"packed": "00" * 32}}}
    ),
}


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_manifest_says_what_is_so(desk: Desk, tmp_path: Path, name: str) -> None:
    forgery = Forgery.of(desk, desk.place / "account.zip")
    original = forgery.save(tmp_path / "a.zip", desk.key)
    with zipfile.ZipFile(original) as packed:
        manifest = json.loads(packed.read(program.MANIFEST))
    raw = json.dumps(MANIFESTS[name](manifest)).encode()
    found = desk.verify(forgery.save(tmp_path / "b.zip", desk.key, raw_manifest=raw))
    assert found.ok is (None if name == "a newer format" else False), found


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"\xff", b'{"a":1,"a":2}', b"[" * 100_000, b'{"a":NaN}', b"1" * 10_000], ids=str
)
def test_a_manifest_that_is_not_json_is_bad(desk: Desk, tmp_path: Path, raw: bytes) -> None:
    forgery = Forgery.of(desk, desk.place / "account.zip")
    assert desk.verify(forgery.save(tmp_path / "b.zip", desk.key, raw_manifest=raw)).ok is False


FLIPS = 20


def test_no_altered_byte_of_a_bundle_passes(desk: Desk, tmp_path: Path) -> None:
    for seed_ in rounds("altered bundles", test=2, prove=150):
        chance = random.Random(seed_)
        honest = (desk.place / chance.choice(["whole.zip", "account.zip", "fills.zip"])).read_bytes()
        for _ in range(FLIPS):
            content = altered(chance, honest)
            (tmp_path / "b.zip").write_bytes(content)
            found = verify_bundle(tmp_path / "b.zip", key=desk.key.public)
            assert found.ok is False or content == honest, (seed_, found)


def altered(chance: random.Random, honest: bytes) -> bytes:
    at = chance.randrange(len(honest))
    match chance.randrange(6):
        case 0:
            return honest[:at]
        case 1:
            return honest[:at] + honest[at + chance.randrange(1, 40) :]
        case 2:
            return honest[:at] + chance.randbytes(chance.randrange(1, 40)) + honest[at:]
        case 3:
            other = chance.randrange(len(honest) - 32)
            return honest[:at] + honest[other : other + 32] + honest[at + 32 :]
        case _:
            return honest[:at] + bytes([honest[at] ^ 1 << chance.randrange(8)]) + honest[at + 1 :]
