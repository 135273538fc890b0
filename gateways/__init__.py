"""All interfaces of the store: the command line and the import of files."""
