"""Policies: events that cause events, decided once however often they are asked."""
