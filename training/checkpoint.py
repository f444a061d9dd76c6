"""A run on disk: written beside, flushed to the disk, then renamed, so that the last whole checkpoint survives any end.

It holds all that a run needs to go on as if it had never stopped, and what it is of: config, data and split.
"""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import torch

from .errors import CheckpointRefused

NAME = "checkpoint.pt"
FORMAT = 1


def save_checkpoint(state: dict[str, Any], folder: Path) -> Path:
    """Raises OSError where it cannot be written; what was there before is untouched."""
    target, beside = folder / NAME, folder / f".{NAME}.new"
    try:
        with beside.open("wb") as file:
            torch.save(state | {"format": FORMAT}, file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(target)
    except (OSError, RuntimeError) as error:  # torch's writer turns a full disk into a RuntimeError
        beside.unlink(missing_ok=True)
        raise CheckpointRefused(
            f"{target} cannot be written: {error}. Free some space; the last checkpoint is whole."
        ) from error
    return target


def load_checkpoint(source: Path) -> dict[str, Any]:
    path = source / NAME if source.is_dir() else source
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise CheckpointRefused(
            f"There is no checkpoint at {path}: expected the folder of a run that has saved one. Check the path; "
            "a run that ended before its first checkpoint is started again without --resume."
        ) from error
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise CheckpointRefused(f"{path} cannot be read: {error}. Copy it again, or start the run anew.") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise CheckpointRefused(f"{path} is not a checkpoint of format {FORMAT}.")
    return state
