"""Parts of the snapshots' file: the SQLite file itself, the states in it, the key that signs a cut."""
