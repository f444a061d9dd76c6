"""A calibration: what the numbers of a ranking are worth, as a value that is asked, and written and read as JSON.

Four features make one *confidence*. Over it P(the top candidate is the animal) rises, P(the animal is new) falls, and so does
the share of new animals that look at least as sure; each throughout, so a stricter operating point never adds a match.
`fit.py` makes one from a catalogue, a bundle carries one in its `bundle.json`, and `BUILT_IN`, by which nothing is called
known or new, stands in where there is neither.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from math import exp, isfinite, log
from typing import Any

from matching.errors import CalibrationRefused
from matching.features import NAMES, Features

FORMAT = 1
NEW_SHARE = 0.3  # of queries that show an animal not in the catalogue: a prior, stated because no catalogue can know it
GROWTH = 0.1  # fit again when the catalogue has this much more or less than when it was fitted


@dataclass(frozen=True, slots=True)
class Curve:
    """A logistic curve over the confidence that never falls."""

    intercept: float
    slope: float  # at least 0

    def __call__(self, confidence: float) -> float:
        line = self.intercept + self.slope * confidence
        small = exp(-abs(line))  # no overflow at either end
        return (1.0 if line >= 0 else small) / (1.0 + small)


@dataclass(frozen=True, slots=True)
class Bar:
    """What lies strictly above a confidence, measured on trials that the fit had not seen."""

    confidence: float
    new: float  # share of new animals, counted as if one more were above: a bound, not a guess
    named: float  # share of known animals, with the right one on top
    misnamed: float  # share of known animals, with a wrong one on top


@dataclass(frozen=True, slots=True)
class Basis:
    """What was learned from, and how well it held on trials left out of the fit."""

    data: str = ""
    sightings: int = 0
    individuals: int = 0
    known_trials: int = 0
    new_trials: int = 0
    single_trials: int = 0  # of both, those of one photo, whose scores `tenths` are of; 0 too where nobody counted them
    optimistic: bool = False  # every encounter is one photo, so near-copies of a query may have stayed in the gallery
    error_right: float | None = None  # expected calibration error of P(right), ten bins of equal weight
    error_new: float | None = None
    false_new: float | None = None  # share of known animals that are answered "new"
    true_new: float | None = None  # share of new animals that are answered "new"
    species: tuple[str, ...] = ()  # of a bundle's: what it was measured on; empty where that is not known


# Where probabilities come from, in words that follow "Probabilities are".
BASES = {"catalogue": "measured on this catalogue", "bundle": "the encoder's own", "none": "not measured"}


@dataclass(frozen=True, slots=True)
class Calibration:
    source: str  # one of BASES
    reason: str  # why this source, in a sentence
    sightings: int  # live ones in the catalogue when this was chosen for it
    new_share: float
    intercept: float
    coefficients: Mapping[str, float]  # a feature: its part in the confidence, never below 0
    known: Curve  # P(the animal is in the catalogue)
    right: Curve  # P(the top candidate is the animal), given that it is in the catalogue
    bars: tuple[Bar, ...]  # ascending; empty where false matches were never measured
    places: tuple[float, ...]  # of known animals with a wrong one on top, the share that stand second, third, ...; falling
    basis: Basis
    # Nine scores that cut the top scores of its trials into tenths: what drift is held against. None where it would mislead.
    tenths: tuple[float, ...] = ()

    def confidence(self, features: Features) -> float:
        parts = zip(NAMES, features.row(), strict=True)
        return self.intercept + sum(self.coefficients[name] * value for name, value in parts)

    def chances(self, confidence: float) -> tuple[float, float]:
        """(P(right), P(new)) at this confidence; together at most 1. Beyond the trials the curves go on as they were."""
        known = self.known(confidence)
        return known * self.right(confidence), 1.0 - known

    def bar(self, confidence: float) -> Bar:
        """The highest bar strictly below the confidence."""
        at = bisect_left(self.bars, confidence, key=lambda bar: bar.confidence)
        return self.bars[at - 1] if at else FLOOR

    def others(self, species: Iterable[str]) -> list[str]:
        """Those of the species that it was not measured on, where it says on which it was: its numbers do not hold for them."""
        measured = {one.casefold() for one in self.basis.species}
        return sorted(one for one in species if measured and one.casefold() not in measured)

    def at(self, new_share: float) -> Calibration:
        """The same where so many of the queries show new animals: only what was thought before a look changes."""
        odds = log((1 - new_share) / new_share) - log((1 - self.new_share) / self.new_share)
        return replace(self, new_share=new_share, known=replace(self.known, intercept=self.known.intercept + odds))

    def is_stale(self, sightings: int) -> bool:
        """Whether a catalogue that now has so many live sightings deserves another fit."""
        return abs(sightings - self.sightings) > GROWTH * self.sightings

    def to_json(self) -> dict[str, Any]:
        given = asdict(self)
        given["bars"] = [[bar.confidence, bar.new, bar.named, bar.misnamed] for bar in self.bars]
        return {"format": FORMAT, **given, "places": list(self.places), "tenths": list(self.tenths)}

    @classmethod
    def from_json(cls, given: Any) -> Calibration:
        """Refuses what another version wrote and what breaks the laws above, rather than answer wrongly."""
        if not isinstance(given, Mapping):
            raise CalibrationRefused(f"the calibration is {str(given)[:80]!r}, and an object was expected: fit it again")
        if given.get("format") != FORMAT:
            raise CalibrationRefused(
                f"the calibration is of format {given.get('format')!r}, this program reads format {FORMAT}: fit it again"
            )
        try:
            read = cls(
                source=str(given["source"]),
                reason=str(given["reason"]),
                sightings=int(given["sightings"]),
                new_share=float(given["new_share"]),
                intercept=float(given["intercept"]),
                coefficients={name: float(given["coefficients"][name]) for name in NAMES},
                known=Curve(**given["known"]),
                right=Curve(**given["right"]),
                bars=tuple(Bar(*map(float, bar)) for bar in given["bars"]),
                places=tuple(map(float, given["places"])),
                basis=Basis(**{**given["basis"], "species": tuple(given["basis"].get("species", ()))}),
                tenths=tuple(map(float, given.get("tenths", ()))),  # one that was kept before there were any has none
            )
            sound = read._is_lawful()
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CalibrationRefused(
                f"the calibration cannot be read ({type(error).__name__}: {error}): fit it again"
            ) from error
        if not sound:
            raise CalibrationRefused("the calibration's curves do not rise and fall as they must: fit it again")
        return read

    def _is_lawful(self) -> bool:
        rising = [self.known.slope, self.right.slope, *self.coefficients.values()]
        numbers = [self.intercept, self.known.intercept, self.right.intercept, *rising]
        steps = zip(self.bars, self.bars[1:], strict=False)
        falls = zip(self.places, self.places[1:], strict=False)
        return (
            all(map(isfinite, numbers))
            and min(rising) >= 0
            and all(low.confidence < high.confidence and low.new >= high.new for low, high in steps)
            and all(first >= second for first, second in falls)
            and all(0 <= share <= 1 for share in self.places)
            and sum(self.places) <= 1 + 1e-9
        )


FLOOR = Bar(-float("inf"), 1.0, 1.0, 1.0)  # nothing is known of what lies above: no operating point admits it

BUILT_IN = Calibration(
    source="none",
    reason="",
    sightings=0,
    new_share=NEW_SHARE,
    intercept=0.0,
    coefficients={name: float(name == "score") for name in NAMES},
    known=Curve(log((1 - NEW_SHARE) / NEW_SHARE), 0.0),  # 1 - NEW_SHARE, whatever the cosine: nobody measured what it is worth
    right=Curve(-10.0, 10.0),  # a cosine of 1 is even odds, of .8 one in eight, of .5 nothing
    bars=(),
    places=(),
    basis=Basis(),
)


def stand_in(
    bundle: Calibration | None, why: str, sightings: int, species: Iterable[str] = (), *, new_share: float = NEW_SHARE
) -> Calibration:
    """What answers where the catalogue, of these species, cannot be calibrated on: the bundle's own, else the built-in, which
    keeps its share of new animals whatever is said, or it would call them new by that alone."""
    others = [] if bundle is None else bundle.others(species)
    if bundle is not None and not others:
        reason = f"{why}; the bundle's own calibration answers"
        return replace(bundle.at(new_share), source="bundle", reason=reason, sightings=sightings)
    lacking = "the bundle brings no calibration"
    if bundle is not None:
        lacking = f"the bundle's own was measured on {', '.join(bundle.basis.species)} and not on {', '.join(others)}"
    nothing = f"and {lacking}: probabilities are cautious guesses, and only a photo that is enrolled itself is called known"
    return replace(BUILT_IN, reason=f"{why}, {nothing}", sightings=sightings)
