from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest
from galleries import Gallery, Reads, drawn, unit
from hypothesis import given, settings
from hypothesis import strategies as st
from marks import Marks, marked

from encoder.errors import NotAPhoto, PhotoMissing, PhotoRefused
from encoder.values import Box
from matching.answer import Answer
from matching.calibration import BUILT_IN, Calibration
from matching.errors import QuestionRefused
from matching.fit import calibrate
from matching.identify import Options, QueryPhoto, Second, identify
from matching.opinion import Opinion
from vector_db.port import NO_FILTER, Filter, Neighbour, Vector

WORLD = drawn(60, 21, apart=0.6)
ENROLLED = WORLD.rows[:, 1] < 40
GALLERY = WORLD.only(ENROLLED)
CALIBRATION = calibrate(GALLERY, GALLERY)


def photo(sighting: int, noise: float = 0.0, name: str = "", box: Box | None = None) -> QueryPhoto:
    vector = WORLD.matrix[sighting - 1]
    moved = vector + np.random.default_rng(sighting).normal(size=len(vector)).astype(np.float32) * noise / np.sqrt(len(vector))
    return QueryPhoto(name or f"query {sighting}.jpg", moved.astype(np.float32).tobytes(), box)


def ask(*photos: QueryPhoto, gallery: Gallery = GALLERY, calibration: Calibration = CALIBRATION, **options: object) -> Answer:
    return identify(
        photos,
        encoder=Reads(),
        index=gallery,
        catalogue=gallery,
        calibration=calibration,
        options=Options(**options),  # type: ignore[arg-type]
    )


def sightings_of(individual: int) -> list[int]:
    return [int(s) for s, i, _ in WORLD.rows if i == individual]


def test_every_enrolled_photo_finds_itself() -> None:
    for sighting, individual, _ in GALLERY.rows.tolist():
        answer = ask(photo(sighting))
        assert answer.decision == "known"
        assert answer.candidates[0].individual_id == individual
        assert answer.candidates[0].evidence[0].sighting_id == sighting
        assert answer.candidates[0].score == pytest.approx(1.0, abs=1e-5)


def test_a_known_animal_from_another_photo_is_known_and_a_stranger_is_not() -> None:
    known = ask(photo(sightings_of(7)[0], noise=0.7))
    assert (known.decision, known.candidates[0].name) == ("known", "animal 7")
    strangers = [ask(photo(sightings_of(i)[0])).decision for i in range(40, 60)]
    assert strangers.count("known") <= 3
    assert strangers.count("new") >= 10


def test_the_answer_reads_as_the_command_prints_it() -> None:
    mine = sightings_of(7)
    answer = ask(photo(mine[0], 0.7, "a.jpg", Box(1, 2, 3, 4)), photo(mine[-1], 0.7, "b.jpg"), top=3)
    said = json.loads(json.dumps(answer.to_json()))
    assert set(said) == {
        *("decision", "probability", "new_probability", "candidates", "photos", "bundle", "calibration"),
        *("timings_ms", "identification_id"),
    }
    assert [candidate["rank"] for candidate in said["candidates"]] == [1, 2, 3]
    first = said["candidates"][0]
    assert set(first) == {"rank", "individual_id", "name", "species", "probability", "score", "evidence"}
    assert first["probability"] == said["probability"]
    assert first["species"] == "beluga"
    assert set(first["evidence"][0]) == {"sighting_id", "photo", "score", "query"}
    assert {proof["sighting_id"] for proof in first["evidence"]} <= set(mine)
    assert sum(c["probability"] for c in said["candidates"]) + said["new_probability"] <= 1 + 1e-9
    one, other = said["photos"]
    assert (one["name"], one["box"], one["refused"]) == ("a.jpg", {"x": 1, "y": 2, "width": 3, "height": 4}, None)
    assert (one["brightness"], one["sharpness"], one["width"], one["sha256"]) == (0.5, 0.25, 640, "ab" * 32)
    assert other["candidates"][0]["individual_id"] == 7
    assert said["bundle"] == "drawn-1"
    assert said["calibration"]["source"] == "catalogue"
    assert said["calibration"]["max_false_match"] == 0.05
    assert 0 <= said["calibration"]["expected"]["false_match"] <= 0.05
    assert (said["timings_ms"]["decode"], said["timings_ms"]["encode"]) == (2.0, 4.0)
    assert said["identification_id"] is None
    assert replace(answer, identification_id=9).to_json()["identification_id"] == 9


def test_each_photo_keeps_its_own_evidence() -> None:
    answer = ask(photo(sightings_of(3)[0], 0.3), photo(sightings_of(9)[0], 0.3))
    assert [p.candidates[0].individual_id for p in answer.photos] == [3, 9]
    for candidate in answer.candidates:
        for proof in candidate.evidence:
            owner = GALLERY.owners([proof.sighting_id])[proof.sighting_id]
            assert owner.individual_id == candidate.individual_id
            assert proof.photo == f"{proof.sighting_id}.jpg"
            vector = np.frombuffer(photo(sightings_of((3, 9)[proof.query])[0], 0.3).data, dtype=np.float32)  # type: ignore[arg-type]
            expected = float(WORLD.matrix[proof.sighting_id - 1] @ vector / np.linalg.norm(vector))
            assert proof.score == pytest.approx(expected, abs=1e-5)


@settings(max_examples=30)
@given(st.lists(st.integers(1, len(WORLD.rows)), min_size=1, max_size=5), st.randoms())
def test_the_order_of_photos_changes_no_answer(sightings: list[int], random: object) -> None:
    mixed = sightings[:]
    random.shuffle(mixed)  # type: ignore[attr-defined]
    one, other = (ask(*(photo(s, 0.5) for s in order)) for order in (sightings, mixed))
    assert (one.decision, one.probability, one.new_probability) == (other.decision, other.probability, other.new_probability)
    assert [(c.individual_id, c.score, c.probability) for c in one.candidates] == [
        (c.individual_id, c.score, c.probability) for c in other.candidates
    ]


@settings(max_examples=30)
@given(st.lists(st.integers(1, len(WORLD.rows)), min_size=1, max_size=4), st.integers(1, 100))
def test_asking_for_more_candidates_changes_no_decision(sightings: list[int], top: int) -> None:
    few, many = (ask(*(photo(s, 0.5) for s in sightings), top=n) for n in (1, top))
    assert (few.decision, few.probability) == (many.decision, many.probability)
    first, same = few.candidates[0], many.candidates[0]
    assert replace(same, evidence=first.evidence) == first  # a wider search may show more evidence of it
    assert same.evidence[0] == first.evidence[0]
    assert len(many.candidates) == min(top, 40)


def test_more_photos_of_one_animal_are_surer_than_one() -> None:
    """Over all animals with three photos, noisy: the fused answer is right at least as often as single photos are."""
    single, fused, asked = 0.0, 0, 0
    for individual in range(40):
        mine = sightings_of(individual)[:3]
        if len(mine) == 3:
            queries = [photo(s, 2.5) for s in mine]
            single += sum(ask(q).candidates[0].individual_id == individual for q in queries) / 3
            fused += ask(*queries).candidates[0].individual_id == individual
            asked += 1
    assert asked > 20
    assert fused > single


def test_a_photo_that_comes_twice_says_no_more_than_once() -> None:
    strangers = [sightings_of(animal)[0] for animal in range(40, 60)]
    for sighting in strangers:
        once, often = (
            ask(photo(sighting, 0.5)),
            ask(photo(sighting, 0.5), *[photo(sighting, 0.5, f"({n}).jpg") for n in range(9)]),
        )
        assert (often.decision, often.probability, often.candidates) == (once.decision, once.probability, once.candidates)
        assert [one.copy_of for one in often.photos] == [None] + [0] * 9
        assert "copy_of" not in once.to_json()["photos"][0]
    other, bad = photo(strangers[1]), QueryPhoto("bad.jpg", PhotoMissing("gone"))
    mixed = ask(photo(strangers[0]), bad, other, photo(strangers[0]), other)
    assert [one.copy_of for one in mixed.photos] == [None, None, None, 0, 2]


def test_many_photos_of_a_stranger_are_no_likelier_known_than_the_operating_point_allows() -> None:
    world = drawn(150, 2)
    calibration, random, known = calibrate(world, world), np.random.default_rng(4), 0
    for _ in range(40):
        seen = random.normal(size=64) + random.normal(size=(12, 64)) * 0.1  # a burst: each photo is nearly the one before
        looks = [QueryPhoto("", row.tobytes()) for row in unit(seen)]
        known += ask(*looks, gallery=world, calibration=calibration).decision == "known"
    assert known <= 4


def test_a_stricter_operating_point_never_adds_a_match() -> None:
    for sighting in range(1, len(WORLD.rows), 3):
        kinds = [ask(photo(sighting, 1.0), max_false_match=share).decision for share in (0.0, 0.03, 0.1, 0.5, 1.0)]
        first = kinds.index("known") if "known" in kinds else len(kinds)
        assert set(kinds[first:]) <= {"known"}


def test_one_bad_photo_of_several_does_not_kill_the_answer() -> None:
    alone = ask(photo(5, 0.5))
    answer = ask(QueryPhoto("bad.jpg", b"abc"), photo(5, 0.5), QueryPhoto("gone.jpg", PhotoMissing("no such file: gone.jpg")))
    assert (answer.decision, answer.probability) == (alone.decision, alone.probability)
    assert [c.individual_id for c in answer.candidates] == [c.individual_id for c in alone.candidates]
    assert answer.candidates[0].evidence[0].query == 1
    bad, good, gone = answer.photos
    assert bad.refused == "these bytes are no photo; give a JPEG"
    assert bad.sha256 == sha256(b"abc").hexdigest()
    assert good.refused is None
    assert (gone.refused, gone.sha256, gone.candidates) == ("no such file: gone.jpg", None, ())


def test_where_all_photos_are_bad_the_first_refusal_is_raised() -> None:
    with pytest.raises(PhotoMissing, match=r"gone\.jpg"):
        ask(QueryPhoto("gone.jpg", PhotoMissing("no such file: gone.jpg")), QueryPhoto("bad.jpg", b"abc"))
    with pytest.raises(NotAPhoto, match="give a JPEG"):
        ask(QueryPhoto("bad.jpg", b"abc"), QueryPhoto("other.jpg", PhotoRefused("never reached")))


def test_an_empty_catalogue_answers_new_for_certain() -> None:
    empty = WORLD.only(WORLD.rows[:, 1] < 0)
    for calibration in (BUILT_IN, CALIBRATION):
        answer = ask(photo(1), gallery=empty, calibration=calibration)
        assert (answer.decision, answer.probability, answer.new_probability) == ("new", 1.0, 1.0)
        assert answer.candidates == ()
        assert answer.photos[0].candidates == ()


def test_a_catalogue_of_tombstones_is_empty() -> None:
    gone = WORLD.only(WORLD.rows[:, 1] < 3)
    gone.dead = set(gone.rows[:, 0].tolist())
    assert ask(photo(1), gallery=gone).decision == "new"


def test_a_filter_that_lets_nothing_through_proves_nothing() -> None:
    answer = ask(photo(1), where=Filter(species="orca"))
    assert (answer.decision, answer.probability, answer.candidates) == ("unsure", 0.0, ())


class Named(Gallery):
    """A gallery whose filter by species lets the first animals through."""

    def search(self, vector: Vector, top: int, where: Filter = NO_FILTER, *, exact: bool = False) -> list[Neighbour]:
        found = super().search(vector, len(self.rows), replace(where, species=None), exact=exact)
        return [one for one in found if where.species is None or ANIMAL[one.id] < 20][:top]


def test_new_is_said_of_the_whole_catalogue_though_a_filter_leaves_the_animal_out() -> None:
    named, said = Named(GALLERY.rows, GALLERY.matrix), []
    for animal in range(20, 40):
        sighting = sightings_of(animal)[0]
        answer = ask(photo(sighting, 0.3), gallery=named, where=Filter(species="orca"))
        assert answer.decision == "unsure"
        if answer.beyond is not None:
            assert (answer.beyond.individual_id, answer.beyond.decision) == (animal, "known")
            said.append(answer.to_json()["beyond"]["name"])
        assert answer.new_probability + sum(one.probability for one in answer.candidates) <= 1
    assert len(said) > 10
    strangers = [ask(photo(sightings_of(n)[0]), gallery=named, where=Filter(species="orca")) for n in range(40, 60)]
    assert any(one.decision == "new" for one in strangers)
    assert all(one.beyond is None for one in strangers if one.decision == "new")


def test_a_picture_that_is_enrolled_under_two_names_is_one_of_two() -> None:
    first, second = sightings_of(3)[0], sightings_of(9)[0]
    matrix = GALLERY.matrix.copy()
    matrix[GALLERY.rows[:, 0] == second] = matrix[GALLERY.rows[:, 0] == first]
    answer = ask(photo(first), gallery=Gallery(GALLERY.rows, matrix))
    assert (answer.decision, answer.alike) == ("unsure", 2)
    assert [(one.individual_id, one.probability) for one in answer.candidates[:2]] == [(3, 0.495), (9, 0.495)]


def test_a_catalogue_of_one_individual_is_not_claimed_for_every_animal() -> None:
    alone = WORLD.only(WORLD.rows[:, 1] == 0)
    calibration = calibrate(alone, alone)
    assert calibration.source == "none"
    assert ask(photo(sightings_of(0)[0]), gallery=alone, calibration=calibration).decision == "known"  # the very photo
    stranger = ask(photo(sightings_of(50)[0]), gallery=alone, calibration=calibration)
    assert stranger.decision == "unsure"
    assert stranger.probability < 0.1
    assert len(stranger.candidates) == 1


def test_tombstones_and_excluded_sightings_are_no_evidence() -> None:
    mine = sightings_of(7)
    gallery = WORLD.only(ENROLLED)
    gallery.dead = {mine[0]}
    answer = ask(photo(mine[0]), gallery=gallery, where=Filter(exclude=frozenset(mine[1:2])))
    shown = {proof.sighting_id for candidate in answer.candidates for proof in candidate.evidence}
    assert shown
    assert not shown & set(mine[:2])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"top": 0}, "ask for 1 to 100"),
        ({"top": 101}, "ask for 1 to 100"),
        ({"max_false_match": -0.1}, "between 0 and 1"),
        ({"max_false_match": 1.5}, "between 0 and 1"),
        ({"max_false_match": float("nan")}, "between 0 and 1"),
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(QuestionRefused, match=message):
        Options(**options)  # type: ignore[arg-type]


def test_no_photo_is_refused() -> None:
    with pytest.raises(QuestionRefused, match="give at least one"):
        ask()


ANIMAL = {int(sighting): int(individual) for sighting, individual, _ in WORLD.rows}


def ask_twice(opinion: Opinion, *photos: QueryPhoto, shows: int = 7, gone: Iterable[int] = ()) -> tuple[Answer, Answer]:
    """Without and with a second opinion; the question's photos show the marks of an animal."""
    marks = Marks(ANIMAL, gone=frozenset(gone), question=marked(shows, 99_999, shown=0.95))
    second = Second(marks, opinion)
    parts = {"encoder": Reads(), "index": GALLERY, "catalogue": GALLERY, "calibration": CALIBRATION}
    return ask(*photos), identify(photos, **parts, second=second)  # type: ignore[arg-type]


FOLLOWED = Opinion("drawn-1", 100, 0.3, 0.6, True, "measured", calibration=CALIBRATION)
UNPROVEN = Opinion("drawn-1", 100, 0.3, 0.0, False, "not enough")


def test_marks_that_agree_bring_the_right_animal_up_where_they_are_followed_and_are_only_told_where_not() -> None:
    blurred = [photo(sightings_of(7)[0], noise=noise) for noise in np.linspace(1.0, 2.5, 12)]
    places: dict[bool, list[int]] = {True: [], False: []}
    for one in blurred:
        plain, followed = ask_twice(FOLLOWED, one)
        _, told = ask_twice(UNPROVEN, one)
        assert [(c.individual_id, c.score, c.probability) for c in told.candidates] == [
            (c.individual_id, c.score, c.probability) for c in plain.candidates
        ]
        assert told.decision == plain.decision
        for answer, second in ((plain, False), (followed, True)):
            ids = [candidate.individual_id for candidate in answer.candidates]
            places[second].append(ids.index(7) if 7 in ids else 99)
    assert all(after <= before for before, after in zip(places[False], places[True], strict=True))
    assert places[True].count(0) > places[False].count(0)


def test_each_proof_that_was_looked_at_tells_its_points_and_its_own_cosine() -> None:
    plain, followed = ask_twice(FOLLOWED, photo(sightings_of(7)[0], noise=0.7))
    proof = followed.candidates[0].evidence[0]
    assert proof.agreement is not None
    assert proof.agreement.inliers == len(proof.agreement.points) > 10
    cosine = {e.sighting_id: e.score for candidate in plain.candidates for e in candidate.evidence}
    assert proof.agreement.cosine == cosine[proof.sighting_id]
    said = json.loads(json.dumps(followed.to_json()))
    assert said["second_opinion"]["followed"]
    assert len(said["candidates"][0]["evidence"][0]["agreement"]["points"][0]) == 2


@given(
    st.lists(st.integers(1, len(WORLD.rows)), min_size=1, max_size=3),
    st.floats(0.3, 1.5),
    st.sampled_from([(), tuple(ANIMAL)[::2], tuple(ANIMAL)]),
)
@settings(max_examples=25)
def test_a_second_opinion_keeps_the_laws_of_an_answer(sightings: list[int], noise: float, gone: tuple[int, ...]) -> None:
    plain, second = ask_twice(FOLLOWED, *(photo(sighting, noise) for sighting in sightings), gone=gone)
    chances = [candidate.probability for candidate in second.candidates]
    assert chances == sorted(chances, reverse=True)
    assert sum(chances) + second.new_probability <= 1 + 1e-9
    scores = [candidate.score for candidate in second.candidates]
    assert scores == sorted(scores, reverse=True)
    if gone and second.second_opinion is not None:
        assert not second.second_opinion.followed
        assert scores == [candidate.score for candidate in plain.candidates]
        assert chances == [candidate.probability for candidate in plain.candidates]


def test_a_photo_of_the_catalogue_is_itself_with_or_without_a_second_opinion() -> None:
    plain, second = ask_twice(FOLLOWED, photo(sightings_of(3)[0]), shows=7)
    assert second.second_opinion is None
    assert second.candidates == plain.candidates
