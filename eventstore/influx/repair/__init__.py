"""Comparing InfluxDB with a journal, shipping again what is missing, and restoring a lost journal."""
