"""The benchmarks: every figure with a baseline that was measured in the same run."""

from benchmarks.run import main

__all__ = ["main"]
