"""What can go wrong while writing.

IndexerError
├── TableRefused        an import's folder or table cannot be read as one
├── RowRefused          one row or photo of many; it is set aside, the rest goes on
├── BundleMismatch      the encoder in use is not the one that made the catalogue's vectors
├── BundleNotUsed       a bundle that is not there, or cannot be used or removed as things are
├── NotIndexed          kept in the catalogue, but the index did not take it yet
└── BackupRefused       a backup that cannot be written, or a file that cannot be restored from
"""

from __future__ import annotations

from errors import FlukeprintError


class IndexerError(FlukeprintError):
    """The write was not done, or not wholly; the message says which."""


class TableRefused(IndexerError):
    """The import's source is absent, empty, or lacks a column."""


class RowRefused(IndexerError):
    """This row cannot be enrolled; the others are not affected."""


class BundleMismatch(IndexerError):
    """Vectors of two bundles never meet."""


class BundleNotUsed(IndexerError):
    """The catalogue's bundle stays as it was."""


class NotIndexed(IndexerError):
    """The catalogue has it, durable; the index takes it at the next start."""


class BackupRefused(IndexerError):
    """Nothing was written or restored."""
