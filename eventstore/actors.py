"""Who appends where nobody is named: the user, the machine and the program."""

from __future__ import annotations

import getpass
import os
import socket
import sys
from pathlib import Path


def default_actor() -> str:
    """Return user@host/program: who appends, by default."""
    path = Path(sys.argv[0] if sys.argv and sys.argv[0] else "python")
    # `python -m package` runs the package's __main__.py, and is known by the package.
    program = path.parent.name if path.name == "__main__.py" else path.name
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as containers have
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}/{program}"
