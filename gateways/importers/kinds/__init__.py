"""The kinds of rows: one module each."""

from gateways.importers.kinds.shipped import kind_of

__all__ = ["kind_of"]
