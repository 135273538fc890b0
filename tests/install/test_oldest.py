"""Frames with the oldest libraries that the project and its extra `analysis` take; the other tests have the newest."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.install.lock import ROOT

pytestmark = [
    pytest.mark.install,
    pytest.mark.slow,
    pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="tests/install/oldest.lock is for Python 3.11"),
]

OLDEST = ROOT / "tests" / "install" / "oldest.lock"


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an environment like this one, but with the oldest libraries of frames before all others."""
    directory = tmp_path_factory.mktemp("oldest")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(directory)], check=True)
    found = directory / "bin" / "python"
    own = Path(sysconfig.get_path("purelib", vars={"base": str(directory), "platbase": str(directory)}))
    # Read after what is installed there: what is pinned below comes first, and pytest from here.
    (own / "rest.pth").write_text(sysconfig.get_path("purelib"), "utf-8")
    line = [sys.executable, "-m", "pip", "--python", str(found), "install", "--quiet", "--no-compile", "--no-deps"]
    line += ["--ignore-installed", "--disable-pip-version-check", "--only-binary", ":all:", "--require-hashes"]
    ended = subprocess.run([*line, "--requirement", str(OLDEST)], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return found


def test_frames_are_the_same_with_the_oldest_libraries(python: Path) -> None:
    shown = "import pandas, polars, pyarrow; print(pandas.__version__, polars.__version__, pyarrow.__version__)"
    used = subprocess.run([python, "-c", shown], capture_output=True, text=True, check=True).stdout.split()
    assert all(f"{name}=={version}" in OLDEST.read_text("utf-8") for name, version in zip(
        ("pandas", "polars", "pyarrow"), used, strict=True
    ))  # fmt: skip
    files = ["test_events.py", "test_conversions.py", "test_selection.py", "test_sql.py", "test_sql_pushdown.py"]
    line = [str(python), "-m", "pytest", "--quiet", "-p", "no:cacheprovider", "-p", "no:xdist"]
    # Plugins of tests that this does not run, which need newer libraries than these.
    line += ["-p", "no:schemathesis", "-p", "no:anyio"]
    line += [str(ROOT / "tests" / "analysis" / name) for name in files]
    ended = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout[-5_000:]
