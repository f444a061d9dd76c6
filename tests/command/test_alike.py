"""A new name for an animal that is known is told at once, and how to make the two one."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import cv2
from said import Run


def test_a_new_name_for_a_known_animal_is_told_with_the_merge_that_joins_them(run: Run, photos: Path, tmp_path: Path) -> None:
    first, saved_again = photos / "W0" / "0-0.jpg", tmp_path / "again.png"
    cv2.imwrite(str(saved_again), cv2.imread(str(first)))
    assert "looks like" not in run("enrol", "--name", "Kelp", first).err
    other = run("enrol", "--name", "Fleck", photos / "W1" / "1-0.jpg", "--json")
    assert (other.json["looks_like"], other.err) == (None, "")
    told = run("enrol", "--name", "kelp", saved_again)
    assert told.code == 0
    assert '"kelp" looks like "Kelp" (individual 1), right with 99%. If it is that animal: flukeprint merge 1 3' in told.err
    [merge] = re.findall(r"flukeprint (merge .*)", told.err)
    assert run(*shlex.split(merge)).code == 0
    assert [one["name"] for one in run("individuals", "--json").json["individuals"]] == ["Fleck", "Kelp"]
    assert "looks like" not in run("enrol", "--name", "Kelp", photos / "W0" / "0-1.jpg").err
