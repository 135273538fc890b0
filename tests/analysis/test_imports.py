"""The libraries of the extra are imported when they are first used: each takes tenths of a second."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("duckdb", "matplotlib", "numpy", "pandas", "polars", "pyarrow", "tqdm")


def test_the_package_imports_none_of_its_libraries() -> None:
    code = f"import sys; import projections.analysis; print(sorted(set(sys.modules) & set({HEAVY})))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.strip() == "[]"


def test_a_library_that_is_missing_is_named_with_its_extra() -> None:
    code = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "from projections.analysis.libraries import arrow\n"
        "try:\n    arrow()\nexcept ImportError as error:\n    print(error)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert "analysis" in found.stdout
    assert "pip install" in found.stdout
