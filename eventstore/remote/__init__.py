"""A log that another process serves over HTTP: what is sent, and the store that appends and reads there."""
