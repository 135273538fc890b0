"""The read side of InfluxDB: one log read in order, without gaps, each point complete."""
