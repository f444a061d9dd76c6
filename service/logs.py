"""How the service's log looks: lines for a person, or JSON for a machine. No header, query or body is ever in it."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

from settings import Settings

MORE = ("request_id", "method", "path", "status", "ms", "read", "who", "address")
_encode = json.JSONEncoder(ensure_ascii=False, default=str).encode  # `json.dumps` would make it anew for each line
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
    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        more = [f"{name}={value}" for name in MORE if (value := getattr(record, name, None)) is not None]
        return f"{text} [{' '.join(more)}]" if more else text


def set_up(settings: Settings) -> None:
    """To stderr, ours and the server's alike."""
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False  # which no line names
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if settings.log_format == "json" else PlainLines(PLAIN))
    for name in ("flukeprint", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.propagate = False
        logger.setLevel(settings.log_level.upper())
