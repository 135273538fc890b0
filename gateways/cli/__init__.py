"""The command line `eventstore`: a module per command, and helpers named by their subject."""

from gateways.cli.entry import app, main

__all__ = ["app", "main"]
