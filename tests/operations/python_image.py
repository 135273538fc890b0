"""The files of an image that stands for Python's official one, which cannot be had everywhere: this machine's Python.

`python -m tests.operations.python_image DIRECTORY` writes them: the interpreter and its library under /usr/local, pip,
the few commands that the Dockerfile and compose/ run, the libraries that all of these load, and the wheels that the
lock names for the image. Pip takes packages from there and from nowhere else.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

from tests.operations.image import ROOT, arguments_of, stages

COMMANDS = ("sh", "install", "mv", "useradd")
TAKEN_FOR_GRANTED = (
    *("libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1", "libutil.so.1"),
    *("libstdc++.so.6", "libgcc_s.so.1", "libz.so.1"),
)
"""Libraries that a wheel may load without bringing them along (PEP 513)."""
DATA = ("/usr/share/zoneinfo", "/usr/share/python-wheels", "/etc/login.defs")
WHEELS = "index"
FILES = {
    "etc/passwd": "root:x:0:0::/root:/bin/sh\n",
    "etc/group": "root:x:0:\n",
    "etc/shadow": "root:*:0::::::\n",
    "etc/pip.conf": f"[global]\nno-index = true\nfind-links = /{WHEELS}\n",
    "usr/local/bin/pip": (
        "#!/usr/local/bin/python\nimport sys\nfrom pip._internal.cli.main import main\nsys.exit(main())\n"
    ),
}
_LOADED = re.compile(r"(/\S+) \(0x")
_PART_OF_LOCK = re.compile(r"requirements\.py requirements\.lock pyproject\.toml ([a-z ]+) >")
_SYSTEM = ("/lib", "/usr/lib")


def write(root: Path) -> None:
    """Write the files into an empty directory."""
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    for name in ("etc", "tmp", "root", "usr/local/bin"):
        (root / name).mkdir(parents=True)
    (root / "tmp").chmod(0o1777)
    for name, text in FILES.items():
        (root / name).write_text(text, encoding="utf-8")
    (root / "usr/local/bin/pip").chmod(0o755)
    for path in map(Path, DATA):
        if path.is_dir():
            shutil.copytree(path, root / path.relative_to("/"), symlinks=True)
        elif path.exists():
            shutil.copy2(path, root / path.relative_to("/"))
    programs = [*_write_commands(root), *_write_python(root / "usr/local")]
    _write_libraries(root, programs)
    _write_wheels(root / WHEELS)


def _write_commands(root: Path) -> list[Path]:
    """Copy the commands; return what was copied."""
    copied = []
    for name in COMMANDS:
        found = shutil.which(name, path="/usr/bin:/bin:/usr/sbin:/sbin")
        assert found is not None, f"this machine has no {name}"
        copied.append(Path(shutil.copy2(Path(found).resolve(), root / "usr/bin" / name)))
    return copied


def _write_python(local: Path) -> list[Path]:
    """Copy the interpreter, its library without what is installed in it, and pip; return what loads libraries."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    library, copy = Path(sysconfig.get_path("stdlib")), local / "lib" / version
    # As Debian has them, packages of the system are in another directory.
    packages = "dist-packages" if (library.parent / "python3" / "dist-packages").exists() else "site-packages"
    left_out = ("test", "__pycache__", "site-packages", "dist-packages", "EXTERNALLY-MANAGED")
    shutil.copytree(library, copy, ignore=shutil.ignore_patterns(*left_out))
    for each in Path(sysconfig.get_path("purelib")).glob("pip*"):
        shutil.copytree(each, copy / packages / each.name, ignore=shutil.ignore_patterns("__pycache__"))
    program = Path(shutil.copy2(Path(sys.executable).resolve(), local / "bin" / version))
    for name in ("python3", "python"):
        (local / "bin" / name).symlink_to(version)
    return [program, *(copy / "lib-dynload").glob("*.so")]


def _write_libraries(root: Path, programs: Iterable[Path]) -> None:
    """Copy what the programs load, where the loader looks for it."""
    found = {Path(library) for program in programs for library in _LOADED.findall(_output("ldd", program))}
    known = _output("/sbin/ldconfig", "-p").splitlines()
    for name in TAKEN_FOR_GRANTED:
        found |= {Path(line.split()[-1]) for line in known if line.split()[:1] == [name] and "x86-64" in line}
    for library in found:
        is_of_system = str(library).startswith(_SYSTEM)
        target = root / library.relative_to("/") if is_of_system else root / "usr/lib" / library.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(library, target)


def _write_wheels(directory: Path) -> None:
    """Fetch the wheels of each part of the lock that the Dockerfile installs."""
    directory.mkdir()
    script, build = ROOT / "compose/service/requirements.py", stages()[0]
    for number, names in enumerate(_PART_OF_LOCK.findall(" ".join(arguments_of(build, "RUN")))):
        part = directory / f"part{number}.lock"
        files = (ROOT / "requirements.lock", ROOT / "pyproject.toml")
        part.write_text(_output(sys.executable, script, *files, *names.split()), encoding="utf-8")
        line = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        line += ["--only-binary", ":all:", "--require-hashes", "--requirement", str(part), "--dest", str(directory)]
        subprocess.run(line, check=True)
        part.unlink()


def _output(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    write(Path(sys.argv[1]))
