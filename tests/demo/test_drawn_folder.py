from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo import animals
from demo.folder import make_folder, name_of, pairs, path_of
from indexer.tables import read_table

SMALL = (64, 48)


@given(encounters=st.integers(1, 9), data=st.data())
def test_pairs_spread_an_individuals_photos_over_its_encounters(encounters: int, data: st.DataObject) -> None:
    photos = data.draw(st.integers(encounters, encounters * animals.PHOTOS_AN_ENCOUNTER))
    found = [photo for individual, photo in pairs([3, 4], photos, encounters) if individual == 4]
    assert len(set(found)) == len(found) == photos
    counts = [[animals.encounter_of(photo) for photo in found].count(encounter) for encounter in range(encounters)]
    assert sum(counts) == photos
    assert max(counts) - min(counts) <= 1


@pytest.mark.parametrize(("photos", "encounters"), [(2, 3), (5, 1), (0, 0)])
def test_photos_that_do_not_fit_their_encounters_are_refused(photos: int, encounters: int) -> None:
    with pytest.raises(ValueError, match=f"{photos} photos in {encounters} encounters"):
        list(pairs([0], photos, encounters))


def test_names_are_their_own() -> None:
    assert len({name_of(individual) for individual in range(5000)}) == 5000
    assert name_of(0) == "Kelp-00"


def test_a_folder_holds_the_photos_and_a_table_that_the_import_reads(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    table = make_folder(tmp_path, pairs(range(3), 4, 2), size=SMALL, on_progress=lambda done, total: told.append((done, total)))
    rows = [dict(row.given) for row in read_table(table)]
    assert told == [(done, 12) for done in range(1, 13)]
    assert [row["path"] for row in rows[:2]] == ["Kelp-00/Kelp-00-00.jpg", "Kelp-00/Kelp-00-01.jpg"]
    known = animals.facts(1, 5)
    assert rows[7] == {
        "path": "Tide-01/Tide-01-05.jpg",
        "identity": "Tide-01",
        "species": "bottlenose dolphin",
        "encounter": "Tide-01 1",
        "date": f"{known.taken:%Y-%m-%d}",
        "lat": str(known.lat),
        "lon": str(known.lon),
        "viewpoint": known.viewpoint,
    }
    for row in rows:
        assert (tmp_path / row["path"]).stat().st_size > 500
    assert path_of(tmp_path, 1, 5).read_bytes() == animals.photo(1, 5, size=SMALL)


def test_what_was_drawn_is_not_drawn_again(tmp_path: Path) -> None:
    first = make_folder(tmp_path, pairs(range(2), 2, 1), size=SMALL).read_bytes()
    path_of(tmp_path, 0, 1).write_bytes(b"kept")
    path_of(tmp_path, 1, 0).unlink()
    assert make_folder(tmp_path, pairs(range(2), 2, 1), size=SMALL).read_bytes() == first
    assert path_of(tmp_path, 0, 1).read_bytes() == b"kept"
    assert path_of(tmp_path, 1, 0).exists()
    assert not list(tmp_path.rglob("*.part"))
