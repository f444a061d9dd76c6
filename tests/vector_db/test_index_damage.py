"""Real files of a real index, damaged: it is noticed at the next start, rebuilt from the catalogue, and answers as before."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import psutil
import pytest
from index_catalogue import DIMENSION, Books
from point_sets import drawn_points, unit

from vector_db.errors import IndexDamaged
from vector_db.open import open_edge
from vector_db.port import Neighbour, VectorIndex

POINTS = drawn_points(600, DIMENSION)
CODES_ABOVE = 200
QUERY = unit(np.random.default_rng(0), 1, DIMENSION)[0]


def flipped(path: Path) -> None:
    content, chance = bytearray(path.read_bytes()), random.Random(3)
    written = [at for at, byte in enumerate(content) if byte] or [0]
    for at in chance.sample(written, min(8, len(written))):
        content[at] ^= 0xFF
    path.write_bytes(content)


def halved(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def zeroed(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def emptied(path: Path) -> None:
    os.truncate(path, 0)


def copy(folder: Path, to: Path) -> None:
    """With its holes, which are most of it."""
    subprocess.run(["cp", "-r", "--sparse=always", folder, to], check=True)


DAMAGES: list[Callable[[Path], None]] = [flipped, halved, zeroed, emptied, Path.unlink]
KINDS = {
    "log": "wal/open-*",
    "segment's state": "segments/*/segment.json",
    "segment's version": "segments/*/version.info",
    "shard's settings": "edge_config.json",
    "vectors, appended": "segments/*/vector_storage/vectors/chunk_0.mmap",
    "vectors' number": "segments/*/vector_storage/vectors/status.dat",
    "vectors, built": "segments/*/vector_storage/matrix.dat",
    "codes": "segments/*/vector_storage/quantized*",
    "ids, built": "segments/*/id_tracker*",
    "ids, appended": "segments/*/mutable_id_tracker*",  # which the log replays
    "facts": "segments/*/payload_storage/page_0.dat",
    "facts' places": "segments/*/payload_storage/tracker.dat",
    "facts' index": "segments/*/payload_index/*species*/page_0.dat",
    "facts' index list": "segments/*/payload_index/config.json",
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Neighbour]]:
    """An index of a built and an appended part, closed; and what it answers."""
    folder = tmp_path_factory.mktemp("sound") / "index"
    books = Books(POINTS[:400])
    index = books.open(folder, codes_above=CODES_ABOVE)
    index.optimise()
    books.add(index, POINTS[400:])
    answer = index.search(QUERY, 20, exact=True)
    index.close()
    return folder, answer


def files_of(folder: Path, kind: str) -> list[Path]:
    (shard,) = folder.glob("shard-*")
    return sorted(path for path in shard.glob(KINDS[kind]) if path.is_file() and path.stat().st_size)


def refute_mended(sound: tuple[Path, list[Neighbour]], hurt: Path, file: Path, damage: Callable[[Path], None]) -> str | None:
    """Why the damage was not noticed, or not mended; None where it was both."""
    folder, answer = sound
    copy(folder, hurt)
    victim = hurt / file.relative_to(folder)
    before = victim.read_bytes()
    damage(victim)
    if victim.exists() and victim.read_bytes() == before:  # zeros in a file of zeros: nothing is damaged
        shutil.rmtree(hurt)
        return None
    books = Books(POINTS)
    index = books.open(hurt, codes_above=CODES_ABOVE)
    try:
        if file.name not in (index.info().rebuilt or ""):
            return f"not noticed: {index.info()}"
        if index.search(QUERY, 20, exact=True) != answer:
            return "another answer"
        return books.refute(index)
    finally:
        index.close()
        shutil.rmtree(hurt)


@pytest.mark.parametrize("kind", KINDS)
def test_damage_of_each_kind_of_file_is_noticed_and_mended(
    sound: tuple[Path, list[Neighbour]], tmp_path: Path, kind: str
) -> None:
    damage = DAMAGES[list(KINDS).index(kind) % len(DAMAGES)]
    file = files_of(sound[0], kind)[0]
    assert refute_mended(sound, tmp_path / "hurt", file, damage) is None, damage.__name__


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_every_damage_of_every_file_is_noticed_and_mended(
    sound: tuple[Path, list[Neighbour]], tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    for kind in KINDS:
        for file in files_of(sound[0], kind):
            assert refute_mended(sound, tmp_path / "hurt", file, damage) is None, file


@pytest.mark.parametrize(
    ("kind", "damage"),
    [
        ("vectors, appended", emptied),
        ("vectors' number", zeroed),
        ("ids, built", Path.unlink),
        ("segment's state", flipped),
        ("facts", zeroed),
        ("log", emptied),
    ],
)
def test_what_is_lost_after_a_crash_is_noticed_without_a_seal(
    sound: tuple[Path, list[Neighbour]], tmp_path: Path, kind: str, damage: Callable[[Path], None]
) -> None:
    folder, answer = sound
    hurt = tmp_path / "index"
    copy(folder, hurt)
    (hurt / "seal.json").unlink()  # as after a power cut
    for file in files_of(folder, kind):
        victim = hurt / file.relative_to(folder)
    before = victim.read_bytes()
    damage(victim)
    if victim.exists() and victim.read_bytes() == before:  # zeros in a file of zeros: nothing is damaged
        shutil.rmtree(hurt)
        return
    books = Books(POINTS)
    with closing(books.open(hurt, codes_above=CODES_ABOVE)) as index:
        assert index.search(QUERY, 20, exact=True) == answer
        assert books.refute(index) is None
        assert index.info().rebuilt or books.added or kind == "log"  # which holds nothing that is not on disk


def test_sound_index_is_opened_as_it_is(sound: tuple[Path, list[Neighbour]], tmp_path: Path) -> None:
    copy(sound[0], tmp_path / "index")
    books = Books(POINTS)
    for _ in range(2):
        index = books.open(tmp_path / "index", codes_above=CODES_ABOVE)
        assert index.info().rebuilt is None
        assert index.info().built == 400
        assert (books.added, books.removed) == (0, 0)
        index.close()


def test_index_whose_owner_was_killed_without_a_write_is_opened_as_it_is(
    sound: tuple[Path, list[Neighbour]], tmp_path: Path
) -> None:
    """The engine changes files by opening them; that must not pass for damage."""
    copy(sound[0], tmp_path / "index")
    books = Books(POINTS)
    for _ in range(3):
        index = books.open(tmp_path / "index", codes_above=CODES_ABOVE)
        index._engine._drop()  # type: ignore[attr-defined]
        assert index.count() == len(POINTS)
        assert index.info().rebuilt is None
        index._engine._drop()  # type: ignore[attr-defined]
        index.close()
    assert books.added == 0


def test_file_that_does_not_belong_there_is_noticed(sound: tuple[Path, list[Neighbour]], tmp_path: Path) -> None:
    copy(sound[0], tmp_path / "index")
    (shard,) = (tmp_path / "index").glob("shard-*")
    (shard / "segments" / "stray").write_text("of another index")
    index = Books(POINTS).open(tmp_path / "index", codes_above=CODES_ABOVE)
    assert "does not belong" in (index.info().rebuilt or "")
    index.close()


@pytest.mark.parametrize(
    ("stamp", "why"),
    [
        (None, "stamp is missing"),
        ("not json", "cannot be read"),
        ("[]", "cannot be read"),
        ('{"collection": "flukeprint-test"}', "cannot be read"),
        ({"collection": "flukeprint-other"}, "made for flukeprint-other"),
        ({"optimised": "7"}, "cannot be read"),
        ({"dimension": 33}, "with 33 dimensions"),
        ({"format": 2}, "format 2"),
        ({"shard": "shard-99"}, "shard folder is missing"),
        ({"shard": "../../elsewhere"}, "shard folder is missing"),
    ],
)
def test_index_with_another_stamp_is_begun_anew(
    sound: tuple[Path, list[Neighbour]], tmp_path: Path, stamp: str | dict | None, why: str
) -> None:
    copy(sound[0], tmp_path / "index")
    path = tmp_path / "index" / "stamp.json"
    if stamp is None:
        path.unlink()
    else:
        path.write_text(stamp if isinstance(stamp, str) else json.dumps({**json.loads(path.read_text()), **stamp}))
    books = Books(POINTS)
    index = books.open(tmp_path / "index", codes_above=CODES_ABOVE)
    assert why in (index.info().rebuilt or "")
    assert books.refute(index) is None
    index.close()


def test_other_dimension_than_the_folder_holds_begins_anew(sound: tuple[Path, list[Neighbour]], tmp_path: Path) -> None:
    copy(sound[0], tmp_path / "index")
    index = Books().open(tmp_path / "index", dimension=16)
    assert "with 32 dimensions" in (index.info().rebuilt or "")
    assert index.count() == 0
    index.close()


def test_unreadable_seal_is_no_worse_than_none(sound: tuple[Path, list[Neighbour]], tmp_path: Path) -> None:
    for content in ("", "{", '{"shard": "shard-2", "files": {"x": 1}}', '{"shard": "shard-2", "files": []}', "[]"):
        folder = tmp_path / str(len(content))
        copy(sound[0], folder)
        (folder / "seal.json").write_text(content)
        books = Books(POINTS)
        index = books.open(folder, codes_above=CODES_ABOVE)
        assert index.info().rebuilt is None
        assert books.added == 0
        index.close()


def test_leftovers_of_a_crash_are_cleared_away(sound: tuple[Path, list[Neighbour]], tmp_path: Path) -> None:
    folder = tmp_path / "index"
    copy(sound[0], folder)
    (shard,) = folder.glob("shard-*")
    copy(shard, folder / "shard-9")
    (folder / "seal.json").unlink()
    (shard / "temp_segments" / "half").mkdir(parents=True)
    (shard / "temp_segments" / "half" / "file").write_text("done")
    index = Books(POINTS).open(folder, codes_above=CODES_ABOVE)
    assert index.info().rebuilt is None
    assert not (folder / "shard-9").exists()
    assert list((shard / "temp_segments").iterdir()) == []
    index.close()


def test_engine_that_crashes_on_a_call_again_and_again_begins_anew(tmp_path: Path) -> None:
    """Damage that opens well and kills the engine only when it is searched."""
    books = Books(POINTS)
    index = books.open(tmp_path / "index")
    real, crashes = index._engine.run, []  # type: ignore[attr-defined]

    def crashing(action: Callable) -> object:
        def first_two(worker: object) -> object:
            if len(crashes) < 2:
                crashes.append(psutil.Process(worker.pid))  # type: ignore[attr-defined]
                os.kill(worker.pid, signal.SIGABRT)  # type: ignore[attr-defined]
            return action(worker)

        return real(first_two)

    index._engine.run = crashing  # type: ignore[attr-defined]
    answer = index.search(QUERY, 5)
    index._engine.run = real  # type: ignore[attr-defined]
    assert len(crashes) == 2
    assert index.search(QUERY, 5) == answer
    assert index.info().rebuilt == "the engine crashed on it twice"
    assert books.refute(index) is None
    index.close()


def test_engine_that_fails_is_said_and_looked_at_before_the_next_call(tmp_path: Path) -> None:
    books = Books(POINTS)
    index = books.open(tmp_path / "index")
    with pytest.raises(IndexDamaged, match="flukeprint reindex"):
        index._engine.ask("points", ["no id"])  # type: ignore[attr-defined]
    assert books.refute(index) is None
    assert books.runs == 2
    index.close()


def test_answers_are_the_same_after_a_rebuild(sound: tuple[Path, list[Neighbour]], tmp_path: Path) -> None:
    folder, answer = sound
    assert folder.exists()
    books = Books(POINTS)
    index: VectorIndex = open_edge(tmp_path / "new", collection="flukeprint-test", dimension=DIMENSION, on_open=books.reconcile)
    assert index.search(QUERY, 20, exact=True) == answer
    assert index.info().rebuilt == "there was no index yet"
    index.close()
