"""The write side of InfluxDB: one process ships the records of a journal, in order."""
