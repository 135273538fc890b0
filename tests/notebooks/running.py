"""Runs a notebook from scratch, in a kernel of its own."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
CELL_SECONDS_MAX = 120


def read(notebook: Path) -> Any:  # noqa: ANN401 - nbformat has no types
    # Here, and not where the tests are collected: it parses grammars for seconds.
    import nbformat

    return nbformat.read(notebook, as_version=4)  # type: ignore[no-untyped-call]


def run(notebook: Path, directory: Path, environment: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401 - the same
    """Return a notebook with its outputs, run in a directory; raise CellExecutionError for a cell that fails."""
    from nbclient import NotebookClient

    node = read(notebook)
    client = NotebookClient(
        node, timeout=CELL_SECONDS_MAX, kernel_name="python3", resources={"metadata": {"path": str(directory)}}
    )
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    client.execute(env={**os.environ, **(environment or {}), "PYTHONPATH": path})
    return node


def printed(node: Any) -> str:  # noqa: ANN401 - the same
    """Return all that the cells of a notebook print, and the texts of their values."""
    text = ""
    for cell in node.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "stream":
                # One print may come in several parts, wherever the kernel's clock has cut it.
                text += output.text if output.name == "stdout" else ""
            else:
                text += f"\n{output.get('data', {}).get('text/plain', '')}\n"
    return text
