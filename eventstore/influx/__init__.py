"""InfluxDB: the shared, permanent record, written by one mirror per log and read by everyone."""
