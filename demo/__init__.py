"""Drawn animals from a seed, and the demonstration that uses them."""
