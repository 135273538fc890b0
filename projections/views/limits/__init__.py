"""The limits view: each rule's parameters in force, and loosenings that wait for a session."""
