"""What can go wrong between neighbours and a decision.

MatchingError
├── QuestionRefused       no photos, or options that cannot be
└── CalibrationRefused    a calibration that another version wrote or that breaks its own laws
"""

from __future__ import annotations

from errors import FlukeprintError


class MatchingError(FlukeprintError):
    """No answer came of it."""


class QuestionRefused(MatchingError):
    """What was asked cannot be answered; the message says what can."""


class CalibrationRefused(MatchingError):
    """A calibration that cannot be used; fitting it again mends it."""
