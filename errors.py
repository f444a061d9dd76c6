"""The root of every error that Flukeprint raises on purpose.

Each room draws its own small tree under it in its `errors.py`. A message says what was given, what was
expected and what to do next; whoever catches a `FlukeprintError` may show its text to a person as it stands.
"""

from __future__ import annotations


class FlukeprintError(Exception):
    """Something that a person can act on; its text says how."""
