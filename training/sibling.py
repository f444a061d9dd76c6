"""Whether a bundle may lend its figures to one that was taught everything: they are worth what the two have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from encoder.bundle import Bundle

from .config import Config, differences
from .errors import CheckpointRefused

MAKING = ("taught_share", "sides", "first_side", "bands", "half", "discriminant_ridge", "discriminant_dimension")
KIND = ("backbone", "weights", "frozen_stages", "dimension", "mean", "std", "shape")  # of an encoder, however long it is taught
MACHINE = ("device", "threads", "cache_mb", "save_every_s")  # make no other encoder


def refuse_other_making(sibling: Bundle, training: Mapping[str, Any]) -> None:
    """`training` is what the new bundle will state. Looks and mixture must be the same, and so must the teaching, or that of
    a run before: a run that goes on from its sibling's may be taught otherwise from there.
    """
    theirs = sibling.training
    told = [(name, theirs.get(name), training.get(name)) for name in MAKING if theirs.get(name) != training.get(name)]
    if "config" in theirs:
        told += _otherwise_taught(theirs, training)
        if ("beside" in theirs) != ("beside" in training):
            told.append(("another run beside it", "beside" in theirs, "beside" in training))
        elif "beside" in theirs:
            told += [(f"beside.{name}", *rest) for name, *rest in _otherwise_taught(theirs["beside"], training["beside"])]
    else:
        told += [("made of", "no run", "a run")]
    if told:
        said = "; ".join(f"{name} is {there} there and {here} here" for name, there, here in told)
        raise CheckpointRefused(
            f"{sibling.id} was made otherwise, so its figures say nothing of this run's bundle: {said}. "
            "Make this one alike, or name the bundle that was."
        )


def _otherwise_taught(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    taught = Config.from_json(theirs["config"])
    runs = [Config.from_json(run["config"]) for run in (*ours.get("before", ()), ours)]
    apart = [[one for one in differences(taught, run) if one[0] not in MACHINE] for run in runs]
    if all(apart):
        return apart[-1]
    return [one for one in apart[-1] if one[0] in KIND]
