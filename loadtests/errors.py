"""What can keep a load test from being run.

LoadtestRefused        what was asked for cannot be run
└── ServiceFailed      the service under test did not start, or left
"""

from __future__ import annotations

from errors import FlukeprintError


class LoadtestRefused(FlukeprintError):
    """What was asked for cannot be run; the message says what can."""


class ServiceFailed(LoadtestRefused):
    """The service under test did not start, or left before the end."""
