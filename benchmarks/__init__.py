"""The benchmarks: every figure beside a comparison that was measured in the same run."""

from benchmarks.run import main

__all__ = ["main"]
