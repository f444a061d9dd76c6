"""Known, new or unsure, and how likely that is right.

*Known* needs two things: no more than the accepted share of new animals looks this sure, and the animal named is more likely
right than wrong. *New* needs P(new) of two thirds: twice as likely as everything else together. All else is *unsure*. The
two cannot meet, since both come from one confidence: what is known enough is at most half as likely to be new.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import Literal

from matching.calibration import Calibration
from matching.features import Features

Kind = Literal["known", "new", "unsure"]

MAX_FALSE_MATCH = 0.05
KNOWN_AT = 0.5
NEW_AT = 2 / 3
SAME_PHOTO = (
    0.9999  # a photo and itself have 1; the closest of 4,625 beluga photos .992, two smooth gradients, nothing else, .9998
)
SUREST = 1e9  # a confidence that no question has
SAME_RIGHT = 0.99  # not measured; below 1 because the catalogue may be wrong about that photo too


@dataclass(frozen=True, slots=True)
class Decision:
    """`probability` is P(the stated decision is right); for "unsure", which states nothing, P(the top candidate is right)."""

    kind: Kind
    probability: float
    right: float  # P(the top candidate is the animal)
    new: float  # P(the animal is not in the catalogue)
    tied: bool = False  # the second candidate is as likely as the first: see twins.py


@dataclass(frozen=True, slots=True)
class Rates:
    """What to expect at an operating point, as shares of new and of known animals asked about."""

    false_match: float | None  # new animals called known: at most this; None where it was never measured
    named: float | None  # known animals called known by the right name
    misnamed: float | None  # known animals called known by a wrong one
    false_new: float | None  # known animals called new


def decide(
    features: Features | None,
    calibration: Calibration,
    max_false_match: float = MAX_FALSE_MATCH,
    *,
    filtered: bool = False,
    twice: bool = False,
) -> Decision:
    """`features` None means that there was nothing to compare with.

    To an empty catalogue every animal is new. Where a filter let nothing through, the animal may still be among the rest.
    `twice`: the photo itself is enrolled under two names.
    """
    if features is None:
        return Decision("unsure", 0.0, 0.0, calibration.new_share) if filtered else Decision("new", 1.0, 0.0, 1.0)
    if features.score >= SAME_PHOTO:
        if twice:
            return Decision("unsure", SAME_RIGHT / 2, SAME_RIGHT / 2, 0.0, tied=True)
        return Decision("known", SAME_RIGHT, SAME_RIGHT, 0.0)
    confidence = calibration.confidence(features)
    right, new = calibration.chances(confidence)
    if calibration.bar(confidence).new <= max_false_match and right >= KNOWN_AT:
        return Decision("known", right, right, new)
    if new >= NEW_AT:
        return Decision("new", new, right, new)
    return Decision("unsure", right, right, new)


def share_out(decision: Decision, candidates: int, calibration: Calibration) -> list[float]:
    """P of each candidate in ranking order, falling, the first P(right); with P(new) they sum to at most 1.

    What is left of P(known) goes to the later places by the share of trials in which the right animal stood there.
    """
    first = [decision.right] * (2 if decision.tied else 1)
    rest = max(0.0, 1.0 - decision.new - sum(first))
    chances = first[:candidates]
    for place in range(len(chances) - 1, candidates - 1):
        share = calibration.places[place] if place < len(calibration.places) else 0.0
        chances.append(min(chances[-1], rest * share))
    return chances


def expected(calibration: Calibration, max_false_match: float) -> Rates:
    """What `decide` does at this operating point, by the trials that the fit had not seen."""
    false_new = calibration.basis.false_new
    if not calibration.bars:
        return Rates(None, None, None, false_new)
    bars = calibration.bars  # along which `new` falls and P(right) rises, so each is cut in two
    admitted = bisect_left(bars, True, key=lambda bar: bar.new <= max_false_match)
    if admitted == len(bars) or calibration.chances(SUREST)[0] < KNOWN_AT:
        return Rates(0.0, 0.0, 0.0, false_new)
    # What is called known begins between two bars: the lower one bounds what goes wrong, the upper one what goes right.
    sure = bisect_left(bars, True, admitted, key=lambda bar: calibration.chances(bar.confidence)[0] >= KNOWN_AT)
    low = bars[max(admitted, sure - 1)]
    return Rates(low.new, bars[sure].named if sure < len(bars) else 0.0, low.misnamed, false_new)
