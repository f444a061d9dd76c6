"""What can go wrong between labelled photos and a trained encoder.

TrainingError
├── TableRefused        the table of photos cannot be read as one at all
├── DataRefused         the table can be read, but rows of it must be mended first
├── SplitRefused        the photos do not allow the split that was asked for, or a saved split is of other photos
├── ConfigRefused       a setting that does not exist or does not fit
├── ExportRefused       an encoder that cannot become a bundle, or whose runtimes disagree
├── RunDiverged         the loss is no number any more
├── CheckpointRefused   a checkpoint that is damaged, or of another run
├── EvaluationRefused   nothing can be measured on these tables
└── FetchRefused        a public set that was not fetched whole
"""

from __future__ import annotations

from errors import FlukeprintError


class TrainingError(FlukeprintError):
    """No encoder, or no figure, came of it."""


class TableRefused(TrainingError):
    """Not a table of photos."""


class DataRefused(TrainingError):
    """Rows of the table must be mended first."""


class SplitRefused(TrainingError):
    """The photos do not allow this split, or a saved split is of other photos."""


class ConfigRefused(TrainingError):
    """A setting that does not exist, or a value that does not fit."""


class RunDiverged(TrainingError):
    """The loss became infinite or no number; the weights before it are kept."""


class ExportRefused(TrainingError):
    """No bundle was written; the message says what stood against it."""


class CheckpointRefused(TrainingError):
    """A checkpoint that is damaged, or that another run made."""


class EvaluationRefused(TrainingError):
    """Nothing can be measured on these tables."""


class FetchRefused(TrainingError):
    """Not fetched, and why; what had arrived is kept for the next try."""
