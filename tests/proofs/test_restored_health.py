"""What doctor says of a log that was restored on purpose, and of one that somebody only says was restored."""

from __future__ import annotations

from eventstore.proofs import Checkpoint
from eventstore.proofs.checkpoints import RESTORED_LINE
from eventstore.proofs.keys import PrivateKey
from tests.proofs.bundled import seed
from tests.proofs.signed_logs import AT, SignedLog

TAIL = "its tail is lost, or an older copy was put in its place"


def restored(log: SignedLog) -> None:
    """Put a log of 640 records back to 600; its file of checkpoints stays."""
    older = log.copy("older")
    log.grow(40)
    log.sign()
    kept = log.checkpoints_path.read_bytes()
    log.put_back(older)
    log.checkpoints_path.write_bytes(kept)


def test_checkpoints_of_the_state_before_are_no_longer_missed(log: SignedLog) -> None:
    restored(log)
    assert TAIL in log.health().wrong[0]
    log.folder.retire(log.folder.all()[0], AT)
    assert TAIL in log.health().wrong[0]
    log.new_key()
    log.sign(restored=True)
    found = log.health()
    assert (found.wrong, "the newest has size 600" in found.summary) == ((), True)
    log.grow(5)
    log.sign()
    assert not log.health().wrong
    older = log.copy("again")
    log.grow(5, "later")
    log.sign()
    log.put_back(older)
    assert any(TAIL in each for each in log.health().wrong)


def test_a_restoration_that_no_key_here_signed_hides_nothing(log: SignedLog) -> None:
    restored(log)
    [key] = log.folder.all()
    [signed] = [each for each in log.file.newest() if each.size == 640]
    stranger = PrivateKey.generate(key.public.name, seed(7))
    forged = Checkpoint(signed.origin, 600, signed.root, (*signed.extensions, f"{RESTORED_LINE} 640 x"))
    log.file.append(forged.with_signatures([stranger.sign(forged.body)]))
    assert TAIL in " ".join(log.health().wrong)


def test_an_older_copy_is_missed_also_while_no_key_is_active(log: SignedLog) -> None:
    log.sign()
    older = log.copy("older")
    log.grow(40)
    log.sign()
    log.folder.retire(log.folder.all()[0], AT)
    assert not log.health().wrong
    log.put_back(older)
    assert any(TAIL in each for each in log.health().wrong)
