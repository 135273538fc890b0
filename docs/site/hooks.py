"""What the site has beside the files in docs: the README as its front page, and a reference of public names."""

from __future__ import annotations

import importlib
import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File, Files

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig

ROOT = Path(__file__).resolve().parents[2]
REPOSITORY_FILES = re.compile(r"\]\((?:\.\./)?(?P<path>(?:examples|compose|LICENSE)[^)#]*)\)")
MARKED_FENCE = re.compile(r"^( *)```(\w+) (\S+)$", re.MULTILINE)
"""A block that says how it is tested, or as which file it is saved: of these only files' names are shown."""
REFERENCE = re.compile(r"reference/(?P<module>[\w.]+)\.md")


def on_startup(**_: object) -> None:
    """Print warnings alone. The option --quiet would silence these too, and --strict would not see them."""
    logging.getLogger("mkdocs").setLevel(logging.WARNING)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages, and the files that documents link to outside of docs."""
    for source, target in {"README.md": "index.md", "CHANGELOG.md": "CHANGELOG.md"}.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, target, content=text.replace("](docs/", "](")))
    for module in REFERENCE.findall((ROOT / "mkdocs.yaml").read_text(encoding="utf-8")):
        files.append(File.generated(config, f"reference/{module}.md", content=reference(module)))
    linked = {path for file in files.documentation_pages() for path in REPOSITORY_FILES.findall(file.content_string)}
    # One that is missing is left out, and stops the build as any link that leads nowhere.
    for path in sorted(path for path in linked if (ROOT / path).is_file()):
        files.append(File.generated(config, path, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """Return a page with links to the copies that the site has, and its blocks of code as the builder knows them."""
    return MARKED_FENCE.sub(_fence, REPOSITORY_FILES.sub(r"](\g<path>)", markdown))


def _fence(found: re.Match[str]) -> str:
    indent, language, mark = found.groups()
    return f"{indent}```{language}" + (f' title="{mark}"' if "." in mark else "")


def reference(module: str) -> str:
    """Return the page of a package: its table of contents, as `__all__` has it, and each name's docstring."""
    package = importlib.import_module(module)
    # What a reader looks for first: functions, then classes, constants last.
    names = sorted(package.__all__, key=lambda name: (name.isupper(), name[:1].isupper()))
    first = (package.__doc__ or "").strip().split("\n\n")[0]
    return f"# {module}\n\n{first}\n\n" + "\n".join(f"::: {module}.{name}\n" for name in names)
