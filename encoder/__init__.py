"""Photo bytes to a unit vector."""
