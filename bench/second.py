"""What a second opinion costs: a question that looks again, the features it makes, and the room that they take.

Drawn photos of three megapixels, as a field catalogue keeps them reduced. The levels are stated in decodings and encodings of
the same photo in the same run: an answer that takes three of them is still an answer while one waits. Off must cost nothing:
`auto` in a catalogue where nobody has measured it is held against `off`, in turns.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median

from bench.row import Row
from demo import animals
from encoder.local import pack
from indexer.asking import identify_and_keep
from indexer.bulk import import_rows
from indexer.station import Station, open_station
from matching.answer import Timings
from matching.identify import QueryPhoto
from settings import SecondOpinion, read_settings

INDIVIDUALS = 24
PHOTOS = 4
SIZE = (2016, 1512)
QUESTIONS = 12
ROUNDS = 3


def rows() -> list[Row]:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        photos = [
            _photo(folder / "photos", individual, number) for individual in range(INDIVIDUALS) for number in range(PHOTOS)
        ]
        asking = [QueryPhoto(f"{n}.jpg", animals.photo(n, PHOTOS, size=SIZE)) for n in range(QUESTIONS)]
        with open_station(read_settings({}, data_dir=folder / "data")) as station:
            import_rows(station, photos[0].parent.parent, who="bench")
            first = [_second(station, photo) for photo in asking]  # makes features of the sightings that it meets
            kept = [_second(station, photo) for _ in range(ROUNDS) for photo in asking]
            turns = [_turn(station, photo, turn % 2 == 0) for turn in range(ROUNDS + 1) for photo in asking]
            made = [_made(station, photo) for photo in asking]
    looking = median(one.second or 0.0 for one in kept)
    plain = median(one.decode + one.encode for one in kept)
    extract, room = median(ms for ms, _ in made), median(size for _, size in made)
    idle = median(auto for auto, _ in turns) / median(off for _, off in turns)
    worst = max(one.second or 0.0 for one in first)
    return [
        Row(
            "a second opinion / decode + encode",
            looking / plain,
            "≤ 3",
            looking <= 3 * plain,
            f"{looking:.0f} ms a question, features kept; {worst:.0f} ms at the most where they had to be made",
        ),
        Row("local features of a photo / decode + encode", extract / plain, "≤ 3", extract <= 3 * plain, f"{extract:.0f} ms"),
        Row("local features kept, kB a sighting", room / 1000, "≤ 22", room <= 22_000),
        Row("identify with auto, not measured / off", idle, "≤ 1.1", idle <= 1.1, f"{len(turns)} turns"),
    ]


def _photo(folder: Path, individual: int, number: int) -> Path:
    path = folder / f"W{individual}" / f"{number}.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(animals.photo(individual, number, size=SIZE))
    return path


def _second(station: Station, photo: QueryPhoto) -> Timings:
    return identify_and_keep(station, [photo], who="bench", second_opinion="on").timings_ms


def _turn(station: Station, photo: QueryPhoto, auto_first: bool) -> tuple[float, float]:
    def spent(wanted: SecondOpinion) -> float:
        began = time.perf_counter()
        identify_and_keep(station, [photo], who="bench", second_opinion=wanted)
        return time.perf_counter() - began

    if auto_first:
        return spent("auto"), spent("off")
    off = spent("off")
    return spent("auto"), off


def _made(station: Station, photo: QueryPhoto) -> tuple[float, int]:
    data = photo.data if isinstance(photo.data, bytes) else b""
    began = time.perf_counter()
    features = station.looking.of_photo(data)
    return (time.perf_counter() - began) * 1000, len(pack(features))
