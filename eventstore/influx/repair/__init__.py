"""Compares InfluxDB with a journal, ships missing records again, and restores a lost journal."""
