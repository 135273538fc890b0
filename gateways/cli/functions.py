"""A function of the user's, named on the command line as MODULE:FUNCTION."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from eventstore import InvalidEvent


def function_named(name: str) -> Callable[..., Any]:
    """Import MODULE and return its FUNCTION; modules in the working directory are found too.

    Raises InvalidEvent for a name that leads to no function. What the module raises while it is imported is not
    caught: it is the user's code, and its traceback says where.
    """
    module_name, _, function_name = name.partition(":")
    if not all(part.isidentifier() for part in module_name.split(".")) or not function_name.isidentifier():
        msg = f"{name!r:.80} does not name a function: expected MODULE:FUNCTION, as in desk.feed:quotes"
        raise InvalidEvent(msg)
    # As `python -m` does; the installed command has its own directory there.
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as e:
        if e.name is None or not f"{module_name}.".startswith(f"{e.name}."):
            raise
        msg = f"there is no module {module_name} here: run this in the directory that has it, or install it"
        raise InvalidEvent(msg) from e
    function = getattr(module, function_name, None)
    if not callable(function):
        msg = f"module {module_name} has no function {function_name}"
        raise InvalidEvent(msg)
    return function  # type: ignore[no-any-return]
