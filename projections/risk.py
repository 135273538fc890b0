"""Checks before an order: what the book says against every limit, in microseconds."""
