"""What fills come to: positions, trades, round trips, counters, and profit and loss."""
