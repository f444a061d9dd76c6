"""Neighbours to a calibrated decision: pure functions, and the one story that uses them."""
