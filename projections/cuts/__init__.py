"""What the snapshots' file rests on: the SQLite file itself, the states in it, the key that signs a cut."""
