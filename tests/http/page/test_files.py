"""The page's files: nothing inline, nothing from elsewhere or outside the folder; vendored ones as released."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateways.http.page.files import FOLDER, POLICY, contents
from tests.http.serving import Running, running

OWN = sorted(
    path for path in FOLDER.rglob("*") if path.suffix in {".js", ".css", ".html"} and "vendor" not in path.parts
)
VENDORED = (FOLDER / "vendor", Path(__file__).parent / "vendor")
LINES_MAX = 400


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("files")) as found:
        yield found


@pytest.mark.parametrize(
    "name",
    [
        "../files.py",
        "..%2Ffiles.py",
        "%2e%2e/files.py",
        "files.py",
        "js",
        "",
        "nothing.js",
        "/etc/passwd",
        "js/../../files.py",
    ],
)
def test_no_file_but_the_pages_own_is_served(service: Running, name: str) -> None:
    answer = service.client.get(f"/app/files/{name}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_an_unknown_view_is_not_found(service: Running) -> None:
    answer = service.client.get("/app/nowhere")
    assert answer.status_code == 404
    assert "now, timeline, as-of, health" in answer.json()["detail"]


def test_the_front_leads_to_the_page(service: Running) -> None:
    answer = service.client.get("/")
    assert (answer.status_code, answer.headers["location"]) == (302, "/app/now")


@pytest.mark.parametrize("name", sorted(contents()))
def test_each_file_is_served_with_its_type_and_a_tag(service: Running, name: str) -> None:
    path = "/app/now" if name == "index.html" else f"/app/files/{name}"
    answer = service.client.get(path)
    assert answer.status_code == 200
    assert answer.content == (FOLDER / name).read_bytes()
    assert answer.headers["x-content-type-options"] == "nosniff"
    again = service.client.get(path, headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_the_policy_lets_in_nothing_inline_and_nothing_from_elsewhere(service: Running) -> None:
    assert service.client.get("/app/now").headers["content-security-policy"] == POLICY
    assert "unsafe" not in POLICY
    assert "default-src 'self'" in POLICY


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_nothing_is_inline_and_no_text_becomes_markup(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for pattern in (
        r"\binnerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function\b",
        r"<style|\sstyle=|setAttribute\(\"style\"|\bon[a-z]+=\"",
        r"<script(?![^>]*\ssrc=)",
        r"https?://(?!www\.w3\.org/2000/svg)",
    ):
        assert re.search(pattern, text) is None, f"{path.name}: {pattern}"


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_a_file_of_the_page_fits_in_the_head(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= LINES_MAX
    assert path.suffix == ".html" or lines[0].startswith(("// ", "/* ")), "its first line says what it is for"


@pytest.mark.parametrize("folder", VENDORED, ids=["page", "tests"])
def test_vendored_files_are_those_released_with_their_licence(folder: Path) -> None:
    lines = (folder / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    listed = {name: digest for digest, name in (line.split("  ") for line in lines)}
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - {"SHA256SUMS"}
    assert set(listed) == present
    for name, digest in listed.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, name
    assert any("LICENSE" in name for name in listed)
