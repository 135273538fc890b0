"""The orders view: the state of each order, and its queries."""
