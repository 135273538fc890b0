"""A signed log of each kind of checkpoint, to be kept: made by this version, checked by every later one.

Run `python -m tests.proofs.keeping DIRECTORY` to make it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import eventstore
from eventstore.proofs import Checkpoint
from eventstore.proofs.checkpoint_file import notes_of
from eventstore.proofs.checkpoints import RESTORED_LINE
from eventstore.proofs.keys import COSIGNATURE_V1, PrivateKey, PublicKey
from tests.proofs.signed_logs import AT, SignedLog

WITNESS = PrivateKey("witness.example/kept", bytes(range(3, 35)), COSIGNATURE_V1)
SIZES = [300, 300, 310, 310, 305, 567]


def make(place: Path) -> SignedLog:
    """Make a log with checkpoints by one key, by two, with a witness, and after the log was restored."""
    log = SignedLog(place)
    log.grow(300)
    old = log.new_key()
    log.sign()
    new = log.new_key()
    log.sign()
    log.folder.retire(old, AT)
    shorter = log.copy("shorter")
    log.grow(10)
    signed = log.sign().checkpoint
    log.file.append(signed.with_signatures([WITNESS.sign(signed.body, at_seconds=AT // 10**9)]))
    kept = log.checkpoints_path.read_bytes()
    log.put_back(shorter)
    log.checkpoints_path.write_bytes(kept)
    log.folder.retire(new, AT)
    log.new_key()
    log.grow(5, "restored")
    log.sign(restored=True)
    log.grow(262)
    log.sign()
    return log


def check(log: SignedLog) -> None:
    """Check every note, who signed it, and what the log gives at its size; no private key is needed for that."""
    found = notes_of(log.checkpoints_path.read_bytes())
    assert [each.size for each in found] == SIZES
    with eventstore.open(log.data) as store:
        keys = [PublicKey.parse(each.key) for each in log.folder.of_log(store.log_id)]
        # The two before the restoration are of a history that the log does not have any longer.
        given = [store.root(each.size)[1] == each.root for each in found]
    assert given == [True, True, False, False, True, True]
    assert [each.signers(keys) for each in found] == [
        (keys[0],), (keys[0], keys[1]), (keys[1],), (keys[1],), (keys[2],), (keys[2],)
    ]  # fmt: skip
    assert found[3].signers([WITNESS.public]) == (WITNESS.public,)
    assert [each.extension(RESTORED_LINE) is not None for each in found] == [False, False, False, False, True, True]
    assert all(Checkpoint.parse(each.text) == each for each in found)


def check_signing(log: SignedLog) -> None:
    """Check that nothing is wrong with log and keys, and that the log is signed on."""
    assert not log.health().wrong
    assert not log.sign().new
    log.grow(1)
    assert log.sign().checkpoint.size == SIZES[-1] + 1


if __name__ == "__main__":
    make(Path(sys.argv[1]))
