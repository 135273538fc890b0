"""Enforcement as a goal: what a lockout asks for, whether that is so, what is pending, which process does it."""
