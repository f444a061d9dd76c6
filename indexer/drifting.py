"""One look at an open catalogue: how far what is asked about has moved from what is known, and how well probabilities hold.

Needs SQL alone, so it works beside a running service. The top scores are held against those of the calibration's own trials.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from catalog.catalogue import Catalogue
from catalog.values import Verdicted
from catalog.watch import Watch
from matching.drift import MEASURES, Baseline, InUse, Judged, Measure, Shift, baseline, from_tenths, in_use, shift

RECENT = 500  # photos and judged answers that are looked at


@dataclass(frozen=True, slots=True)
class Drift:
    bundle_id: str
    photos: int  # recent ones
    shifts: tuple[Shift, ...]
    in_use: InUse

    def to_json(self) -> dict[str, Any]:
        shifts = {one.measure: asdict(one) | {"drifted": one.drifted} for one in self.shifts}
        return {
            "bundle": self.bundle_id,
            "photos": self.photos,
            "shifts": {name: {k: v for k, v in told.items() if k != "measure"} for name, told in shifts.items()},
            "in_use": asdict(self.in_use),
        }


def baselines(catalogue: Catalogue, bundle_id: str) -> dict[Measure, Baseline | None]:
    """What the catalogue holds, of each measure; None of one that there is too little of."""
    known = Watch(catalogue).known_photos(bundle_id)
    calibration = catalogue.latest_calibration(bundle_id)
    # A bundle's own was fitted on other animals: scores held against theirs would always have drifted.
    fitted = calibration.fitted if calibration is not None and calibration.fitted.get("source") == "catalogue" else {}
    trials = fitted.get("basis", {}).get("single_trials", 0)
    return {
        "norm": baseline(known.norm),
        "brightness": baseline(known.brightness),
        "sharpness": baseline(known.sharpness),
        "pixels": baseline(known.pixels),
        "score": from_tenths(fitted.get("tenths", ()), trials),
    }


def measure_drift(catalogue: Catalogue, bundle_id: str, known: dict[Measure, Baseline | None] | None = None) -> Drift:
    """`known` are the baselines, where they are at hand."""
    known = known or baselines(catalogue, bundle_id)
    watch = Watch(catalogue)
    asked = watch.asked_photos(bundle_id, RECENT)
    shifts = [shift(one, known[one], [a[one] for a in asked if a[one] is not None]) for one in MEASURES]
    return Drift(bundle_id, len(asked), tuple(shifts), in_use(judged(watch.verdicts(bundle_id, RECENT))))


def judged(verdicts: Sequence[Verdicted]) -> list[Judged]:
    """Whether each was right: who it is, where that was said, counts; else the verdict itself."""
    return [Judged(one.probability, _right(one)) for one in verdicts]


def _right(one: Verdicted) -> bool:
    if one.verdict == "new" or one.decision == "new":
        return one.decision == "new" and one.individual_id is None and one.verdict != "reject"
    if one.individual_id is not None:
        return one.individual_id == one.best
    return one.verdict == "confirm"
