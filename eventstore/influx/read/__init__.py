"""The read side of InfluxDB: one log read in order, contiguous, each point whole."""
