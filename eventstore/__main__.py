"""`python -m eventstore` is the command `eventstore`."""

from __future__ import annotations

import sys

from eventstore.extras import missing

USAGE_ERROR = 2
"""The exit code for a command that could not do its work, as gateways.cli.outcome has it."""
_NEEDED = ("rich", "typer")


def main() -> None:
    try:
        from gateways.cli import main as command
    except ModuleNotFoundError as e:
        package = (e.name or "").partition(".")[0]
        if package not in _NEEDED:
            raise
        print(f"eventstore: {missing('the command line', package, 'cli')}", file=sys.stderr)  # noqa: T201 - its product
        sys.exit(USAGE_ERROR)
    command()


if __name__ == "__main__":
    main()
