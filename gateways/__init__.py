"""Every door of the store: the command line, and the import of files."""
