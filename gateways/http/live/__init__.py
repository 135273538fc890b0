"""Everything live: one reader of the log for all who follow it, by server-sent events or by WebSocket."""
