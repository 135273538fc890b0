"""The shipped views: orders, trades, positions, lockouts and contracts."""
