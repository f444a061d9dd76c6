"""Vectors to nearest points: one port, two engines, and no idea of who an animal is."""
