"""Memory that stays small: closed orders in compressed blocks, the older ones only in the log."""
