"""Signed notes and keys, against vectors of Go's sumdb/note and of C2SP; and whatever else a note may be."""

from __future__ import annotations

import base64
import copy
import pickle  # noqa: TID251 - the test's own attempt to get a key out of its process
import random
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventstore import InvalidNote
from eventstore.proofs.keys import COSIGNATURE_V1, PrivateKey, PublicKey, cosigned_at
from eventstore.proofs.signed_notes import SIGNATURES_MAX, NoteSignature, SignedNote, parse_note

# From the documentation of golang.org/x/mod/sumdb/note.
GO_SECRET = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
GO_PUBLIC = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
GO_SIGNED = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
GO_LINE = f"— PeterNeumann {GO_SIGNED}"
# Made by golang.org/x/mod v0.43.0 and github.com/transparency-dev/formats v0.1.1, with the key of the bytes 32 to 63
# for the log and that of 0 to 31 for the witness.
LOG_TEXT = "example.com/log\n3\nqAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
LOG_LINE = (
    "— example.com/log 3kKI+15bbFgRO4wE1DxN4mNydFe69OOOI9mWBb/azwrKieK6tHf7uIMmsUmvK2Bh8tjeblElruEy4MWyB+TyY1+KeA4="
)
WITNESS_LINE = (
    "— witness.example/w1 519lMgAAAABrDnzJMEoGEAbV+I86cOHQPF/9l65FHbw423UHOgiDiV3SZVwg0MWSzQZ/L8spaI8TRZB0G9vz0BKU92yB"
    "/D72SPjbAw=="
)
WITNESS_PUBLIC = "witness.example/w1+e75f6532+BAOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
# c2sp.org/signed-note: its text has an empty line.
POEM = (
    "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n\n"
    "— quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3Ze"
    "kRwNtIc=\n"
)


def seeded(name: str, first: int = 32, kind: int = 1) -> PrivateKey:
    return PrivateKey(name, bytes(range(first, first + 32)), kind)


def test_keys_and_signatures_are_those_of_go() -> None:
    private = PrivateKey.parse(GO_SECRET)
    assert private.public == PublicKey.parse(GO_PUBLIC)
    assert (private.public.text, private.secret()) == (GO_PUBLIC, GO_SECRET)
    assert private.sign(GO_TEXT).line == GO_LINE + "\n"
    [signature] = parse_note(f"{GO_TEXT}\n{GO_LINE}\n").signatures
    assert private.public.verifies(GO_TEXT, signature)
    assert not private.public.verifies(GO_TEXT.replace("know", "now"), signature)
    assert seeded("example.com/log").sign(LOG_TEXT).line == LOG_LINE + "\n"


def test_a_cosignature_is_that_of_go_and_has_its_time() -> None:
    public = PublicKey.parse(WITNESS_PUBLIC)
    [_, signature] = parse_note(f"{LOG_TEXT}\n{LOG_LINE}\n{WITNESS_LINE}\n").signatures
    assert public.verifies(LOG_TEXT, signature)
    at = cosigned_at(signature)
    assert at == 0x6B0E7CC9
    witness = seeded("witness.example/w1", 0, COSIGNATURE_V1)
    assert witness.public == public
    assert witness.sign(LOG_TEXT, at_seconds=at) == signature
    # Of another second, of another text, without its time, and taken for a signature over the text alone.
    later = (at + 1).to_bytes(8, "big") + signature.signature[8:]
    assert not public.verifies(LOG_TEXT, signature._replace(signature=later))
    assert not public.verifies(LOG_TEXT + "x\n", signature)
    assert not public.verifies(LOG_TEXT, signature._replace(signature=signature.signature[8:]))
    assert not public.verifies(LOG_TEXT, signature._replace(signature=bytes([0x80]) + signature.signature[1:]))
    assert not seeded("witness.example/w1", 0).public.verifies(LOG_TEXT, signature)


def test_the_text_of_a_note_may_have_empty_lines() -> None:
    note = parse_note(POEM)
    assert note.text.endswith("sole:\n\ned è subito sera.\n")
    assert [signature.name for signature in note.signatures] == ["quasimodo.example/salvatore"]
    assert note.encoded() == POEM.encode()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "no blank line"),
        ("text\n", "no blank line"),
        (f"text\n{GO_LINE}\n", "no blank line"),
        (f"text\n\n{GO_LINE}", "ends with a newline"),
        ("text\n\n", "ends with a newline"),
        ("text\n\n\n", "ends with a newline"),
        (f"text\n\n{GO_LINE}\nmore\n", "em dash"),
        (f"text\n\n{GO_LINE[2:]}\n", "em dash"),
        ("text\n\n— name\n", "em dash"),
        ("text\n\n— a+b AAAAAAA=\n", "no spaces and no"),
        ("text\n\n— a\N{NO-BREAK SPACE}b AAAAAAA=\n", "no spaces"),
        ("text\n\n—  AAAAAAA=\n", "no spaces"),
        ("text\n\n— name AAAA\n", "cut off"),
        ("text\n\n— name AAAAAA==\n", "cut off"),
        ("text\n\n— name !AAAAAA=\n", "not base64"),
        ("text\n\n— name AAAAAA\N{FULLWIDTH LATIN CAPITAL LETTER A}=\n", "not base64"),
        # The last sign has two bits that mean nothing: one way to write a signature, not four.
        ("text\n\n— name AAAAAAB=\n", "standard form"),
        (f"text\r\n\r\n{GO_LINE}\r\n", "carriage returns"),
        (f"te\x00xt\n\n{GO_LINE}\n", "control character"),
        (f"te\txt\n\n{GO_LINE}\n", "control character"),
        (b"\xff\n\n" + GO_LINE.encode() + b"\n", "UTF-8"),
        ("\ud800\n\n", "UTF-8"),
        ("x" * 70_000 + f"\n\n{GO_LINE}\n", "at most"),
        (f"text\n\n{(GO_LINE + chr(10)) * (SIGNATURES_MAX + 1)}", "limit"),
    ],
)
def test_what_is_not_exactly_a_note_is_refused(content: str | bytes, why: str) -> None:
    with pytest.raises(InvalidNote, match=why):
        parse_note(content)


@given(st.text(st.characters(codec="utf-8"), max_size=60), st.text(max_size=20), st.binary(min_size=5, max_size=80))
def test_every_note_is_refused_or_read_as_it_is_written(text: str, name: str, signed: bytes) -> None:
    note = SignedNote(text + "\n", (NoteSignature(name, signed[:4], signed[4:]),))
    try:
        content = note.encoded()
    except (InvalidNote, UnicodeEncodeError):
        return
    assert parse_note(content) == note


def test_no_altered_note_stays_valid() -> None:
    """A bit, a byte, two bytes swapped, a byte more or less: refused, or not the key's, or by no known key at all."""
    private = PrivateKey.parse(GO_SECRET)
    whole = f"{GO_TEXT}\n{GO_LINE}\n".encode()
    chance = random.Random(5)
    for _ in range(3_000):
        altered = mutated(whole, chance)
        if altered == whole:
            continue
        try:
            note = parse_note(altered)
        except InvalidNote:
            continue
        assert not any(private.public.verifies(note.text, signature) for signature in note.signatures), altered


def mutated(content: bytes, chance: random.Random) -> bytes:
    at, other = chance.randrange(len(content)), chance.randrange(len(content))
    match chance.randrange(5):
        case 0:
            return content[:at] + bytes([content[at] ^ 1 << chance.randrange(8)]) + content[at + 1 :]
        case 1:
            return content[:at] + content[at + 1 :]
        case 2:
            return content[:at] + bytes([chance.randrange(256)]) + content[at:]
        case 3:
            return content[: min(at, other)] + content[max(at, other) :]
        case _:
            swapped = bytearray(content)
            swapped[at], swapped[other] = swapped[other], swapped[at]
            return bytes(swapped)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "NAME.HASH.BASE64"),
        ("name", "NAME.HASH.BASE64"),
        (GO_PUBLIC.replace("c74f20a3", "c74f20a4"), "altered"),
        (GO_PUBLIC.replace("PeterNeumann", "Peter"), "altered"),
        (GO_PUBLIC.replace("ARpc", "BRpc"), "not known here"),
        (GO_PUBLIC[:-4], "not known here"),
        (GO_PUBLIC[:-1], "not base64"),
        (f"+{GO_PUBLIC}", "no spaces"),
        ("a b+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", "no spaces"),
    ],
)
def test_an_altered_public_key_is_refused(text: str, why: str) -> None:
    with pytest.raises(InvalidNote, match=why):
        PublicKey.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        GO_SECRET[:-1],
        GO_SECRET.replace("AYEK", "BYEK"),
        GO_SECRET.replace("c74f20a3", "c74f20a4"),
        GO_SECRET.replace("PRIVATE+KEY+", ""),
        GO_SECRET[:-4],
        GO_SECRET.replace("z", "!"),
    ],
)
def test_a_private_key_is_in_no_error(text: str) -> None:
    secret = GO_SECRET.split("+", 4)[4]
    with pytest.raises(InvalidNote) as caught:
        PrivateKey.parse(text)
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value.__context__)
    assert not any(part in shown for part in (secret[4:20], secret[20:40]))
    # Given where a public one is expected, as happens at a prompt.
    with pytest.raises(InvalidNote) as caught:
        PublicKey.parse(GO_SECRET)
    assert secret[4:20] not in str(caught.value)


def test_a_private_key_is_in_no_repr_and_does_not_leave_its_process() -> None:
    private = PrivateKey.parse(GO_SECRET)
    seed = base64.b64decode(GO_SECRET.split("+", 4)[4])[1:]
    for shown in (repr(private), str(private), f"{private!r:>80}", repr([private])):
        assert GO_SECRET.split("+", 4)[4] not in shown
        assert seed.hex() not in shown
        assert repr(seed) not in shown
    for way in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="stays in its process"):
            way(private)


def test_a_key_of_ones_own_has_a_name_that_can_be_shown() -> None:
    for name in ("", "a b", "a+b", "a\x1bb", "a\N{RIGHT-TO-LEFT OVERRIDE}b"):
        with pytest.raises(InvalidNote):
            PrivateKey.generate(name, bytes)
