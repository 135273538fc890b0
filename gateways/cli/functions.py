"""A function of the user's, named on the command line as MODULE:FUNCTION."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from eventstore import InvalidEvent
from gateways.presenting.close_names import close_to


def function_named(text: str) -> Callable[..., object]:
    """Return the function that MODULE:FUNCTION names; raise InvalidEvent, saying what is wrong, if there is none."""
    module_name, colon, name = text.partition(":")
    if not colon or not module_name.strip() or not name.strip():
        msg = f"{text!r} names no function: write MODULE:FUNCTION, for example desk.broker:close"
        raise InvalidEvent(msg)
    found: Any = _module(module_name)
    for part in name.split("."):
        if not hasattr(found, part):
            known = [each for each, value in vars(found).items() if callable(value) and not each.startswith("_")]
            msg = f"{module_name} has no {name!r}: {close_to(name, known)}"
            raise InvalidEvent(msg)
        found = getattr(found, part)
    if not callable(found):
        msg = f"{text} is a {type(found).__name__}, not a function"
        raise InvalidEvent(msg)
    called: Callable[..., object] = found
    return called


def _module(name: str) -> ModuleType:
    # As `python -m` does: a module of the user's own lies where the command is run.
    here = os.getcwd()  # noqa: PTH109 - sys.path holds text
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except Exception as e:
        missing = getattr(e, "name", None) if isinstance(e, ModuleNotFoundError) else None
        if missing is not None and (name == missing or name.startswith(f"{missing}.")):
            msg = f"there is no module {name!r}, neither in {here} nor installed"
        else:
            msg = f"module {name!r} cannot be imported: {type(e).__name__}: {e}"
        raise InvalidEvent(msg) from e
