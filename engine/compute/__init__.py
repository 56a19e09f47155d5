"""Where instances run: build a version, start, stop and inspect instances."""
