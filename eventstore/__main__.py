"""`python -m eventstore` is the command `eventstore`."""

from __future__ import annotations

import sys


def main() -> None:
    try:
        from gateways.cli import main as command
    except ImportError as e:
        sys.exit(f"eventstore: the command line needs {e.name}: pip install 'eventstore[cli]'")
    command()


if __name__ == "__main__":
    main()
