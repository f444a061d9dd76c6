import hashlib
import io
import subprocess
import sys
from datetime import date
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from demo import animals
from encoder.encode import Encoder, open_encoder
from encoder.values import Taken

WHOLE_NUMBERS = st.integers(0, 2**40)


def digest(individual: int, photo: int) -> str:
    return hashlib.sha256(animals.photo(individual, photo, size=(320, 240))).hexdigest()


@pytest.fixture(scope="module")
def starter(root: Path) -> Encoder:
    return open_encoder(root / "bundles" / "starter-lite0")


@pytest.mark.parametrize("threads", [1, 2])
def test_another_process_draws_the_same_bytes(root: Path, threads: int) -> None:
    script = (
        "import hashlib, cv2; from demo import animals; "
        f"cv2.setNumThreads({threads}); animals.draw(9, 9, size=(64, 48)); "
        "print(*(hashlib.sha256(animals.photo(i, 2, size=(320, 240))).hexdigest() for i in (5, 4)))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [digest(5, 2), digest(4, 2)]


def test_individuals_photos_seeds_and_encounters_give_different_pictures() -> None:
    small = (160, 120)
    drawn = [
        animals.draw(2, 0, size=small),
        animals.draw(4, 0, size=small),
        animals.draw(2, 1, size=small),
        animals.draw(2, 0, size=small, seed=1),
        animals.draw(2, 0, size=small, encounter=1),
        animals.draw(2, 0, size=small, kind="fin"),
    ]
    for number, one in enumerate(drawn):
        for other in drawn[number + 1 :]:
            assert np.abs(one.astype(int) - other).mean() > 2


@settings(max_examples=25)
@given(individual=WHOLE_NUMBERS, photo=WHOLE_NUMBERS, seed=WHOLE_NUMBERS)
def test_any_number_gives_a_picture_with_detail(individual: int, photo: int, seed: int) -> None:
    pixels = animals.draw(individual, photo, seed=seed, size=(240, 180))
    assert pixels.shape == (180, 240, 3)
    assert pixels.dtype == np.uint8
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    assert grey.std() > 8
    assert 30 < grey.mean() < 225
    assert len(np.unique(grey)) > 60


@settings(max_examples=20)
@given(width=st.integers(32, 500), height=st.integers(32, 500), individual=st.integers(0, 1000))
def test_any_size_is_drawn(width: int, height: int, individual: int) -> None:
    assert animals.draw(individual, 0, size=(width, height)).shape == (height, width, 3)


@pytest.mark.parametrize("size", [(31, 480), (640, 0), (20_000, 480)])
def test_a_size_that_cannot_be_drawn_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=f"{size[0]} x {size[1]} was asked for"):
        animals.draw(0, 0, size=size)


@pytest.mark.parametrize("individual", [4, 7])
def test_a_larger_picture_shows_the_same_scene_with_more_detail(individual: int) -> None:
    small = animals.draw(individual, 0)
    large = animals.draw(individual, 0, size=(1920, 1440))
    reduced = cv2.resize(large, animals.SIZE, interpolation=cv2.INTER_AREA)
    blurred = [cv2.GaussianBlur(cv2.cvtColor(each, cv2.COLOR_RGB2GRAY), (0, 0), 3).ravel() for each in (small, reduced)]
    assert np.corrcoef(*blurred)[0, 1] > 0.97
    enlarged = cv2.resize(small, (1920, 1440), interpolation=cv2.INTER_CUBIC)
    water = (slice(1275, 1425), slice(0, 1920))
    smooth = [cv2.GaussianBlur(each[water], (0, 0), 1) for each in (large, enlarged)]  # without the film's grain
    fine = [cv2.Laplacian(each, cv2.CV_64F).var() for each in smooth]
    assert fine[0] > 1.5 * fine[1]


def test_a_jpeg_tells_date_and_place() -> None:
    known = animals.facts(11, 6)
    exif = Image.open(io.BytesIO(animals.photo(11, 6, size=(64, 48)))).getexif()
    assert exif.get_ifd(0x8769)[0x9003] == f"{known.taken:%Y:%m:%d %H:%M:%S}"
    assert set(exif.get_ifd(0x8825)) == {1, 2, 3, 4}
    assert "drawn" in exif[0x010E]


def test_the_encoder_reads_what_the_jpeg_tells(starter: Encoder) -> None:
    for individual in range(6):
        known = animals.facts(individual, 0)
        encoded = starter.encode(animals.photo(individual, 0))
        assert encoded.taken == Taken(
            at=known.taken, lat=pytest.approx(known.lat, abs=1e-4), lon=pytest.approx(known.lon, abs=1e-4), creator=None
        )
        assert (encoded.width, encoded.height, encoded.format) == (640, 480, "jpeg")


def test_the_jpeg_shows_what_was_drawn() -> None:
    drawn = animals.draw(3, 0)
    shown = cv2.imdecode(np.frombuffer(animals.photo(3, 0), np.uint8), cv2.IMREAD_COLOR_RGB)
    assert shown is not None
    assert np.abs(drawn.astype(int) - shown).mean() < 6


def test_photos_of_one_encounter_share_day_place_and_side() -> None:
    for individual in (2, 3):
        facts = [animals.facts(individual, photo) for photo in range(2 * animals.PHOTOS_AN_ENCOUNTER)]
        assert [animals.encounter_of(photo) for photo in range(len(facts))] == [0, 0, 0, 0, 1, 1, 1, 1]
        for first in (0, 4):
            assert len({(f.taken.date(), f.viewpoint, f.species) for f in facts[first : first + 4]}) == 1
            assert len({f.taken for f in facts[first : first + 4]}) == 4
        assert facts[0].taken.date() != facts[4].taken.date()


def test_days_lie_in_the_past_and_are_shared_by_several_individuals() -> None:
    days = [animals.facts(individual, 0).taken.date() for individual in range(200)]
    assert max(days) < date(2025, 1, 1)
    assert 40 < len(set(days)) <= 60


def test_an_individual_is_seen_on_sixty_days_before_one_comes_again() -> None:
    days = {animals.day_of(7, encounter, 0).number for encounter in range(60)}
    assert len(days) == 60


def test_flukes_show_their_underside_and_fins_mostly_one_side() -> None:
    assert {animals.facts(individual, 0).viewpoint for individual in range(0, 60, 2)} == {"underside"}
    sides = [animals.facts(individual, 0).viewpoint for individual in range(1, 400, 2)]
    assert set(sides) == {"left", "right"}
    assert 0.02 < sides.count("right") / len(sides) < 0.25


def test_an_individual_resembles_itself_more_than_others_and_most_within_an_encounter(starter: Encoder) -> None:
    """Neither trivial nor impossible: with the starter bundle most are found on another day, and days still tell."""
    photos = [(individual, photo) for individual in range(18) for photo in (0, 1, 4, 5)]
    vectors = np.stack([starter.encode(animals.photo(*each)).vector for each in photos])
    cosine = vectors @ vectors.T
    individual = np.array([each[0] for each in photos])
    encounter = np.array([animals.encounter_of(each[1]) for each in photos])
    same = individual[:, None] == individual
    together = same & (encounter[:, None] == encounter)
    kind = (individual[:, None] % 2) == individual % 2
    itself = np.eye(len(photos), dtype=bool)
    means = [cosine[mask].mean() for mask in (together & ~itself, same & ~together, ~same & kind, ~kind)]
    assert means == sorted(means, reverse=True)
    assert means[0] - means[1] > 0.03
    assert means[1] - means[2] > 0.05
    nearest = individual[np.where(together, -2, cosine).argmax(axis=1)]
    assert (nearest == individual).mean() > 0.6
    nearest = individual[np.where(itself, -2, cosine).argmax(axis=1)]
    assert (nearest == individual).mean() > 0.9
