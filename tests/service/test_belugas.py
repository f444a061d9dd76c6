"""The real thing, end to end over HTTP: belugas enrolled from some of their encounters, identified from the others."""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from batching import ended, zipped
from serving import running

import cli

WHALES, ASKED = 200, 60
ENROLLED = 2  # photos of each encounter but the last


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_belugas_are_enrolled_and_identified_as_by_the_command_line(
    shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shared / "data" / "beluga"
    if not (folder / "metadata.csv").is_file():
        pytest.skip("needs shared/data/beluga")
    by_whale: dict[str, dict[str, list[dict[str, str]]]] = defaultdict(lambda: defaultdict(list))
    with (folder / "metadata.csv").open() as table:
        for row in csv.DictReader(table):
            by_whale[row["identity"]][row["encounter"]].append(row)
    whales = [name for name, encounters in by_whale.items() if len(encounters) > 1][:WHALES]
    known = [row for name in whales for rows in list(by_whale[name].values())[:-1] for row in rows[:ENROLLED]]
    asked = [list(by_whale[name].values())[-1][0] for name in whales[:ASKED]]
    assert len(whales) > 100

    out = io.StringIO()
    columns = ("path", "identity", "species", "viewpoint", "encounter", "date")
    writer = csv.DictWriter(out, columns, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(known)
    photos = {row["path"]: (folder / row["path"]).read_bytes() for row in known}
    answers: list[dict[str, Any]] = []
    with running(tmp_path / "data") as service:
        archive = zipped({"metadata.csv": out.getvalue().encode()} | photos)
        sent = service.client.post("/v1/batches", files={"archive": archive}, data={"kind": "enrol"})
        assert sent.status_code == 202, sent.text
        job = ended(service.client, sent.json()["id"], within_s=500)
        assert (job["state"], job["rows"]["refused"]) == ("done", 0)
        stats = service.client.get("/v1/stats").json()
        assert (stats["individuals"], stats["sightings"]) == (len(whales), len(known))
        for row in asked:
            files = {"photos": (Path(row["path"]).name, (folder / row["path"]).read_bytes())}
            said = service.client.post("/v1/identify", files=files)
            assert said.status_code == 200
            answers.append(said.json())
    right = sum(
        row["identity"] in [one["name"] for one in said["candidates"]] for row, said in zip(asked, answers, strict=True)
    )
    assert right >= ASKED // 10  # one of five of so many by chance: 2.5 %

    for row, said in zip(asked, answers, strict=True):
        capsys.readouterr()
        assert cli.main(["identify", str(folder / row["path"]), "--data-dir", str(tmp_path / "data"), "--json"]) == 0
        expected = json.loads(capsys.readouterr().out)
        for answer in (said, expected):
            answer.pop("timings_ms")
            answer.pop("identification_id")
        assert said == expected
