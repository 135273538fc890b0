"""Enforcement: what lockouts ask for, and which process carries it out."""
