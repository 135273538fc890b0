"""Witnesses: commands that get each checkpoint and keep it where this log's owner cannot change it."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import tempfile
import time
from typing import IO, TYPE_CHECKING, NamedTuple

from eventstore.errors import InvalidNote
from eventstore.proofs.keys import TIME_BYTES
from eventstore.proofs.signed_notes import parse_signature

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from eventstore.proofs.checkpoints import Checkpoint
    from eventstore.proofs.keys import PublicKey
    from eventstore.proofs.signed_notes import NoteSignature

OUTPUT_BYTES_MAX = 65_536
COSIGNATURES_MAX = 16
REASON_LENGTH_MAX = 300
_COSIGNATURE_BYTES = TIME_BYTES + 64
_LOOK_SECONDS = 0.05


class WitnessAnswer(NamedTuple):
    """What became of handing a checkpoint to one witness; `reason` says why it failed, '' where it did not."""

    reason: str
    cosignatures: tuple[NoteSignature, ...] = ()


class _Ended(NamedTuple):
    code: int
    output: bytes
    errors: bytes


def ask(
    command: Sequence[str],
    checkpoint: Checkpoint,
    *,
    seconds: float,
    key: PublicKey | None = None,
    known: Mapping[str, PublicKey] | None = None,
) -> WitnessAnswer:
    """Hand a checkpoint to a witness on its stdin; return what it answered, within `seconds`. Nothing is raised.

    It took the checkpoint if it exits with 0 and, where it has a key, its cosignature is among its output. `known` are
    the keys of all witnesses: a line that names one of them is kept only if it is that one's.
    """
    try:
        ended = _run(command, checkpoint.text.encode(), seconds)
    except _Unfinished as e:
        return WitnessAnswer(str(e))
    except (OSError, ValueError) as e:
        return WitnessAnswer(f"it could not be started: {getattr(e, 'strerror', None) or e}")
    if ended.code:
        how = f"exit code {ended.code}" if ended.code > 0 else f"signal {-ended.code}"
        return WitnessAnswer(f"it ended with {how}{_last_line(ended.errors or ended.output)}")
    keys = [*(known or {}).values(), *(() if key is None else (key,))]
    found = cosignatures(ended.output, checkpoint, keys)
    if key is not None and not any(key.made(signature) for signature in found):
        return WitnessAnswer(f"its output has no cosignature by {key.name}+{key.id.hex()} for this checkpoint", found)
    return WitnessAnswer("", found)


def cosignatures(output: bytes, checkpoint: Checkpoint, keys: Sequence[PublicKey]) -> tuple[NoteSignature, ...]:
    """Return the cosignature lines in a witness's output, without those that would make the note unreadable for others.

    Left out: a line in the name of a key that signed already, or of a known one whose signature it is not.
    """
    found: list[NoteSignature] = []
    taken = {(each.name, each.key_id) for each in checkpoint.signatures}
    for line in output.decode("utf-8", "replace").split("\n"):
        try:
            signature = parse_signature(line.removesuffix("\r"))
        except InvalidNote:
            continue
        whose = (signature.name, signature.key_id)
        claimed = [key for key in keys if key.made(signature)]
        is_sound = all(key.verifies(checkpoint.body, signature) for key in claimed)
        is_cosignature = bool(claimed) or len(signature.signature) == _COSIGNATURE_BYTES
        if whose not in taken and is_sound and is_cosignature and signature.name.isprintable():
            taken.add(whose)
            found.append(signature)
    return tuple(found[:COSIGNATURES_MAX])


class _Unfinished(Exception):
    """A witness did not end in its time, or wrote too much."""


def _run(command: Sequence[str], content: bytes, seconds: float) -> _Ended:
    """Run a command with content on its stdin; kill it, with all that it started, once its time is over."""
    # From a file: a command that does not read its stdin blocks nobody.
    with tempfile.TemporaryFile() as given:
        given.write(content)
        given.seek(0)
        process = subprocess.Popen(
            list(command), stdin=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
    assert process.stdout is not None, "it is a pipe"
    assert process.stderr is not None, "it is a pipe"
    with process.stdout, process.stderr:
        try:
            deadline = time.monotonic() + seconds
            output, errors = _collected(process, (process.stdout, process.stderr), deadline)
            return _Ended(process.wait(max(deadline - time.monotonic(), _LOOK_SECONDS)), output, errors)
        except (subprocess.TimeoutExpired, TimeoutError) as e:
            msg = f"it did not end within {seconds:g} s, and was killed"
            raise _Unfinished(msg) from e
        finally:
            if process.poll() is None:
                # Its session is its own group: what it started ends with it.
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _collected(process: subprocess.Popen[bytes], pipes: Sequence[IO[bytes]], deadline: float) -> list[bytes]:
    """Return what a process writes until it ends, or closes its output; raise TimeoutError, or _Unfinished."""
    found: dict[int, bytes] = {pipe.fileno(): b"" for pipe in pipes}
    with selectors.DefaultSelector() as selector:
        for handle in found:
            os.set_blocking(handle, False)
            selector.register(handle, selectors.EVENT_READ)
        while selector.get_map():
            # Asked before reading: what it wrote before it ended is in the pipes then. A process that it left behind
            # may keep them open.
            has_ended = process.poll() is not None
            ready = selector.select(0 if has_ended else min(_LOOK_SECONDS, max(deadline - time.monotonic(), 0)))
            if has_ended and not ready:
                break
            for key, _ in ready:
                part = os.read(key.fd, OUTPUT_BYTES_MAX)
                found[key.fd] += part
                if not part:
                    selector.unregister(key.fd)
                if len(found[key.fd]) > OUTPUT_BYTES_MAX:
                    msg = f"it wrote more than {OUTPUT_BYTES_MAX:,} bytes, and was killed"
                    raise _Unfinished(msg)
            if time.monotonic() > deadline and not has_ended:
                raise TimeoutError
    return list(found.values())


def _last_line(output: bytes) -> str:
    lines = [line for line in output.decode("utf-8", "replace").splitlines() if line.strip()]
    text = "".join(sign if sign.isprintable() else "?" for sign in lines[-1].strip()) if lines else ""
    return f": {text[:REASON_LENGTH_MAX]}" if text else ""
