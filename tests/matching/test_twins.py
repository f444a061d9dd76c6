"""An animal that was enrolled under two names is not new."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import numpy as np
from galleries import Gallery, Reads, drawn, unit

from matching.answer import Answer
from matching.calibration import BUILT_IN
from matching.decision import Decision, decide, share_out
from matching.features import features
from matching.fit import calibrate
from matching.fusion import fuse
from matching.identify import QueryPhoto, identify
from matching.ranking import Ranked, rank
from matching.trials import SAMPLING, run_searches, sample
from matching.twins import doubted, known_as_two
from vector_db.port import Neighbour


def hazy(clear: Gallery, most: float) -> Gallery:
    """With something in all of its photos that has nothing to do with who it is, in some more than in others: as where all fins
    resemble each other and light differs. Then the margin tells more than the score."""
    random = np.random.default_rng(3)
    haze = unit(random.normal(size=clear.matrix.shape[1]))
    return Gallery(clear.rows, unit(clear.matrix + random.uniform(0, most, size=(len(clear.matrix), 1)) * haze))


WORLD = hazy(drawn(60, 21, apart=0.4), 2)
CALIBRATION = calibrate(WORLD, WORLD)
TWIN = 1000


def ask(gallery: Gallery, row: int) -> Answer:
    photo = QueryPhoto("later.jpg", WORLD.matrix[row].tobytes())
    return identify([photo], encoder=Reads(), index=gallery, catalogue=gallery, calibration=CALIBRATION)


def among(owner: Mapping[int, int], sightings: Sequence[int]) -> dict[int, int]:
    return {sighting: owner[sighting] for sighting in sightings if sighting in owner}


def last_occasions() -> Iterator[tuple[int, list[int], Gallery, Gallery]]:
    """Of each individual with two photos before: the rows of its last occasion, and the gallery without them, with the others
    under one name and under two."""
    for individual in range(60):
        mine = np.flatnonzero(WORLD.rows[:, 1] == individual)
        last = WORLD.rows[mine, 2] == WORLD.rows[mine[-1], 2]
        if (~last).sum() >= 2:
            rows, keep = WORLD.rows.copy(), np.ones(len(WORLD.rows), dtype=bool)
            keep[mine[last]] = False
            rows[mine[~last][1::2], 1] = TWIN
            yield individual, mine[last].tolist(), WORLD.only(keep), Gallery(rows, WORLD.matrix).only(keep)


def test_an_animal_under_two_names_is_not_called_new_where_it_is_known_under_one() -> None:
    tied = 0
    for individual, asked, once, twice in last_occasions():
        for row in asked:
            under_one = ask(once, row)
            if under_one.decision == "known" and under_one.candidates[0].individual_id == individual:
                answer = ask(twice, row)
                assert answer.decision != "new"
                assert answer.candidates[0].individual_id in (individual, TWIN)
                assert sum(one.probability for one in answer.candidates) + answer.new_probability <= 1 + 1e-9
                first, second = answer.candidates[:2]
                tied += answer.alike == 2 and first.probability == second.probability > 0.2
    assert tied >= 10  # which were called new


def test_what_is_known_as_one_of_two_is_unsure_with_each_alike() -> None:
    new, both = Decision("new", 0.8, 0.1, 0.8), Decision("known", 0.9, 0.9, 0.06)
    told = doubted(new, both)
    assert told == Decision("unsure", 0.45, 0.45, 0.06, tied=True)
    assert share_out(told, 3, BUILT_IN) == [0.45, 0.45, 0.0]
    assert share_out(told, 1, BUILT_IN) == [0.45]
    assert doubted(new, None) == new
    unsure = Decision("unsure", 0.3, 0.3, 0.5)
    assert doubted(unsure, both) == unsure


def test_two_are_taken_as_one_as_if_the_second_had_been_merged_into_the_first() -> None:
    told = 0
    for _, asked, _, twice in last_occasions():
        owner = {sighting: individual for sighting, individual, _ in twice.rows.tolist()}
        found = twice.search(WORLD.matrix[asked[0]], len(owner))
        ranking = rank(found, owner)
        pair = [ranked.individual_id for ranked in ranking[:2]]
        merged = rank(found, {sighting: pair[0] if who in pair else who for sighting, who in owner.items()})
        both = known_as_two([ranking], CALIBRATION, CALIBRATION, twice, partial(among, owner))
        if both is not None:
            told += 1
            assert both == decide(features(merged, [merged]), CALIBRATION)
    assert told > 20


def test_nobody_is_joined_where_there_are_not_two() -> None:
    for ranking in ((), rank([Neighbour(1, 0.9)], {1: 1})):
        assert known_as_two([ranking], CALIBRATION, CALIBRATION, WORLD, partial(among, {1: 1})) is None


def test_without_twins_hardly_an_answer_is_another() -> None:
    """Every occasion of the catalogue, asked as a new and as a known animal: one in a hundred may be doubted."""
    table, asked, other = WORLD.enrolled(), 0, 0
    for search in run_searches(WORLD, WORLD, table, sample(table, SAMPLING)):
        for known in {search.occasion.repeated, False}:
            owner = search.owners(known=known)
            rankings: list[tuple[Ranked, ...]] = [rank(found, owner, photo) for photo, found in enumerate(search.found)]
            decision = decide(features(fuse(rankings), rankings), CALIBRATION)
            asked += 1
            other += (
                doubted(decision, known_as_two(rankings, CALIBRATION, CALIBRATION, WORLD, partial(among, owner))) != decision
            )
    assert asked > 150
    assert other <= asked / 100
