"""Everything that writes: the catalogue first, the index second."""
