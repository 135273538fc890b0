"""The project's own rules, checked on every file: sizes, docstrings, exports, words, exact figures, commands."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, get_args

import msgspec
import pytest
from typer.main import get_command

from eventstore import trading

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
LONGER = {
    # An auditor reads it whole and carries it alone: it may import nothing of this project.
    Path("eventstore/proofs/standalone/verify_bundle.py"): 1_080,
}
"""Files that are one subject and longer than others, each with its own limit and the reason for it."""

CODE = ("eventstore", "projections", "gateways", "benchmarks", "tests")
PROSE = (".ci", "compose", "docs", "notebooks")
WRITTEN_SUFFIXES = {".ipynb", ".lock", ".md", ".py", ".sh", ".toml", ".yaml", ".yml"}
WRITTEN_NAMES = {".gitignore", "Makefile", "run"}

# Each pattern is written so that it does not match itself here.
UNFINISHED = re.compile(r"\b(?:TO[D]O|FIX[M]E)\b")
MACHINE_PATH = re.compile(r"(?<![\w.}>~-])/(?:root/|(?:work|farm)\b)")
SHIPPED = ("eventstore", "projections", "gateways")
# Plain words stand in all Python files (names and comments too) and in these.
SPOKEN = ("README.md", "CHANGELOG.md", "Makefile", "docs/*.md", "compose/**/*", "compose/.env.example", ".ci/*")
PLAIN_WORDS = {
    r"(?:un)?told": "reported, recorded, received, stated; unknown, missing",
    r"(?:is|are|was|were|be) wanted": "expected",
    r"(?<!there\s)(?:is|are) no (?!longer|more)": "is not a",
    r"nobody (?:tells|says|knows|told|said)": "X is missing, X is unknown",
    r"surpris\w+": "anomaly",
    r"mend(?:s|ed|ing)?": "fix",
    r"anew": "again, restart",
    r"doors?": "interface",
    r"talk to": "diagnostics go to",
    r"misused": "usage error",
    r"beside (?:its|a|their) comparisons?": "with its baseline",
    r"no record fits": "no matching records",
    r"endless lockouts?": "lockout without end date",
    r"goes on": "continues, resumes",
    r"whoever": "the user, the process or the thread that",
    r"strange": "unknown, unexpected",
    r"what(?: all)? there is": "contents, counts, what exists",
    r"(?:is|are) well(?![- ]formed)": "healthy, in order",
    r"at the most": "at most",
    r"for ever": "forever",
    r"tells? whether": "return whether",
}
"""Words that STYLE replaces, as patterns, each with what to write instead."""
LOCK_ADDRESS = re.compile(r"\w://|^\s*-(?!-hash=sha256:)|\s@\s")


def test_the_rules_see_the_code() -> None:
    assert Path(__file__).resolve() in python_files()
    assert ROOT / "eventstore" / "__init__.py" in python_files()
    assert {ROOT / "Makefile", ROOT / ".ci" / "run", ROOT / "requirements.lock"} <= set(text_files())


def test_a_file_fits_in_the_head() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in python_files()}
    report(
        [
            place(path, length, f"{length} lines, {FILE_LINES_MAX} at most: split it by subject")
            for path, length in lengths.items()
            if length > LONGER.get(path.relative_to(ROOT), FILE_LINES_MAX)
        ]
    )


@pytest.mark.slow
def test_a_function_fits_on_a_page() -> None:
    problems = []
    for path in python_files():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > FUNCTION_LINES_MAX:
                    cure = f"{node.name} has {length} lines, {FUNCTION_LINES_MAX} at most: split it"
                    problems.append(place(path, node.lineno, cure))
    report(problems)


@pytest.mark.slow
def test_a_module_says_what_it_is_for() -> None:
    problems = []
    for path in python_files():
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        if not docstring.strip():
            problems.append(place(path, 1, "no docstring: say in one line what the module is for"))
    report(problems)


@pytest.mark.parametrize("package", ["eventstore", "projections"])
def test_a_package_is_its_table_of_contents(package: str) -> None:
    """Imports and `__all__`, nothing else; each public name in both; `__all__` in the order ruff sorts it (RUF022)."""
    path = ROOT / package / "__init__.py"
    imported: dict[str, int] = {}
    exported: dict[str, int] = {}
    problems = []
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        match node:
            case ast.ImportFrom(module="__future__") | ast.Expr(value=ast.Constant(value=str())):
                pass
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                imported |= {alias.asname or alias.name.partition(".")[0]: node.lineno for alias in names}
            case ast.Assign(targets=[ast.Name(id="__all__")], value=ast.List(elts=elements)):
                exported = {ast.literal_eval(element): element.lineno for element in elements}
            case _:
                problems.append(place(path, node.lineno, "neither an import nor `__all__ = [...]`: move it"))
    public = {name: line for name, line in imported.items() if not name.startswith("_")}
    problems += [place(path, public[name], f"{name} is not in __all__") for name in public.keys() - exported.keys()]
    problems += [place(path, exported[name], f"{name} is not imported") for name in exported.keys() - imported.keys()]
    if list(exported) != sorted(exported, key=contents_order):
        line = min(exported.values())
        problems.append(place(path, line, f"__all__ is not sorted: {sorted(exported, key=contents_order)}"))
    report(problems)


def contents_order(name: str) -> tuple[int, list[tuple[int, str]]]:
    """Sort constants first, then classes, then the rest; digits in a name by their value."""
    kind = 0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2
    return kind, [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name) if part]


def test_the_vocabulary_is_exact() -> None:
    """A price, quantity or amount is a Decimal: a float could not say 0.1."""
    classes = sorted(vocabulary(), key=lambda cls: cls.__qualname__)
    assert classes, "eventstore.trading defines no msgspec.Struct"
    problems = []
    for cls in classes:
        for field in msgspec.structs.fields(cls):
            if float in types_within(field.type, frozenset()):
                path = Path(inspect.getfile(cls))
                line = inspect.getsourcelines(cls)[1]
                problems.append(place(path, line, f"{cls.__name__}.{field.name} may be a float: make it a Decimal"))
    report(problems)


def vocabulary() -> set[type[msgspec.Struct]]:
    modules = [trading]
    found = pkgutil.walk_packages(getattr(trading, "__path__", ()), trading.__name__ + ".")
    modules += [importlib.import_module(info.name) for info in found]
    return {
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, msgspec.Struct) and value.__module__ == module.__name__
    }


def types_within(annotation: object, seen: frozenset[object]) -> Iterator[object]:
    """Yield a type and all it is made of: members of unions and containers, fields of structs."""
    yield annotation
    parts: list[object] = list(get_args(annotation))
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct) and annotation not in seen:
        seen |= {annotation}
        parts += [field.type for field in msgspec.structs.fields(annotation)]
    for part in parts:
        yield from types_within(part, seen)


@pytest.mark.slow
def test_a_class_name_stands_for_one_thing() -> None:
    """Private names count too: two classes of one name are looked up, and mistaken, for one another.

    The benchmarks write the vocabulary once more, in the classes of the library that they compare with.
    """
    places: dict[str, list[str]] = {}
    for path in sorted(path for folder in SHIPPED for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(place(path, node.lineno, node.name))
    report([" and ".join(found) for found in places.values() if len(found) > 1])


@pytest.mark.slow
def test_all_text_is_plain_english() -> None:
    """Messages, docstrings, comments and names; this file alone has to hold the words that it looks for."""
    spoken = {path for pattern in SPOKEN for path in ROOT.glob(pattern) if path.is_file()}
    paths = sorted({*python_files(), *spoken} - {Path(__file__).resolve()})
    problems = [problem for path in paths for problem in unplain(path, 1, path.read_text(encoding="utf-8"))]
    for path in set(paths) & set(python_files()):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            # Once more by its value: a message may be written in several parts, on as many lines.
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.end_lineno != node.lineno:
                problems += unplain(path, node.lineno, node.value)
    report(sorted(set(problems)))


PLAIN_PATTERNS = [
    (re.compile(rf"\b{words}\b" if words[-1].isalnum() else rf"\b{words}", re.IGNORECASE), instead)
    for words, instead in PLAIN_WORDS.items()
]


def unplain(path: Path, line: int, text: str) -> list[str]:
    words_of_names = text.replace("_", " ")
    return [
        place(path, line + text.count("\n", 0, match.start()), f"{match[0]!r}: write {instead}")
        for pattern, instead in PLAIN_PATTERNS
        for match in pattern.finditer(words_of_names)
    ]


def test_the_plain_words_find_what_they_are_for() -> None:
    for sentence in ("nobody told the balance", "a date is wanted", "'5x' is no time", "it surprised", "mend it and"):
        assert unplain(ROOT, 1, sentence), sentence
    for sentence in ("def is_told(", "a_text_that_is_no_time", "the fold goes on", "# whoever", "the files are well"):
        assert unplain(ROOT, 1, sentence), sentence
    for sentence in ("there is no log", "is no longer open", "wanted: a date", "recommended", "it is not a time"):
        assert not unplain(ROOT, 1, sentence), sentence
    for sentence in ("are_well_formed", "log=stranger", "if there_is_no_log"):
        assert not unplain(ROOT, 1, sentence), sentence


def test_nothing_is_left_unfinished() -> None:
    report(lines_matching(UNFINISHED, text_files(), "finish it, or open an issue"))


def test_no_file_knows_this_machine() -> None:
    report(lines_matching(MACHINE_PATH, text_files(), "a path of one machine: derive it, or name it relatively"))


def test_the_lock_names_no_address() -> None:
    lock = ROOT / "requirements.lock"
    report(lines_matching(LOCK_ADDRESS, [lock], "an address or an option of the installer: run `make lock`"))
    assert "--hash=sha256:" in lock.read_text(encoding="utf-8"), "requirements.lock holds no hashes: run `make lock`"


@pytest.mark.slow
def test_every_command_is_documented() -> None:
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    # The word alone would be found in any prose: a command stands as `NAME ...` or as `eventstore NAME ...`.
    report(
        [
            place(readme, 1, f"the command `eventstore {name}` is not mentioned, in backticks or after `eventstore`")
            for name in commands()
            if not re.search(rf"(?:`|\beventstore ){re.escape(name)}(?![\w-])", text)
        ]
    )


def commands() -> list[str]:
    app: Any = importlib.import_module("gateways.cli").app
    if isinstance(app, ModuleType):
        app = app.app
    return list(command_names(get_command(app), ""))


def command_names(group: Any, prefix: str) -> Iterator[str]:  # noqa: ANN401 - typer's own copy of click is private
    """Yield `verify`, and `key add` for a command in a group."""
    for name, command in group.commands.items():
        if command.hidden:
            continue
        if hasattr(command, "commands"):
            yield from command_names(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}"


def python_files() -> list[Path]:
    return sorted(path for folder in CODE for path in (ROOT / folder).rglob("*.py"))


def text_files() -> list[Path]:
    """Return every file that people write, and the lock; nothing that a tool left behind."""
    found = list(ROOT.iterdir())
    for folder in (*CODE, *PROSE):
        found += (ROOT / folder).rglob("*")
    written = [path for path in found if path.suffix in WRITTEN_SUFFIXES or path.name in WRITTEN_NAMES]
    return sorted(path for path in written if path.is_file() and ".ipynb_checkpoints" not in path.parts)


def place(path: Path, line: int, what: str) -> str:
    return f"{path.relative_to(ROOT)}:{line}: {what}"


def report(problems: list[str]) -> None:
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


def lines_matching(pattern: re.Pattern[str], paths: list[Path], cure: str) -> list[str]:
    return [
        place(path, number, f"{match[0].strip()!r}: {cure}")
        for path in paths
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if (match := pattern.search(line))
    ]
