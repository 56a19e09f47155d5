"""The nouns: immutable types shared by every room, and pure functions over them. No I/O here."""
