"""The documents' Python is run and prints what they say; their commands, links and paths lead somewhere."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateways.cli import app
from tests.cli.command import commands, run_here
from tests.documents import DOCUMENTS, INFLUXDB, ROOT, SERVICE, blocks, code_blocks, printed, run

LINK = re.compile(r"\]\((?!https?:)(?P<target>[^)#]+)")
ANCHOR = re.compile(r"\]\((?!https?:)(?P<target>[^)#]*)#(?P<anchor>[^)]+)\)")
# A module or folder in ARCHITECTURE.md, as `projections/fold` or `tests/powercut`.
PATH = re.compile(r"`((?:eventstore|projections|gateways|tests|benchmarks|docs|compose)/[\w./*-]*)`")
WITH_CODE = [document for document in DOCUMENTS if code_blocks(document)]
CHECKED_BY = {
    "check.py": "tests/store/test_format.py",
    "/etc/eventstore/desk/desk.py": "tests/operations/test_units.py",
}
"""Files of Python that the documents show, each with the test that runs it."""


def by_name(path: Path) -> str:
    return path.name


@pytest.mark.slow
@pytest.mark.untraced
@pytest.mark.parametrize("document", WITH_CODE, ids=by_name)
def test_a_document_s_python_prints_what_it_says(document: Path, tmp_path: Path) -> None:
    shown = code_blocks(document)
    ran = run(shown, tmp_path)
    assert (ran.stderr, ran.returncode) == ("", 0)
    assert dict(zip((block.name for block in shown), printed(ran), strict=True)) == {
        block.name: block.output for block in shown
    }


def test_every_block_of_python_is_run() -> None:
    """Here, on an InfluxDB (test_influx_docs.py), on a service (test_service_guide.py), or by the test named for it."""
    python = [block for document in DOCUMENTS for block in blocks(document, "python")]
    assert {block.mark for block in python} == {"", INFLUXDB, SERVICE, *CHECKED_BY}
    for file, test in CHECKED_BY.items():
        assert file in (ROOT / test).read_text(encoding="utf-8")
    # Blocks in other languages' clothes would escape.
    fences = re.compile(r"^\s*(?:```+|~~~+) *py", re.MULTILINE | re.IGNORECASE)
    assert len(python) == sum(len(fences.findall(document.read_text(encoding="utf-8"))) for document in DOCUMENTS)


def test_the_readme_begins_with_code_that_prints() -> None:
    assert code_blocks(ROOT / "README.md")[0].output


def commands_shown() -> Iterator[tuple[str, list[str]]]:
    for document in DOCUMENTS:
        for block in blocks(document, "sh"):
            for line in block.text.replace("\\\n", " ").splitlines():
                if line.startswith("eventstore "):
                    words = shlex.split(line, comments=True)
                    # What the shell does with it afterwards is not the command's.
                    yield block.name, list(itertools.takewhile(lambda word: word[0] not in "|>&;", words[1:]))


@pytest.mark.parametrize(("place", "words"), list(commands_shown()))
def test_a_command_that_is_shown_is_accepted(place: str, words: list[str]) -> None:
    """Its name, options and arguments are parsed; nothing is run."""
    group: Any = commands(app)
    command = group.commands[words[0]]
    with command.make_context(words[0], words[1:], resilient_parsing=False) as context:
        assert context.command is command, place


def test_the_readme_begins_with_a_trial_that_prints_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    first = blocks(ROOT / "README.md")[0]
    assert (first.language, first.text.split()[:2]) == ("sh", ["eventstore", "try"])
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("COLUMNS", raising=False)
    ran = run_here(*shlex.split(first.text)[1:])
    assert (ran.code, ran.out) == (0, first.output)


@pytest.mark.parametrize("document", [*DOCUMENTS, ROOT / "CHANGELOG.md"], ids=by_name)
def test_links_inside_the_project_lead_somewhere(document: Path) -> None:
    targets = [found["target"] for found in LINK.finditer(document.read_text(encoding="utf-8"))]
    assert [target for target in targets if not (document.parent / target).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=by_name)
def test_links_to_headings_lead_to_one(document: Path) -> None:
    linked = ANCHOR.findall(document.read_text(encoding="utf-8"))
    targets = [(document if not name else document.parent / name, anchor) for name, anchor in linked]
    assert [anchor for target, anchor in targets if target.suffix == ".md" and anchor not in anchors(target)] == []


def anchors(document: Path) -> set[str]:
    """Return what links to the headings of a document end with, as GitHub has it."""
    titles = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def test_the_architecture_names_what_is_there() -> None:
    text = (ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
    named = set(PATH.findall(text))
    assert len(named) > 50
    assert sorted(name for name in named if not is_there(name)) == []


def test_the_architecture_names_classes_that_are_there() -> None:
    text = (ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([A-Z][a-z]+[A-Z][A-Za-z]*)`", text))
    assert {"BuiltinQueries", "CommonOptions", "TableRow"} <= named
    folders = ("eventstore", "projections", "gateways")
    code = "".join(path.read_text(encoding="utf-8") for folder in folders for path in (ROOT / folder).rglob("*.py"))
    assert sorted(name for name in named if not re.search(rf"\bclass {name}\b", code)) == []


def is_there(name: str) -> bool:
    """Return whether a path names a folder, a file or a module; NAME in it stands for any."""
    pattern = name.rstrip("/").replace("NAME", "*")
    return any(ROOT.glob(pattern)) or any(ROOT.glob(f"{pattern}.py"))


def test_the_lock_names_versions_and_hashes_and_no_address() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "--hash=sha256:" in lock
    assert "://" not in lock
