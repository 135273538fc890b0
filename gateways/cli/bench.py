"""`bench`: the project's benchmarks, from a checkout."""

from __future__ import annotations

import importlib

import typer

from eventstore import Unavailable
from gateways.cli import options


def bench(context: typer.Context, as_json: options.Json = False) -> None:
    """Measure each figure with its baseline; extra arguments are passed through to the benchmarks."""
    try:
        run = importlib.import_module("benchmarks").main
    except (ImportError, AttributeError) as e:
        needs = getattr(e, "name", None)
        missing = "" if needs in {None, "benchmarks", "main"} else f" (missing here: {needs})"
        msg = f"the benchmarks are not part of the package: run `make bench` in a checkout of the project{missing}"
        raise Unavailable(msg) from e
    raise typer.Exit(run([*context.args, *(["--json"] if as_json else [])]))
