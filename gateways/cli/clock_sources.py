"""How far this machine's clock is off, as the program that keeps it says: chrony or ntpd."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

from eventstore.trading import ClockChecked

TIMEOUT_SECONDS = 5
_CHRONY_MEMBER = re.compile(r"^([A-Z][A-Za-z ]*?) *: (\S.*)$", re.MULTILINE)
_CHRONY_OFFSET = re.compile(r"(\S+) seconds (slow|fast) of NTP time")
_NTP_MEMBER = re.compile(r"\b(leap|offset|rootdelay|rootdisp)=(\S+?)(?:,|\s|$)")


class ProgramAnswer(NamedTuple):
    """What a program printed, and its exit code; the code is None where it could not be run in time."""

    code: int | None
    text: str


Ask = Callable[[Sequence[str]], ProgramAnswer]


def run(command: Sequence[str]) -> ProgramAnswer:
    """Run a program for a few seconds at most."""
    path = shutil.which(command[0])
    if path is None:
        return ProgramAnswer(None, "it is not installed")
    try:
        ended = subprocess.run(
            [path, *command[1:]], capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False, errors="replace"
        )
    except (OSError, subprocess.TimeoutExpired) as e:
        return ProgramAnswer(None, f"it gave no answer: {e}")
    return ProgramAnswer(ended.returncode, ended.stdout if ended.returncode == 0 else ended.stderr or ended.stdout)


def checked(ask: Ask = run) -> ClockChecked:
    """Ask chrony, then ntpd; what neither knows has no offset, and says why."""
    found = [_of(program, ask(command), read) for program, command, read in _SOURCES]
    known = next((each for each in found if each.offset_ns is not None), None)
    if known is not None:
        return known
    why = "; ".join(f"{each.source}: {each.why}" for each in found)
    return ClockChecked(source="chronyc, ntpq", why=f"nothing on this machine says so ({why})")


def _of(program: str, answer: ProgramAnswer, read: Callable[[str], tuple[int, int]]) -> ClockChecked:
    if answer.code != 0:
        said = " ".join(answer.text.split())[:200] or f"it ended with {answer.code}"
        return ClockChecked(source=program, why=said)
    try:
        offset, error = read(answer.text)
    except (ValueError, InvalidOperation) as e:
        return ClockChecked(source=program, why=str(e) if isinstance(e, ValueError) else "its answer has no number")
    return ClockChecked(source=program, offset_ns=offset, error_ns=error)


def _of_chrony(text: str) -> tuple[int, int]:
    """Read `chronyc tracking`, whose words say whether the clock is behind (slow) or ahead."""
    members = dict(_CHRONY_MEMBER.findall(text))
    found = _CHRONY_OFFSET.match(members.get("System time", ""))
    if found is None or "Leap status" not in members:
        msg = "its answer is not that of `chronyc tracking`"
        raise ValueError(msg)
    if members["Leap status"].strip().startswith("Not"):
        msg = "it is not synchronised"
        raise ValueError(msg)
    offset = _ns(found[1], 9)
    delay, dispersion = (_ns(members.get(name, "0").split()[0], 9) for name in ("Root delay", "Root dispersion"))
    return offset if found[2] == "fast" else -offset, abs(delay) // 2 + abs(dispersion)


def _of_ntpd(text: str) -> tuple[int, int]:
    """Read `ntpq -c rv`: the offset in ms, above zero if the clock is behind."""
    members = dict(_NTP_MEMBER.findall(text))
    if not {"leap", "offset"} <= members.keys():
        msg = "its answer is not that of `ntpq -c rv`"
        raise ValueError(msg)
    if members["leap"] in {"11", "3"}:
        msg = "it is not synchronised"
        raise ValueError(msg)
    delay, dispersion = (_ns(members.get(name, "0"), 6) for name in ("rootdelay", "rootdisp"))
    return -_ns(members["offset"], 6), abs(delay) // 2 + abs(dispersion)


def _ns(text: str, places: int) -> int:
    number = Decimal(text)
    if not number.is_finite() or abs(number) > Decimal(10) ** 9:
        msg = f"{text!r:.40} is not an offset"
        raise ValueError(msg)
    return int(number.scaleb(places).to_integral_value())


_SOURCES: tuple[tuple[str, Sequence[str], Callable[[str], tuple[int, int]]], ...] = (
    ("chronyc", ("chronyc", "-n", "tracking"), _of_chrony),
    ("ntpq", ("ntpq", "-c", "rv 0 leap,offset,rootdelay,rootdisp"), _of_ntpd),
)
