"""Prints the part of a lock file that an installation needs: what some extras or groups require, and nothing else.

    python requirements.py requirements.lock pyproject.toml http cli >runtime.lock

The lock names every package with versions and hashes, those for tests and documents too. Each entry says which others
require it, so the part is found without resolving anything: what is printed is as pinned as the whole.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_PROJECT = re.compile(r"\(pyproject\.toml[^)]*\)")


class Entry(NamedTuple):
    """One package of the lock: its lines as they stand, and the packages that require it."""

    text: str
    required_by: frozenset[str]


def main(arguments: list[str]) -> int:
    """Print the entries of the lock that the named extras and groups need."""
    if len(arguments) < 2:  # noqa: PLR2004 - the two files
        print("usage: requirements.py LOCK PYPROJECT [EXTRA_OR_GROUP ...]", file=sys.stderr)
        return 2
    lock, project, *wanted = arguments
    entries = entries_of(Path(lock).read_text(encoding="utf-8"))
    roots = roots_of(tomllib.loads(Path(project).read_text(encoding="utf-8")), wanted)
    if missing := sorted(roots - set(entries)):
        print(f"{lock} lacks {', '.join(missing)}: run `make lock`", file=sys.stderr)
        return 1
    for name in sorted(needed(entries, roots)):
        print(entries[name].text, end="")
    return 0


def entries_of(lock: str) -> dict[str, Entry]:
    """Return the entries of a lock by the normalized names of their packages."""
    found = {}
    for text in re.split(r"^(?=[A-Za-z0-9])", lock, flags=re.MULTILINE)[1:]:
        comments = text.partition("# via")[2]
        required_by = (line.strip("# \n") for line in comments.splitlines())
        named = frozenset(each for each in required_by if each and not _PROJECT.search(each))
        found[_normal(text)] = Entry(text, named)
    return found


def roots_of(project: dict[str, Any], wanted: list[str]) -> set[str]:
    """Return what a project itself, and its extras or groups of these names, require directly."""
    extras = project["project"].get("optional-dependencies", {}) | project.get("dependency-groups", {})
    if unknown := sorted(set(wanted) - set(extras)):
        msg = f"no extra or group is named {', '.join(unknown)}"
        raise SystemExit(msg)
    # A group is installed beside the project, or, to build it, without it.
    own = project["project"]["dependencies"] if set(wanted) - set(project.get("dependency-groups", {})) else []
    return {_normal(each) for each in [*own, *(one for name in wanted for one in extras[name])]}


def needed(entries: dict[str, Entry], roots: set[str]) -> set[str]:
    """Return the names of some packages and of all that these require."""
    requires: dict[str, set[str]] = {}
    for name, entry in entries.items():
        for other in entry.required_by:
            requires.setdefault(_normal(other), set()).add(name)
    found: set[str] = set()
    left = list(roots)
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += requires.get(name, ())
    return found


def _normal(requirement: str) -> str:
    """Return the normalized name (PEP 503) that a requirement begins with."""
    found = _NAME.match(requirement)
    if found is None:
        msg = f"not a requirement: {requirement!r}"
        raise SystemExit(msg)
    return re.sub(r"[-_.]+", "-", found[0]).lower()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
