"""What a second look is worth in one catalogue, as a value that is kept and read as JSON; `second_fit.py` makes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from matching.calibration import GROWTH, Calibration
from matching.errors import CalibrationRefused

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Worth:
    """Questions with known answers, own encounter left out, by shares that had not seen them."""

    questions: int
    top1_without: float
    top1_with: float
    top1_alone: float  # ordered by the second look alone
    gained: int  # questions that it put right
    lost: int  # and that it put wrong


@dataclass(frozen=True, slots=True)
class Opinion:
    bundle_id: str
    sightings: int  # live ones when it was measured
    new_share: float
    share: float  # of the second look in a score, 0 to 1; 0 where it is not earned
    earned: bool
    reason: str  # in a sentence
    worth: Worth | None = None  # None where there was too little to measure
    calibration: Calibration | None = None  # of the blended scores; None where it is not earned

    def is_stale(self, sightings: int) -> bool:
        """Whether a catalogue that now has so many live sightings deserves another measuring."""
        return abs(sightings - self.sightings) > GROWTH * self.sightings

    def to_json(self) -> dict[str, Any]:
        calibration = None if self.calibration is None else self.calibration.to_json()
        worth = None if self.worth is None else asdict(self.worth)
        plain = {name: getattr(self, name) for name in ("bundle_id", "sightings", "new_share", "share", "earned", "reason")}
        return {"format": FORMAT, **plain, "worth": worth, "calibration": calibration}

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> Opinion:
        """Refuses what another version wrote: measuring again mends it."""
        try:
            if given["format"] != FORMAT:
                raise ValueError(f"format {given['format']!r}")
            read = cls(
                bundle_id=str(given["bundle_id"]),
                sightings=int(given["sightings"]),
                new_share=float(given["new_share"]),
                share=float(given["share"]),
                earned=bool(given["earned"]),
                reason=str(given["reason"]),
                worth=None if given["worth"] is None else Worth(**given["worth"]),
                calibration=None if given["calibration"] is None else Calibration.from_json(given["calibration"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CalibrationRefused(f"the second opinion cannot be read ({error}): measure it again") from error
        if not 0 <= read.share <= 1 or read.earned != (read.calibration is not None):
            raise CalibrationRefused("the second opinion contradicts itself: measure it again")
        return read
