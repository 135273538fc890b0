"""The limits view: the parameters in force, and loosenings that wait for a session."""
