"""The notebooks run from scratch, on one demo day, and are stored without outputs."""

from __future__ import annotations

import csv
import json
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typing_extensions import override

import eventstore
from eventstore.trading import LockoutSet
from gateways.demo.day import EVENTS, INSTRUMENTS, TICKS
from gateways.demo.history import demo_day
from projections import analysis
from tests.notebooks.running import NOTEBOOKS, ROOT, printed, read, run

CODE_LINES_MAX = 14
SAID = {
    "01_replay_a_day": "19,651 events",
    "02_why_was_i_locked_out": "set by kim@risk-desk at position 8",
    "03_frames_and_sql": "(Decimal('16017.500000000'), Decimal('16017.50'))",
    "04_what_if": "would not have been",
    "05_prove_it": "False at position",
}
"""What each notebook shows, among other things: a figure that its text speaks of."""


def by_name(path: Path) -> str:
    return path.stem


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory, demo_directory: Path) -> Path:
    """A directory with the demo's day, which all notebooks share."""
    directory = tmp_path_factory.mktemp("notebooks")
    shutil.copytree(demo_directory, directory / "demo")
    return directory


@pytest.mark.slow
@pytest.mark.untraced
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=by_name)
def test_a_notebook_runs_from_scratch(notebook: Path, directory: Path) -> None:
    before = sorted(directory.rglob("*"))
    assert SAID[notebook.stem] in printed(run(notebook, directory))
    assert [path for path in sorted(directory.rglob("*")) if path not in before] == []


def test_the_day_is_there_whole_and_is_not_played_again(directory: Path) -> None:
    demo = demo_day(directory / "demo")
    with eventstore.open(demo.data, read_only=True) as store:
        assert store.head() == EVENTS
        assert [record.account for record in store.read(types=LockoutSet)] == ["ACC2"]
    with demo.prices.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == TICKS * len(INSTRUMENTS)
    assert [path.name for path in directory.iterdir()] == ["demo"]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=by_name)
def test_a_notebook_is_stored_without_outputs(notebook: Path) -> None:
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        assert cell.get("outputs", []) == []
        assert cell.get("execution_count") is None
        assert cell["metadata"] == {}


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=by_name)
def test_a_notebook_s_cells_are_short_and_begin_with_what_to_see(notebook: Path) -> None:
    cells = read(notebook).cells
    assert cells[0].cell_type == "markdown"
    assert cells[0].source.startswith("# ")
    for cell in cells:
        if cell.cell_type == "code" and "import eventstore" not in cell.source:
            assert len(cell.source.splitlines()) <= CODE_LINES_MAX, cell.source


def test_there_is_a_page_of_each_notebook_and_none_is_large() -> None:
    pages = {path.stem: path for path in (ROOT / "docs" / "notebooks").glob("*.html")}
    assert sorted(pages) == [notebook.stem for notebook in NOTEBOOKS]
    for page in pages.values():
        text = page.read_text(encoding="utf-8")
        assert len(text.encode()) < 400_000
        assert "http" not in text.replace("http://www.w3.org", "")
        assert str(Path.home()) not in text
        assert "CellExecutionError" not in text


def test_a_page_has_the_cells_of_its_notebook() -> None:
    """A page that was rendered before its notebook changed is found here: `make pages` renders it again."""
    for notebook in NOTEBOOKS:
        page = (ROOT / "docs" / "notebooks" / f"{notebook.stem}.html").read_text(encoding="utf-8")
        shown = "".join(character for character in _text(page) if not character.isspace())
        for cell in read(notebook).cells:
            if cell.cell_type == "code":
                assert "".join(cell.source.split()) in shown, f"{notebook.name}: run make pages"


class _Texts(HTMLParser):
    """The text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []

    @override
    def handle_data(self, data: str) -> None:
        self.parts.append(data)


def _text(page: str) -> str:
    parser = _Texts()
    parser.feed(page)
    return "".join(parser.parts)


def test_the_names_that_notebooks_use_are_public() -> None:
    code = "".join(cell.source for notebook in NOTEBOOKS for cell in read(notebook).cells if cell.cell_type == "code")
    for name in ("Replay", "equity", "events", "fills", "lockouts", "positions", "round_trips", "sql"):
        if f"analysis.{name}(" in code:
            assert name in analysis.__all__, name
