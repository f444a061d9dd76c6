from __future__ import annotations

import numpy as np
from galleries import drawn

from matching.similar import similar
from vector_db.port import Filter


def test_the_nearest_live_sightings_with_their_owners() -> None:
    gallery = drawn(30, 8)
    gallery.dead = {2, 3}
    found = similar(gallery.matrix[0], index=gallery, catalogue=gallery, top=7)
    cosines = gallery.matrix @ gallery.matrix[0]
    live = [int(s) for s in gallery.rows[np.argsort(-cosines), 0] if s not in gallery.dead]
    assert [s.sighting_id for s in found] == live[:7]
    assert [s.score for s in found] == [float(cosines[s.sighting_id - 1]) for s in found]
    for s in found:
        individual, encounter = gallery.rows[s.sighting_id - 1, 1:].tolist()
        assert (s.individual_id, s.encounter_id, s.name, s.photo) == (
            individual,
            encounter,
            f"animal {individual}",
            f"{s.sighting_id}.jpg",
        )


def test_a_sighting_that_is_asked_about_can_be_left_out() -> None:
    gallery = drawn(30, 8)
    where = Filter(exclude=frozenset({5}))
    found = similar(gallery.matrix[4], index=gallery, catalogue=gallery, top=3, where=where)
    assert len(found) == 3
    assert 5 not in {s.sighting_id for s in found}


def test_more_than_there_are_is_all_there_are_even_behind_many_tombstones() -> None:
    gallery = drawn(60, 9, photos=4)
    gallery.dead = set(range(1, len(gallery.rows) - 4))
    found = similar(gallery.matrix[0], index=gallery, catalogue=gallery, top=50)
    assert {s.sighting_id for s in found} == set(range(len(gallery.rows) - 4, len(gallery.rows) + 1))
    assert similar(gallery.matrix[0], index=gallery.only(gallery.rows[:, 0] < 0), catalogue=gallery) == ()
