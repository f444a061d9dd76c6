"""The tables' history, as Alembic runs it. A revision that has been released is never edited; a new one follows it.

To write one: add `versions/NNNN_what.py` by hand, its number to `catalog.open.REVISIONS`, and the same change to
`catalog/schema.py`; the tests compare the two.
"""
