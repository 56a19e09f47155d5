"""Git repositories and plain folders: resolve a version, fetch it."""
