"""Trading days: a calendar's open, flat-by and reset, resolved to instants across daylight saving."""
