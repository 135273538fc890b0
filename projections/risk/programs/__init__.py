"""Published rule sets of prop firms, each a dated seed file: examples to start from, not the firm's word."""

from projections.risk.programs.shipped import load, names, path

__all__ = ["load", "names", "path"]
