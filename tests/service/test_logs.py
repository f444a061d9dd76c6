"""The service's log: one line a record, whoever wrote it and whatever a client put into it."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

import httpx
import psutil
import pytest
from serving import process
from test_process import logged

from service.logs import PLAIN, JsonLines, PlainLines

FORGED = "2026-01-01 00:00:00,000 ERROR   FORGED"


def record(message: str, **more: object) -> logging.LogRecord:
    return logging.makeLogRecord({"msg": message, "levelname": "INFO", "name": "flukeprint.requests"} | more)


def test_an_address_that_was_asked_for_forges_no_line(tmp_path: Path) -> None:
    with process(tmp_path / "data") as (_, url):
        httpx.get(f"{url}/v1/x%0a2026-01-01%2000:00:00,000%20ERROR%20%20%20FORGED%1b[31m%c2%9b31m", headers={"X-API-Key": "x"})
        logged(tmp_path, "FORGED")
    (line,) = [line for line in (tmp_path / "log.txt").read_text("utf-8").split("\n") if "FORGED" in line]
    assert f'path="/v1/x\\n{FORGED}\\x1b[31m\\x9b31m" status=404' in line


@pytest.mark.parametrize("path", ["/a\nb", "/a\r\x1b[2Jb", "/\u2028", "/\x9b31m", "/\ud800", "/\u202e"])
def test_what_a_client_chose_is_shown_and_not_obeyed(path: str) -> None:
    for message, more in ((f"not {path}", {}), ("answered", {"path": path}), ("answered", {"who": path})):
        for lines in (PlainLines(PLAIN), JsonLines()):
            assert lines.format(record(message, **more)).isprintable()


def test_a_value_of_several_words_is_in_quotes() -> None:
    assert (
        PlainLines(PLAIN)
        .format(record("answered", who="the boat", status=200))
        .endswith('answered [status=200 who="the boat"]')
    )
    assert PlainLines(PLAIN).format(record("answered", path='/" who=admin]')).endswith(r'answered [path="/\" who=admin]"]')
    assert PlainLines(PLAIN).format(record("answered", path="/v1/Škuna")).endswith("answered [path=/v1/Škuna]")


def test_the_lines_of_a_trace_are_set_in() -> None:
    try:
        raise ValueError(f"no address:\n{FORGED}\x1b[31m")
    except ValueError:
        lines = PlainLines(PLAIN).format(record("failed", exc_info=sys.exc_info())).split("\n")
    assert "failed" in lines[0]
    assert len(lines) > 3
    assert all(line.startswith("    ") and line.isprintable() for line in lines[1:])


def test_every_line_of_a_json_log_is_json_also_of_an_index_worker_that_died(tmp_path: Path) -> None:
    with process(tmp_path / "data", LOG_FORMAT="json") as (child, url):
        for worker in psutil.Process(child.pid).children():
            worker.kill()
        until = [httpx.get(f"{url}/readyz").status_code for _ in range(2)]
        logged(tmp_path, "started anew")
    lines = [json.loads(line) for line in (tmp_path / "log.txt").read_text("utf-8").splitlines()]
    (anew,) = [line for line in lines if "started anew" in line["message"]]
    assert (anew["level"], anew["logger"], until[-1]) == ("warning", "vector_db.edge_engine", 200)
