"""How the service's log looks: lines for a person, or JSON for a machine. No header, query or body is ever in it.

What a client chose, such as a path, is shown and never obeyed: it begins no line and moves no cursor.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime

from settings import Settings

WORD = re.compile(r'[^\s"\[\]]+')
MORE = ("request_id", "method", "path", "status", "ms", "body_ms", "read", "who", "address")
_encode = json.JSONEncoder(default=str).encode  # `json.dumps` would make it anew for each line
OURS = ("flukeprint", "uvicorn", "vector_db")
PLAIN = "%(asctime)s %(levelname)-7s %(message)s"


class JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name in MORE if (value := getattr(record, name, None)) is not None}
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return _encode(line)


class PlainLines(logging.Formatter):
    """A line for each record, and the lines of a trace set in below it."""

    def format(self, record: logging.LogRecord) -> str:
        record.message, record.asctime = record.getMessage(), self.formatTime(record)
        lines = [_visible(self.formatMessage(record))]
        more = [f"{name}={_word(value)}" for name in MORE if (value := getattr(record, name, None)) is not None]
        if more:
            lines[0] += f" [{' '.join(more)}]"
        if record.exc_info:
            lines += [f"    {_visible(line)}" for line in self.formatException(record.exc_info).split("\n")]
        return "\n".join(lines)


def _visible(text: str) -> str:
    """
    >>> _visible("a\\nb")
    'a\\\\nb'
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _word(value: object) -> str:
    """In quotes where it would else look like several, or like the end of them."""
    text = _visible(str(value))
    return text if WORD.fullmatch(text) else '"' + text.replace('"', '\\"') + '"'


def set_up(settings: Settings) -> None:
    """To stderr, in one way: ours and the server's from the level that is set, what libraries say from a warning on."""
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False  # which no line names
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if settings.log_format == "json" else PlainLines(PLAIN))
    handler.setLevel(settings.log_level.upper())
    logging.captureWarnings(True)
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    for name in OURS:
        logging.getLogger(name).setLevel(settings.log_level.upper())
