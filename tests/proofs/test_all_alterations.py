"""Whatever is altered of all that proves a log is found, or the verifier says what could show it; none crashes it.

The verifier is the one that an auditor runs: `verify`, `archive --check`, `prove --check`, and the program in a bundle.
"""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

import eventstore
from eventstore import Record
from eventstore.proofs.checkpoint_file import notes_of
from eventstore.proofs.standalone import verify_bundle as program
from projections.analysis import ArchiveReader
from tests.cli.command import run_here
from tests.proofs.altering import KINDS, Alterations, Altered, Finder
from tests.proofs.histories import Histories
from tests.proving import rounds

ONLY_KEPT = "only a checkpoint kept elsewhere shows that"
ONLY_NEWER = "only a newer checkpoint"


class Said:
    """How a verifier ended, and what it said."""

    def __init__(self, code: int, text: str) -> None:
        assert code in {0, 1, 2}, text
        assert text.strip(), "nothing was said"
        self.code, self.text = code, text

    @property
    def passed(self) -> bool:
        return self.code == 0


class Auditor:
    """Verifies what was altered, alone and with what an auditor has kept."""

    def __init__(self, histories: Histories, place: Path) -> None:
        self._histories, self._place = histories, place
        self._bundles = {
            path.read_bytes()
            for history in (histories.log, histories.older)
            for path in (history.bundle, history.account)
        }

    def alone(self, kind: str, place: Path) -> Said:
        """Verify with nothing but the thing itself and the log's public key, if it is signed at all."""
        match kind:
            case "journal":
                return self._run("verify", "--data", place)
            case "archive":
                return self._run("archive", place, "--check", "--data", self._place / "none")
            case "bundle":
                report = program.verify(str(place), [str(self._histories.vkey)], [])
                return Said(report.status, "\n".join([*report.lines(), report.reason]))
            case "proof":
                earlier = ("--earlier", self._histories.earlier) if place.name == "growth" else ()
                return self._run("prove", "--check", place, "--key", self._histories.vkey, *earlier)
            case _:
                return self._signed("verify", place, "--data", self._histories.log.data)

    def with_kept(self, kind: str, place: Path, kept: Path) -> Said:
        """Verify a journal or an archive with checkpoints that were kept elsewhere."""
        if kind == "journal":
            return self._signed("verify", kept, "--data", place)
        return self._signed("archive", kept, place, "--check", "--data", self._place / "none")

    def _signed(self, command: str, kept: Path, *arguments: object) -> Said:
        return self._run(command, *arguments, "--checkpoint", kept, "--key", self._histories.vkey)

    def _run(self, *arguments: object) -> Said:
        ended = run_here(*arguments)
        return Said(ended.code, ended.out + ended.err)

    def is_same(self, kind: str, place: Path) -> bool:
        """Return whether what passed says the same as what was not altered, or as an older copy of that."""
        match kind:
            case "journal":
                with eventstore.open(place, read_only=True) as store:
                    return self._are_records(list(store.read()))
            case "archive":
                with ArchiveReader(place) as reader:
                    return self._are_records(list(reader.read()))
            case "bundle":
                return place.read_bytes() in self._bundles
            case "proof":
                known = (self._histories.log, self._histories.older)
                return place.read_bytes() in {(each.place / place.name).read_bytes() for each in known}
            case _:
                honest = {each.body for each in notes_of(self._histories.log.checkpoints.read_bytes())}
                return {each.body for each in notes_of(place.read_bytes())} <= honest

    def _are_records(self, found: list[Record]) -> bool:
        return found == self._histories.records


@pytest.fixture(scope="module")
def histories(tmp_path_factory: pytest.TempPathFactory) -> Histories:
    return Histories(tmp_path_factory.mktemp("histories") / "all")


def check(auditor: Auditor, histories: Histories, kind: str, altered: Altered) -> str:
    """Check that an alteration is found by what has to find it; return what it is called in the figures."""
    what = f"{kind}: {altered.what}"
    alone = auditor.alone(kind, altered.place)
    if altered.finder is Finder.ALONE:
        assert not alone.passed, f"{what}: nothing found\n{alone.text}"
        return "found alone"
    is_stored = kind in {"journal", "archive"}
    if altered.finder is Finder.KEPT:
        assert alone.passed, f"{what}: {alone.text}"
        assert ONLY_KEPT in alone.text, f"{what}: {alone.text}"
        kept = auditor.with_kept(kind, altered.place, histories.log.checkpoints)
        assert not kept.passed, f"{what}: nothing found\n{kept.text}"
        return "found with a checkpoint"
    if altered.finder is Finder.WITNESS:
        if is_stored:
            alone = auditor.with_kept(kind, altered.place, histories.older.checkpoints)
        assert alone.passed, f"{what}: {alone.text}"
        assert WITNESSED[kind](alone.text), f"{what}: {alone.text}"
        return "said that only a witness shows it"
    if not alone.passed:
        return "found alone"
    if is_stored and not auditor.is_same(kind, altered.place):
        kept = auditor.with_kept(kind, altered.place, histories.log.checkpoints)
        assert not kept.passed, f"{what}: it says something else, and nothing was found\n{kept.text}"
        return "found with a checkpoint"
    assert auditor.is_same(kind, altered.place), f"{what}: it says something else, and nothing was found\n{alone.text}"
    return "says the same"


WITNESSED: dict[str, Callable[[str], bool]] = {
    "journal": lambda said: ONLY_NEWER in said,
    "archive": lambda said: ONLY_NEWER in said,
    "bundle": lambda said: "not proved: what was recorded after the checkpoint of 240 records" in said,
    "proof": lambda said: "240 records of the checkpoint" in said,
    "checkpoints": lambda said: "positions 241 to 320" in said and ONLY_NEWER in said,
}
"""What a verifier says of an older honest copy: how far it goes, and what would show that there was more."""


@pytest.mark.slow
@pytest.mark.untraced
def test_every_alteration_is_found_or_the_verifier_says_what_would_show_it(histories: Histories) -> None:
    ends: Counter[tuple[str, str]] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        alterations, auditor = Alterations(histories, Path(folder)), Auditor(histories, Path(folder))
        for seed in rounds("alterations of all that proves", test=150, prove=10_000):
            chance = random.Random(seed)
            kind = KINDS[seed % len(KINDS)]
            ends[kind, check(auditor, histories, kind, alterations.alter(kind, chance))] += 1
    print({f"{kind}: {end}": count for (kind, end), count in sorted(ends.items())})  # noqa: T201 - figures to publish
