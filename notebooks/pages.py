"""Runs the notebooks from scratch, and writes them as pages in docs/notebooks, with the picture of the README.

    python notebooks/pages.py

The pages need no other file and no network. The notebooks themselves stay without outputs.
"""

from __future__ import annotations

import base64
import io
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from PIL import Image
from pygments.formatters import HtmlFormatter

from gateways.demo.history import demo_day
from projections import analysis

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PAGES = ROOT / "docs" / "notebooks"
PICTURE = ROOT / "docs" / "images" / "equity.png"
CELL_SECONDS_MAX = 120
PAGE_BYTES_MAX = 400_000
PICTURE_DPI = 110
COLOURS = 64

_STYLE = """
:root{color-scheme:light dark}
body{margin:0 auto;padding:1.5rem;max-width:62rem;font:15px/1.55 system-ui,sans-serif;color:#1b1b1b;background:#fff}
a{color:inherit}a.anchor-link{display:none}img{max-width:100%;height:auto;border-radius:.3rem}
pre{margin:0;white-space:pre-wrap;overflow-wrap:anywhere;font-size:.85rem}
.highlight{background:#f5f5f4;padding:.6rem .8rem;border-radius:.3rem;margin:.8rem 0 .4rem}
.jp-OutputArea-output{overflow-x:auto;margin:.4rem 0}
table{border-collapse:collapse;font-size:.85rem;font-variant-numeric:tabular-nums}
th,td{padding:.15rem .7rem;border-bottom:1px solid #8884;text-align:left}
@media(prefers-color-scheme:dark){body{color:#e9e9e7;background:#161616}.highlight{background:#242424}}
"""


def executed(notebook: Path, directory: Path) -> Any:
    """Return a notebook with its outputs, run by a kernel of its own in a directory."""
    node = nbformat.read(notebook, as_version=4)
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    NotebookClient(
        node,
        timeout=CELL_SECONDS_MAX,
        kernel_name="python3",
        resources={"metadata": {"path": str(directory)}},
    ).execute()
    return node


def shrink(node: Any) -> None:
    """Leave out progress, and give pictures as few colours as they need: a third of the bytes."""
    for cell in node.cells:
        if "outputs" in cell:
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                picture = Image.open(io.BytesIO(base64.b64decode(output.data["image/png"]))).convert("RGB")
                smaller = io.BytesIO()
                picture.quantize(COLOURS).save(smaller, format="png", optimize=True)
                output.data["image/png"] = base64.b64encode(smaller.getvalue()).decode()


def page(node: Any, title: str) -> str:
    """Return an executed notebook as a page."""
    exporter = HTMLExporter(template_name="basic", exclude_input_prompt=True, exclude_output_prompt=True)
    body, _ = exporter.from_notebook_node(node)
    light = HtmlFormatter(style="default").get_style_defs(".highlight")
    dark = HtmlFormatter(style="github-dark").get_style_defs(".highlight")
    # The background of the code is the page's.
    colours = [line for line in light.splitlines() if not line.startswith((".highlight {", "pre", "td", "span"))]
    dark_colours = [line for line in dark.splitlines() if not line.startswith((".highlight {", "pre", "td", "span"))]
    style = "\n".join([_STYLE, *colours, "@media(prefers-color-scheme:dark){", *dark_colours, "}"])
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width,initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{style}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def draw_picture(directory: Path) -> None:
    """Write the picture of the README: an account's equity, up to its lockout."""
    demo = demo_day(directory / "demo")
    prices = pd.read_csv(demo.prices, parse_dates=["at"])
    ax = analysis.plot.equity(demo.data, "ACC2", prices=prices, stale_after=pd.Timedelta("1min"))
    PICTURE.parent.mkdir(exist_ok=True)
    ax.figure.savefig(PICTURE, dpi=PICTURE_DPI, metadata={"Software": None})
    print(f"{PICTURE.relative_to(ROOT)}: {PICTURE.stat().st_size:,} bytes")


def main() -> int:
    """Write every page and the picture; return 1 if one is too large or names a place of this machine."""
    problems = []
    PAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        draw_picture(directory)
        for notebook in NOTEBOOKS:
            node = executed(notebook, directory)
            shrink(node)
            text = page(node, notebook.stem)
            if str(directory) in text or str(ROOT) in text or str(Path.home()) in text:
                problems.append(f"{notebook.name} shows a path of this machine")
            target = PAGES / f"{notebook.stem}.html"
            target.write_text(text, encoding="utf-8")
            size = target.stat().st_size
            print(f"{target.relative_to(ROOT)}: {size:,} bytes")
            if size > PAGE_BYTES_MAX:
                problems.append(f"{target.name} has {size:,} bytes, {PAGE_BYTES_MAX:,} at most")
    print("\n".join(problems), file=sys.stderr, end="\n" if problems else "")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
