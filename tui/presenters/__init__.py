"""Pure functions from what the engine says to what people read: rows, words, glyphs. No widgets, no I/O, no clock."""
