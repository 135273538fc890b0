"""Programs that go with what they verify: a file each, of the standard library alone."""
