"""The write side of InfluxDB: one process that ships a journal's records, in order."""
