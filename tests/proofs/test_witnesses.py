"""Witnesses: what they answer, late, wrongly, in another's name or never; and that none of it goes unnoticed."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

import eventstore
from eventstore import CheckpointSettings, InvalidEvent, InvalidNote, ManualClock
from eventstore.proofs import Checkpoint, witnesses
from eventstore.proofs.keys import COSIGNATURE_V1, PrivateKey
from eventstore.proofs.settings import command_of, seconds_of
from eventstore.proofs.signed_notes import SIGNATURES_MAX
from eventstore.proofs.witness_file import FAILED, GIVEN_UP, HANDED, WITNESSED, WitnessLine, unwitnessed
from eventstore.proofs.witnesses import OUTPUT_BYTES_MAX, ask
from tests.proofs.signed_logs import AT, SignedLog, bodies

WITNESS = PrivateKey("witness.example/w1", bytes(range(1, 33)), COSIGNATURE_V1)
OTHER = PrivateKey("witness.example/w2", bytes(range(2, 34)), COSIGNATURE_V1)
LOG = PrivateKey("example.com/log", bytes(range(32)))
BARE = Checkpoint("example.com/log", 7, bytes(range(32)))
CHECKPOINT = BARE.with_signatures([LOG.sign(BARE.body)])


def python(code: str, *arguments: object) -> tuple[str, ...]:
    return (sys.executable, "-c", code, *map(str, arguments))


def printing(*lines: str) -> tuple[str, ...]:
    return python("import sys; print(*sys.argv[1:], sep='\\n')", *[line.rstrip("\n") for line in lines])


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (("no-such-program-anywhere",), "could not be started: No such file"),
        (("/",), "could not be started"),
        (("a\0b",), "could not be started: embedded null byte"),
        (("false",), "ended with exit code 1"),
        (python("import sys; sys.exit('the disk\\x1b is full')"), "exit code 1: the disk? is full"),
        (python("import os; os.kill(os.getpid(), 9)"), "ended with signal 9"),
        (python("import time; time.sleep(60)"), "did not end within 0.3 s, and was killed"),
        (python("import os, time; os.close(1); os.close(2); time.sleep(60)"), "did not end within 0.3 s"),
        (python("while True: print('x' * 9999)"), "wrote more than 65,536 bytes"),
        (python("import sys\nwhile True: print('x' * 9999, file=sys.stderr)"), "wrote more than 65,536 bytes"),
        # Ends at once, and leaves a process behind that holds its output and ignores all but a kill.
        (("sh", "-c", "(trap '' HUP TERM; sleep 2) & exit 3"), "ended with exit code 3"),
    ],
)
def test_a_witness_that_fails_says_why_and_blocks_nobody(command: Sequence[str], why: str) -> None:
    answer = ask(command, CHECKPOINT, seconds=0.3 if "did not end" in why else 20.0)
    assert why in answer.reason
    assert answer.cosignatures == ()


def test_a_witness_gets_the_whole_note_and_may_ignore_it(tmp_path: Path) -> None:
    target = tmp_path / "seen"
    code = "import sys; open(sys.argv[1], 'wb').write(sys.stdin.buffer.read())"
    assert ask(python(code, target), CHECKPOINT, seconds=20.0).reason == ""
    assert target.read_text() == CHECKPOINT.text
    assert ask(("true",), CHECKPOINT, seconds=20.0) == ("", ())


def test_a_witness_with_a_key_has_to_cosign_this_very_checkpoint() -> None:
    line = WITNESS.sign(CHECKPOINT.body, at_seconds=5).line
    for lines, is_good in (
        ([line], True),
        (["thank you", line.replace("\n", "\r\n"), "bye"], True),
        (["thank you"], False),
        ([OTHER.sign(CHECKPOINT.body).line], False),
        ([WITNESS.sign(CHECKPOINT.body + "first 1\n").line], False),
        ([line[:-9] + "\n"], False),
        ([LOG.sign(CHECKPOINT.body).line], False),
    ):
        answer = ask(printing(*lines), CHECKPOINT, seconds=20.0, key=WITNESS.public)
        assert (answer.reason == "") is is_good, lines
        assert [each.name for each in answer.cosignatures if each.name == "witness.example/w1"] == (
            ["witness.example/w1"] if is_good else []
        )


def test_no_witness_makes_the_note_unreadable_for_others() -> None:
    """A false line in the name of a known key would make all who know it refuse the whole note."""
    known = {"w1": WITNESS.public, "w2": OTHER.public}
    false = OTHER.sign("another text\n").line
    as_log = LOG.sign("another text\n").line
    unknown = PrivateKey("devil.example/x", bytes(32), COSIGNATURE_V1).sign(CHECKPOINT.body)
    short = unknown._replace(name="devil.example/short", signature=b"xxxxx")
    hidden = unknown._replace(name="devil.example/\N{RIGHT-TO-LEFT OVERRIDE}")
    good = WITNESS.sign(CHECKPOINT.body).line
    found = ask(
        printing(false, as_log, short.line, hidden.line, unknown.line, unknown.line, good),
        CHECKPOINT,
        seconds=20.0,
        known=known,
    ).cosignatures
    assert [each.name for each in found] == ["devil.example/x", "witness.example/w1"]
    whole = Checkpoint.parse(CHECKPOINT.with_signatures(found).text)
    assert whole.signers([LOG.public, WITNESS.public, OTHER.public]) == (LOG.public, WITNESS.public)
    many = [unknown._replace(name=f"devil.example/{number}").line for number in range(200)]
    assert len(ask(printing(*many), CHECKPOINT, seconds=20.0).cosignatures) == witnesses.COSIGNATURES_MAX
    assert len(many[0]) * 200 < OUTPUT_BYTES_MAX


def cosigning(log: SignedLog, private: PrivateKey) -> tuple[str, ...]:
    """Return a witness's command that cosigns what it gets."""
    root = str(Path(eventstore.__file__).parent.parent)
    log.place.joinpath("witness.key").write_text(private.secret())
    code = (
        "import sys; sys.path.insert(0, sys.argv[2])\n"
        "from eventstore.proofs import Checkpoint\n"
        "from eventstore.proofs.keys import PrivateKey\n"
        "found = Checkpoint.parse(sys.stdin.buffer.read())\n"
        "print(PrivateKey.parse(open(sys.argv[1]).read()).sign(found.body, at_seconds=9).line)"
    )
    return python(code, log.place / "witness.key", root)


def test_a_cosignature_is_kept_with_the_checkpoint(log: SignedLog) -> None:
    settings = log.settings({"w1": cosigning(log, WITNESS)}, {"w1": WITNESS.public.text})
    result = log.sign(settings=settings)
    assert result.is_witnessed
    [kept] = log.file.newest()
    assert kept == result.checkpoint
    assert WITNESS.public in kept.signers([WITNESS.public])
    assert [line.state for line in log.witnesses.read().lines] == [HANDED, WITNESSED]
    # Not asked again for the same.
    assert log.sign(settings=settings).outcomes == ()
    assert "witnessed by w1" in log.health().summary


def test_a_failed_witness_is_reported_until_it_has_the_newest(log: SignedLog) -> None:
    bad, good = (
        log.settings({"usb": ("false",), "other": ("true",)}),
        log.settings({"usb": ("true",), "other": ("true",)}),
    )
    result = log.sign(settings=bad)
    assert [(line.witness, line.state) for line in result.outcomes] == [("usb", FAILED), ("other", WITNESSED)]
    assert not result.is_witnessed
    assert log.health().wrong == (
        "the checkpoint of size 600 is unwitnessed: usb: it ended with exit code 1; sign again",
    )
    # The log has not grown; the one that failed is asked again, and it alone.
    again = log.sign(settings=good)
    assert (again.new, [line.witness for line in again.outcomes]) == (False, ["usb"])
    assert not log.health().wrong
    # One that is taken is not unwitnessed because the witness fails later.
    log.grow(1)
    log.sign(settings=bad)
    log.grow(1)
    log.sign(settings=good)
    assert not log.health().wrong
    assert "witnessed by other, usb" in log.health().summary


def test_a_checkpoint_that_no_witness_got_is_reported_where_there_was_one(log: SignedLog) -> None:
    log.sign(settings=log.settings({"usb": ("true",)}))
    log.grow(1)
    signed = log.sign().checkpoint
    [wrong] = log.health().wrong
    assert "size 601 was handed to no witness, the newest that was taken has size 600" in wrong
    log.witnesses.append([WitnessLine.of(signed, AT, "", GIVEN_UP)])
    assert not log.health().wrong
    log.grow(1)
    log.sign()
    assert not log.health().wrong


def test_a_witness_that_failed_may_be_given_up(log: SignedLog) -> None:
    signed = log.sign(settings=log.settings({"usb": ("false",)})).checkpoint
    assert log.health().wrong
    log.witnesses.append([WitnessLine.of(signed, AT, "", GIVEN_UP)])
    assert not log.health().wrong
    log.witnesses.append([WitnessLine.of(signed, AT, "usb", FAILED, "again")])
    assert "usb: again" in log.health().wrong[0]


def test_a_kill_before_the_witness_has_it_is_reported(log: SignedLog, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    settings = log.settings({"usb": ("true",)})
    with monkeypatch.context() as patched:
        patched.setattr("eventstore.proofs.signing.ask", killed)
        with pytest.raises(KeyboardInterrupt):
            log.sign(settings=settings)
    assert "usb: it was handed over, and no answer was recorded" in log.health().wrong[0]
    assert log.sign(settings=settings).is_witnessed
    assert not log.health().wrong


def test_deleted_checkpoints_are_missed_where_witnesses_were_asked(log: SignedLog) -> None:
    log.sign(settings=log.settings({"usb": ("true",)}))
    log.checkpoints_path.unlink()
    for last in log.folder.path.glob("*.last"):
        last.unlink()
    assert "it was deleted; restore a copy" in log.health().wrong[0]


def test_damaged_lines_of_witnesses_are_counted_and_left_as_they_are(log: SignedLog) -> None:
    log.witnesses_path.write_bytes(b'{"at": 1, "size"\n\xff\n[]\n' + b"[" * 5_000 + b"\n{torn")
    log.sign(settings=log.settings({"usb": ("true",)}))
    found = log.witnesses.read()
    assert (found.unreadable, [line.state for line in found.lines]) == (5, [HANDED, WITNESSED])
    assert "5 lines of" in log.health().attention[0]
    assert not log.health().wrong


def test_only_lines_on_the_same_size_and_root_count() -> None:
    other = Checkpoint(BARE.origin, 7, bytes(32))
    lines = [WitnessLine.of(CHECKPOINT, 1, "a", HANDED), WitnessLine.of(other, 2, "a", WITNESSED)]
    assert list(unwitnessed(lines, CHECKPOINT)) == ["a"]
    assert not unwitnessed(lines, other)


def test_a_store_signs_while_it_is_open_and_at_its_end(log: SignedLog) -> None:
    settings = CheckpointSettings(keys=str(log.folder.path), every_seconds=3_600.0)
    with eventstore.open(log.data, clock=ManualClock(AT), checkpoints=settings) as store:
        store.append("mark/-/a", eventstore.trading.Marked(name="a"))
        assert store.checkpoint().checkpoint.size == 601
        assert store.doctor() == []
        store.append("mark/-/b", eventstore.trading.Marked(name="b"))
    assert bodies(log.file.newest())[-1] == 602
    store.close()
    with eventstore.open(log.data, checkpoints=CheckpointSettings(keys=str(log.folder.path), at_close=False)) as store:
        store.append("mark/-/c", eventstore.trading.Marked(name="c"))
    assert log.file.newest()[-1].size in {602, 603}


def test_what_keeps_a_store_from_signing_is_reported_and_keeps_nobody_from_appending(log: SignedLog) -> None:
    [secret] = log.folder.path.glob("*.key")
    secret.chmod(0o644)
    settings = CheckpointSettings(keys=str(log.folder.path))
    store = eventstore.open(log.data, checkpoints=settings)
    with pytest.raises(InvalidNote, match="others can read"):
        store.checkpoint()
    store.append("mark/-/a", eventstore.trading.Marked(name="a"))
    assert any("others can read" in each for each in store.doctor())
    with pytest.raises(InvalidNote, match="others can read"):
        store.close()
    store.close()
    with eventstore.open(log.data) as store:
        assert store.head() == 601


def test_settings_come_from_the_file(tmp_path: Path) -> None:
    assert CheckpointSettings.load(tmp_path) == CheckpointSettings()
    file = tmp_path / "eventstore.toml"
    file.write_text(
        '[checkpoints]\nkeys = "k"\nevery = "90m"\nat_close = false\nwitness_seconds = 5\n'
        '[checkpoints.witnesses]\nusb = "cp /dev/stdin \'/mnt/a b\'"\nlist = ["true"]\n'
        f'[checkpoints.witness_keys]\nusb = "{WITNESS.public.text}"\n'
    )
    found = CheckpointSettings.load(tmp_path)
    assert (found.keys, found.every_seconds, found.at_close, found.witness_seconds) == ("k", 5_400.0, False, 5.0)
    assert found.witnesses == {"usb": ["cp", "/dev/stdin", "/mnt/a b"], "list": ["true"]}
    assert found.public_keys() == {"usb": WITNESS.public}
    for wrong in (
        "checkpoints = 1",
        '[checkpoints]\nevery = "soon"',
        "[checkpoints]\nevery = 3600",
        "[checkpoints]\nevry = 1",
        "[checkpoints]\nwitness_seconds = 0",
        "[checkpoints]\nwitness_seconds = inf",
        "[checkpoints]\nkeys = 1",
        "[checkpoints]\nwitnesses = 1",
        '[checkpoints.witnesses]\nusb = "\'"',
        "[checkpoints.witnesses]\nusb = []",
        "[checkpoints.witnesses]\nusb = [1]",
        '[checkpoints.witnesses]\n"a b" = "true"',
        '[checkpoints.witness_keys]\nusb = "x"',
        '[checkpoints.witnesses]\nusb = "true"\n[checkpoints.witness_keys]\nusb = "x"',
    ):
        file.write_text(wrong)
        with pytest.raises(InvalidEvent):
            CheckpointSettings.load(tmp_path)


def test_a_command_is_split_and_never_run_by_a_shell(tmp_path: Path) -> None:
    target = tmp_path / "made"
    given = f"echo $(touch {shlex.quote(str(target))}); touch {shlex.quote(str(target))}"
    assert ask(command_of("x", given), CHECKPOINT, seconds=20.0).reason == ""
    assert not target.exists()
    assert seconds_of("never") == 0
    assert seconds_of("1h") == 3_600
    with pytest.raises(InvalidEvent, match="a text such as 1h"):
        seconds_of(3_600)


def test_many_witnesses_stay_within_what_a_note_may_have() -> None:
    with pytest.raises(InvalidEvent, match="16 is the limit"):
        CheckpointSettings(witnesses={f"w{number}": ("true",) for number in range(17)})
    with pytest.raises(InvalidEvent, match="every_seconds"):
        CheckpointSettings(every_seconds=-1)
    with pytest.raises(InvalidEvent, match="list of texts"):
        CheckpointSettings(witnesses={"a": "true"})
    with pytest.raises(InvalidEvent, match="not among the witnesses"):
        CheckpointSettings(witness_keys={"a": WITNESS.public.text})
    assert SIGNATURES_MAX >= 16
