"""InfluxDB: the shared, permanent record, written by one mirror for each log and read by anybody."""
