"""The optional dependencies: what to install where one is missing."""

from importlib import metadata

DISTRIBUTION = "trading-eventstore"
"""The project's name on an index, where `eventstore` is another one."""


def version() -> str:
    """Return the version that is installed, `unknown` for a checkout that is not."""
    try:
        return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return "unknown"


def missing(user: str, package: str | None, extra: str) -> str:
    """Return the message for a part of the project that needs a package which is not installed."""
    return f"{user} needs {(package or extra).replace('_', '-')}: pip install '{DISTRIBUTION}[{extra}]'"
