"""The command `eventstore`: append, read, ask, go back, prove and show, from a shell."""

from gateways.cli.entry import app, main

__all__ = ["app", "main"]
