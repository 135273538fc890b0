"""Bundles: records of a log with their proof, in one zip file that a program of the standard library alone verifies."""
