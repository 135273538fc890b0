"""The documentation as a site: built without a warning, every public name in it, nothing from another host."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.install.lock import ROOT
from tests.once import made_once

pytestmark = pytest.mark.install

CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
VENDORED = {
    "docs/site/iframe-worker.js": "e8e412dbcfea9b7e31b5ffa288d7b6035915e714c542f4176a0cdbe262fc9609",
    "docs/site/LICENSE.iframe-worker": "dd69737a4768aab9f934a5aed9efab9561ac4062d4fdbe490d44369a2cf48b6b",
}
"""Of the npm package iframe-worker 1.0.4 (MIT): search in pages that are opened as files."""
# What a page loads by itself, unlike a link that a reader follows.
LOADED = re.compile(
    r"<(?:script|img|iframe)\b[^>]*\ssrc=\"?(?P<source>[^\" >]+)|<link\b[^>]*\shref=\"?(?P<link>[^\" >]+)"
)
MODULES = re.findall(r"reference/([\w.]+)\.md", (ROOT / "mkdocs.yaml").read_text(encoding="utf-8"))


def build(project: Path, target: Path) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(target)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(project)}
    return subprocess.run(line, cwd=project, env=environment, capture_output=True, text=True, check=False, timeout=400)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_once(tmp_path_factory, "site", _build_site)


def _build_site(target: Path) -> None:
    built = build(ROOT, target)
    assert (built.stdout, built.stderr, built.returncode) == ("", "", 0)


def pages(site: Path) -> Iterator[Path]:
    return site.rglob("*.html")


def test_the_readme_is_the_front_page(site: Path) -> None:
    front = (site / "index.html").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+)$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert [heading for heading in headings if heading not in front] == []
    assert 'href="RISK.html' in front


def test_every_document_is_a_page(site: Path) -> None:
    documents = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert {path.stem for path in site.glob("*.html")} == documents | {"index", "CHANGELOG", "404"}
    assert len(list((site / "notebooks").glob("*.html"))) == 5


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_is_in_the_reference(site: Path, module: str) -> None:
    page = (site / "reference" / f"{module}.html").read_text(encoding="utf-8")
    names = importlib.import_module(module).__all__
    assert names
    assert [name for name in names if f'id="{module}.{name}"' not in page] == []


def test_nothing_is_loaded_from_another_host(site: Path) -> None:
    loaded = {
        (page.name, found["source"] or found["link"])
        for page in pages(site)
        for found in LOADED.finditer(page.read_text(encoding="utf-8"))
    }
    assert len(loaded) > 50
    assert {(page, address) for page, address in loaded if re.match(r"(?:https?:)?//", address)} == set()
    for style in site.rglob("*.css"):
        assert re.findall(r"url\(['\"]?(?:https?:)?//", style.read_text(encoding="utf-8")) == [], style


def test_no_block_of_code_is_left_as_text(site: Path) -> None:
    assert [page.name for page in pages(site) if "```" in page.read_text(encoding="utf-8")] == []
    assert '<span class="filename">check.py</span>' in (site / "FORMAT.html").read_text(encoding="utf-8")


def test_the_index_for_search_is_with_the_pages(site: Path) -> None:
    script = (site / "search" / "search_index.js").read_text(encoding="utf-8")
    found = json.loads(script.removeprefix("var __index = "))
    assert {"RISK.html", "reference/eventstore.html"} <= {each["location"].partition("#")[0] for each in found["docs"]}


def test_search_answers_in_a_page_that_is_opened_as_a_file(site: Path) -> None:
    if shutil.which(CHROMIUM) is None:
        if os.environ.get("CI") == "true":
            pytest.fail("chromium is not installed: apt-get install chromium", pytrace=False)
        pytest.skip("chromium is not installed: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        page = browser.new_page()
        asked: list[str] = []
        problems: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.goto((site / "index.html").as_uri())
        page.locator("input.md-search__input").fill("lockout")
        page.wait_for_selector(".md-search-result__item", timeout=30_000)
        assert page.locator(".md-search-result__item").count() > 3
        browser.close()
    assert problems == []
    assert [url for url in asked if url.startswith("http")] == []


def test_a_link_that_leads_nowhere_stops_the_build(checkout: Path, tmp_path: Path) -> None:
    config = checkout / "mkdocs.yaml"
    # Without the reference, which takes most of the time.
    text = re.sub(r"^ +- [\w.]+: reference/.*\n", "", config.read_text(encoding="utf-8"), flags=re.MULTILINE)
    config.write_text(text.replace("  - Reference:\n", ""), encoding="utf-8")
    document = checkout / "docs" / "RISK.md"
    right = document.read_text(encoding="utf-8")
    whole = build(checkout, tmp_path / "whole")
    assert whole.returncode == 0, whole.stdout + whole.stderr
    for wrong in (
        "[a](NOWHERE.md)",
        "[a](#nowhere-in-this-page)",
        "[a](ALERTS.md#nowhere)",
        "[a](../examples/nowhere.py)",
    ):
        document.write_text(f"{right}\n\n{wrong}\n", encoding="utf-8")
        stopped = build(checkout, tmp_path / "site")
        assert stopped.returncode == 1, wrong
        assert "nowhere" in (stopped.stdout + stopped.stderr).lower(), wrong


def test_what_is_not_ours_is_as_it_was_published() -> None:
    assert {path: hashlib.sha256((ROOT / path).read_bytes()).hexdigest() for path in VENDORED} == VENDORED
