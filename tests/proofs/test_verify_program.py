"""The program that verifies bundles: alone, with the standard library, and its Ed25519 against others."""

import ast
import hashlib
import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from eventstore import InvalidNote
from eventstore.proofs import Checkpoint
from eventstore.proofs.keys import PrivateKey, PublicKey
from eventstore.proofs.signed_notes import base64_of
from eventstore.proofs.standalone import verify_bundle as program
from eventstore.testing import in_time
from tests.proofs import bundled
from tests.proofs.bundled import Desk
from tests.proving import rounds

PROGRAM = Path(program.__file__)
ROOT = Path(__file__).resolve().parents[2]

# RFC 8032, section 7.1: public key, message, signature.
VECTORS = {
    "TEST 1": (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
            "d25bf5f0595bbe24655141438e7a100b"
        ),
    ),
    "TEST 2": (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
            "387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
    "TEST 3": (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659"
            "4a7c15e9716ed28dc027beceea1ec40a"
        ),
    ),
    "TEST SHA(abc)": (
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        (
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd"
            "454d4423643ce80e2a9ac94fa54ca49f"
        ),
        (
            "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e030"
            "3dca179c138ac17ad9bef1177331a704"
        ),
    ),
}
# The eight points whose order divides eight, and other spellings of two of them.
SMALL = {
    "neutral": "01" + "00" * 31,
    "order 2": "ec" + "ff" * 30 + "7f",
    "order 4": "00" * 32,
    "order 4, negative": "00" * 31 + "80",
    "order 8": "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "order 8, negative": "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "order 8, other": "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "order 8, other, negative": "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "neutral, y + p": "ee" + "ff" * 30 + "7f",
    "order 4, y + p": "ed" + "ff" * 30 + "7f",
    "neutral with a sign": "01" + "00" * 30 + "80",
}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    made = Desk(tmp_path_factory.mktemp("desk"))
    with made.store:
        made.bundle(made.place / "b.zip", account="ACC1")
        yield made


@pytest.mark.parametrize("vector", VECTORS.values(), ids=VECTORS)
def test_signatures_are_those_of_the_rfc(vector: tuple[str, str, str]) -> None:
    key, message, signature = map(bytes.fromhex, vector)
    assert program.is_ed25519(key, message, signature)
    assert not program.is_ed25519(key, message + b"\0", signature)
    assert not program.is_ed25519(key, message, signature[:-1])
    assert not program.is_ed25519(key[:-1], message, signature)


def test_it_agrees_with_another_implementation() -> None:
    for seed in rounds("ed25519", test=4, prove=200):
        chance = random.Random(seed)
        private = Ed25519PrivateKey.from_private_bytes(chance.randbytes(32))
        key, message = private.public_key().public_bytes_raw(), chance.randbytes(chance.randrange(100))
        signature = private.sign(message)
        assert program.is_ed25519(key, message, signature)
        at = chance.randrange(512)
        changed = bytearray(signature)
        changed[at // 8] ^= 1 << at % 8
        assert program.is_ed25519(key, message, bytes(changed)) is is_theirs(key, message, bytes(changed)) is False
        other = bytearray(key)
        other[at // 16] ^= 1 << at % 8
        assert program.is_ed25519(bytes(other), message, signature) is False


def is_theirs(key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def test_a_signature_has_one_form() -> None:
    key, message, signature = map(bytes.fromhex, VECTORS["TEST 2"])
    scalar = int.from_bytes(signature[32:], "little")
    for more in range(1, 15):
        again = (scalar + more * program.ORDER).to_bytes(32, "little")
        assert not program.is_ed25519(key, message, signature[:32] + again)


@pytest.mark.parametrize("encoded", SMALL.values(), ids=SMALL)
def test_a_key_that_anybody_could_sign_for_is_refused(encoded: str) -> None:
    key = bytes.fromhex(encoded)
    content = b"\x01" + key
    id_ = hashlib.sha256(b"x\n" + content).hexdigest()[:8]
    with pytest.raises(InvalidNote):
        PublicKey.parse(f"x+{id_}+{base64_of(content)}")
    # With the neutral point as key, S·B = R for any message.
    for scalar in (0, 5):
        signature = program.bytes_of(program.times(scalar, program.BASE or ())) + scalar.to_bytes(32, "little")
        for number in range(8):
            assert not program.is_ed25519(key, b"%d" % number, signature)


def run(*arguments: object, cwd: Path) -> tuple[int, str, str]:
    """Run the program as an auditor does: Python alone, without this project or any other package."""
    command = [sys.executable, "-I", "-S", str(PROGRAM), *map(str, arguments)]
    ended = subprocess.run(
        command, cwd=cwd, env={"PATH": os.environ["PATH"]}, capture_output=True, check=False, timeout=120
    )
    return ended.returncode, ended.stdout.decode(), ended.stderr.decode()


def test_it_runs_alone_and_says_what_is_proved(desk: Desk, tmp_path: Path) -> None:
    bundle, key = desk.place / "b.zip", desk.key.public.text
    code, out, err = run(bundle, "--key", key, cwd=tmp_path)
    assert (code, err) == (0, "")
    assert out.endswith("good: 52 records\n")
    assert "not proved: that the facts are true" in out
    assert run(bundle, cwd=tmp_path)[0] == 2
    content = bytearray(bundle.read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "bad.zip").write_bytes(content)
    code, out, err = run(tmp_path / "bad.zip", "--key", key, cwd=tmp_path)
    assert (code, err) == (1, "")
    assert re.search("^bad", out, re.MULTILINE)
    assert run(tmp_path / "missing.zip", "--key", key, cwd=tmp_path)[0] == 2
    assert run(tmp_path, "--key", key, cwd=tmp_path)[0] == 2
    assert run(cwd=tmp_path)[0] == 2
    assert run(bundle, "--key", "x", cwd=tmp_path)[0] == 2


@pytest.mark.parametrize(
    "content", [b"", b"PK", b"PK\5\6" + bytes(18), b"x" * 1_000, b"PK\5\6" + b"\xff" * 18], ids=ascii
)
def test_what_is_not_a_bundle_is_bad(desk: Desk, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "b.zip").write_bytes(content)
    assert desk.verify(tmp_path / "b.zip").ok is False


def test_it_needs_the_standard_library_alone() -> None:
    tree = ast.parse(PROGRAM.read_text("utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names
    # What would run, write or ask for something else.
    assert not names & {
        "subprocess",
        "socket",
        "ctypes",
        "importlib",
        "pickle",
        "marshal",
        "shutil",
        "tempfile",
        "urllib",
    }


@pytest.mark.parametrize("place", ["docs/AUDIT.md", "CHANGELOG.md"])
def test_its_hash_is_printed(place: str) -> None:
    """An auditor compares the program with it. After a change of the program: print its new hash in both places."""
    digest = hashlib.sha256(PROGRAM.read_bytes()).hexdigest()
    assert digest in (ROOT / place).read_text("utf-8"), f"{place} does not name {digest}"


def test_it_says_nothing_that_a_terminal_obeys(desk: Desk, tmp_path: Path) -> None:
    name = tmp_path / "x\x1b]0;x\x07.zip"
    code, out, _ = run(name, "--key", desk.key.public.text, cwd=tmp_path)
    assert code == 2
    assert all(" " <= sign <= "~" or sign == "\n" for sign in out)


def test_no_module_beside_it_is_imported(desk: Desk, tmp_path: Path) -> None:
    """An auditor unpacks a bundle where the program is, and a forger packed modules of Python's own names into it."""
    content = bytearray((desk.place / "b.zip").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "bad.zip").write_bytes(content)
    (tmp_path / "verify_bundle.py").write_bytes(PROGRAM.read_bytes())
    for name in ("argparse", "base64", "binascii", "calendar", "hashlib", "json", "re", "struct", "typing", "zlib"):
        (tmp_path / f"{name}.py").write_text("print('good: 52 records')\nraise SystemExit(0)\n")
    for flags in ([], ["-P"], ["-I"]):
        command = [sys.executable, *flags, "verify_bundle.py", "bad.zip", "--key", desk.key.public.text]
        ended = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, timeout=120)
        assert (ended.returncode, b"good" in ended.stdout, ended.stderr) == (1, False, b""), flags


def test_a_file_that_has_the_name_of_a_key_is_not_read(desk: Desk, tmp_path: Path) -> None:
    intruder = PrivateKey.generate(desk.key.public.name, bundled.seed(9))
    desk.bundle(tmp_path / "b.zip", checkpoint=desk.signed(key=intruder), signers=[intruder])
    place = tmp_path / desk.key.public.text
    place.parent.mkdir(parents=True)
    place.write_text(intruder.public.text)
    code, out, _ = run("b.zip", "--key", desk.key.public.text, cwd=tmp_path)
    assert (code, "is not signed by a key given" in out) == (1, True)
    assert run("b.zip", "--key", intruder.public.text, cwd=tmp_path)[0] == 0
    assert run("b.zip", "--key", place, cwd=tmp_path)[0] == 2


def test_a_bundle_that_is_cut_off_while_it_is_read_ends_the_program(desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "b.zip"
    path.write_bytes((desk.place / "b.zip").read_bytes())
    archive = program.Archive(str(path))
    os.truncate(path, 100)
    for name in archive.entries:
        with pytest.raises(program.NotSo, match=r"cut off while it was read|damaged"):
            in_time(lambda name=name: list(archive.chunks(name, None)))  # type: ignore[misc]
    archive.close()


def test_it_says_what_the_checkpoint_states_and_how_far_it_goes(desk: Desk, tmp_path: Path) -> None:
    plain = desk.checkpoint
    restored = Checkpoint(plain.origin, plain.size, plain.root, ("first 1", "restored-after 200 AAAA"))
    restored = restored.with_signatures([desk.key.sign(restored.body)])
    desk.bundle(tmp_path / "b.zip", checkpoint=restored)
    code, out, _ = run("b.zip", "--key", desk.key.public.text, cwd=tmp_path)
    assert code == 0
    assert "the checkpoint states: restored-after 200 AAAA\n" in out
    assert f"not proved: what was recorded after the checkpoint of {plain.size} records" in out


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"a":2}',
        '{"a" :1, "a" : 2}',
        '{"a":{"b":1,"b":2}}',
        '{"a":[{"b":1,"b":2}]}',
        '{"a:":1,"a:":2}',
        '{"a":":","a":1}',
        '{"a":1}{}',
        '{"a":NaN}',
        '{"a":1',
        '{"a"',
        "{",
    ],
)
def test_data_that_readers_of_json_take_differently_is_refused(text: str) -> None:
    """A name that stands twice has one value for one reader and the other for another."""
    with pytest.raises(ValueError, match=r".") as raised:
        program._check_object(text)
    assert not isinstance(raised.value, StopIteration)
    assert not program.is_plain(text.encode())


@pytest.mark.parametrize("text", ["{}", '{"a":1}', '{"a":"b:c"}', '{"a":{"b":1},"c":[{"d":null}]}'])
def test_data_of_one_meaning_is_taken(text: str) -> None:
    program._check_object(text)
