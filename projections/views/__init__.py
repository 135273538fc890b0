"""The built-in views: each folds one subject's events into a state, and answers queries about it."""
