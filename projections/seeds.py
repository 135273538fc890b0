"""What accounts begin with: calendars and first limits from a TOML file, appended once."""
