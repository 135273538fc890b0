"""Checkpoints: what one says, who signed it, and that a key of another log or a witness's never speaks for it."""

from __future__ import annotations

import pytest

from eventstore import InvalidNote
from eventstore.proofs import Checkpoint
from eventstore.proofs.keys import COSIGNATURE_V1, PrivateKey
from eventstore.proofs.merkle import EMPTY_ROOT
from eventstore.proofs.signed_notes import base64_of

# c2sp.org/tlog-checkpoint and c2sp.org/tlog-cosignature.
LOG_SIGNATURE = "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8="
WITNESS_SIGNATURE = (
    "jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA=="
)
C2SP = f"""example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa {LOG_SIGNATURE}
— witness.example.com/w1 {WITNESS_SIGNATURE}
"""
ROOT = base64_of(bytes(range(32)))
OURS = PrivateKey("example.com/log", bytes(range(32)))
OTHER = PrivateKey("example.com/other", bytes(range(32)))
WITNESS = PrivateKey("witness.example/w1", bytes(range(1, 33)), COSIGNATURE_V1)


def signed(*privates: PrivateKey, origin: str = "example.com/log", size: int = 7) -> Checkpoint:
    bare = Checkpoint(origin, size, bytes(range(32)), ("first 1", "signed-at now"))
    return bare.with_signatures([private.sign(bare.body, at_seconds=9) for private in privates])


def test_the_published_example_is_read_and_written_as_it_stands() -> None:
    found = Checkpoint.parse(C2SP)
    assert (found.origin, found.size, found.extensions) == ("example.com/behind-the-sofa", 20_852_163, ())
    assert found.root.hex().startswith("0ac5186a91863e8e")
    assert [each.name for each in found.signatures] == ["example.com/behind-the-sofa", "witness.example.com/w1"]
    assert found.text == C2SP
    assert Checkpoint.parse(C2SP.encode()) == found


@pytest.mark.parametrize(
    "lines",
    [
        ["example.com/log", "7"],
        ["", "7", ROOT],
        ["example.com/log", "", ROOT],
        ["example.com/log", "07", ROOT],
        ["example.com/log", "+7", ROOT],
        ["example.com/log", "-7", ROOT],
        ["example.com/log", "7 ", ROOT],
        ["example.com/log", "\N{ARABIC-INDIC DIGIT SEVEN}", ROOT],
        ["example.com/log", "9223372036854775808", ROOT],
        ["example.com/log", "7", ROOT[:-4]],
        ["example.com/log", "7", ROOT.replace("=", "")],
        ["example.com/log", "7", base64_of(bytes(33))],
        ["example.com/log", "7", ROOT, "", "extension"],
    ],
)
def test_what_is_not_a_checkpoint_is_refused(lines: list[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)
    with pytest.raises(InvalidNote):
        Checkpoint.parse(f"{text}\n{OURS.sign(text).line}")


def test_an_empty_log_has_a_checkpoint_too() -> None:
    bare = Checkpoint("example.com/log", 0, EMPTY_ROOT)
    whole = bare.with_signatures([OURS.sign(bare.body)])
    assert Checkpoint.parse(whole.text).verify(OURS.public).head == (0, EMPTY_ROOT)


def test_only_the_logs_own_key_speaks_for_it() -> None:
    assert signed(OURS).verify(OTHER.public, OURS.public) == signed(OURS)
    with pytest.raises(InvalidNote, match="not signed by a key given for it"):
        signed(OURS).verify()
    # The same 32 bytes under another name; a signature by a stranger; a witness alone.
    for keys in ((OTHER,), (OTHER, WITNESS), (WITNESS,)):
        with pytest.raises(InvalidNote, match="not signed by a key given for it"):
            signed(*keys).verify(OURS.public, *[private.public for private in keys])
    # A witness of the log's own name.
    namesake = PrivateKey("example.com/log", bytes(range(32)), COSIGNATURE_V1)
    with pytest.raises(InvalidNote, match="not signed by a key given for it"):
        signed(namesake).verify(namesake.public)
    # The key of another log, which its owner may have signed anything with.
    with pytest.raises(InvalidNote, match="not signed by a key given for it"):
        signed(OTHER).verify(OTHER.public)


def test_a_false_signature_in_the_name_of_a_known_key_is_refused() -> None:
    honest = signed(OURS)
    for altered in (
        Checkpoint(honest.origin, 8, honest.root, honest.extensions, honest.signatures),
        Checkpoint(honest.origin, 7, bytes(32), honest.extensions, honest.signatures),
        Checkpoint(honest.origin, 7, honest.root, ("first 2", "signed-at now"), honest.signatures),
        Checkpoint(honest.origin, 7, honest.root, (), honest.signatures),
        honest.with_signatures([OURS.sign("other\n")]),
    ):
        with pytest.raises(InvalidNote, match="does not fit"):
            altered.signers([OURS.public])
        with pytest.raises(InvalidNote, match="does not fit"):
            altered.verify(OURS.public)
    assert altered.signers([OTHER.public]) == ()


def test_witnesses_are_counted_with_their_own_keys() -> None:
    found = Checkpoint.parse(signed(OURS, WITNESS).text)
    assert found.signers([WITNESS.public, OURS.public, OTHER.public]) == (WITNESS.public, OURS.public)
    assert found.extension("first") == "1"
    assert found.extension("restored-after") is None
