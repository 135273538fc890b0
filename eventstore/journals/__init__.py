"""Journals: the homes that a log can have."""
