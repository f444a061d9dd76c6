"""Questions to an open station: identifications, kept with their answers, and the nearest sightings themselves.

The story of an identification is `matching.identify`; here it is given its parts, and its answer is written down, so that
accuracy in use can be counted later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from catalog.catalogue import Catalogue
from catalog.errors import NotKnown
from encoder.errors import PhotoRefused
from encoder.photo import read_photo
from encoder.values import Box
from indexer.station import Station, limits
from matching.answer import Answer, PhotoAnswer
from matching.identify import DEFAULTS, Options, QueryPhoto, Second, identify
from matching.opinion import Opinion
from matching.ports import Encodes
from matching.similar import Similar, similar
from settings import SecondOpinion
from vector_db.port import NO_FILTER, Filter

NOT_MEASURED = Opinion("", 0, 0.0, 0.0, False, "nobody has measured what it is worth here: flukeprint second-opinion does")


def identify_and_keep(
    station: Station,
    photos: Sequence[QueryPhoto],
    options: Options = DEFAULTS,
    *,
    who: str,
    second_opinion: SecondOpinion | None = None,
) -> Answer:
    """One encounter's photos, one answer, with the number under which it is kept."""
    return identify_and_tell(station, photos, options, who=who, second_opinion=second_opinion)[0]


def identify_and_tell(
    station: Station,
    photos: Sequence[QueryPhoto],
    options: Options = DEFAULTS,
    *,
    who: str,
    second_opinion: SecondOpinion | None = None,
    encoder: Encodes | None = None,
    books: Catalogue | None = None,
) -> tuple[Answer, dict[str, Any]]:
    """The same, and the answer as JSON, which was made to be kept.

    `second_opinion` is the settings' where it is not given.
    `encoder` stands in for the station's: one that stops when nobody waits for the answer any more, or that remembers.
    `books` are where the answer is kept, if they note more than the station's own.
    """
    station.follower.follow()
    answer = identify(
        photos,
        encoder=encoder or station.encoder,
        index=station.index,
        catalogue=station.owning,
        calibration=station.calibration(),
        options=options,
        second=second(station, second_opinion or station.settings.second_opinion),
    )
    told = answer.to_json()
    del told["identification_id"]
    blended = answer.second_opinion is not None and answer.second_opinion.followed
    plain = not blended and options.where.is_empty()
    asked = [
        {"name": photo["name"], "sha256": photo["sha256"], "box": photo["box"]} | measured(seen, cosine=plain)
        for photo, seen in zip(told["photos"], answer.photos, strict=True)
    ]
    kept = (books or station.catalogue).keep_identification(who=who, bundle_id=station.bundle_id, photos=asked, answer=told)
    return replace(answer, identification_id=kept), told | {"identification_id": kept}


def measured(photo: PhotoAnswer, *, cosine: bool) -> dict[str, object]:
    """What drift is told by, kept beside the photo's name; nothing of a photo that was refused.

    `cosine`: whether the top score is one, of the whole catalogue, and so can be held against others.
    """
    if photo.width is None or photo.height is None:
        return {}
    score = photo.candidates[0].score if cosine and photo.candidates else None
    told = {"norm": photo.norm, "brightness": photo.brightness, "sharpness": photo.sharpness}
    return {"measured": told | {"pixels": photo.width * photo.height, "score": score}}


def second(station: Station, wanted: SecondOpinion) -> Second | None:
    """What a question is handed for its second opinion: nothing where it is off, or on its own and not worth it here."""
    if wanted == "off":
        return None
    opinion = station.opinion()
    if opinion is not None and (opinion.earned or wanted == "on"):
        return Second(station.looking, opinion)
    return Second(station.looking, NOT_MEASURED) if wanted == "on" else None


def query_photo(station: Station, path: Path, box: Box | None = None) -> QueryPhoto:
    """A file as a question's photo; one that cannot be read is said so in the answer, where another one can."""
    try:
        return QueryPhoto(path.name, read_photo(path, limits(station.settings)), box)
    except PhotoRefused as refusal:
        return QueryPhoto(path.name, refusal, box)


def similar_to_photo(
    station: Station, photo: Path | bytes, box: Box | None = None, *, top: int, where: Filter = NO_FILTER
) -> tuple[Similar, ...]:
    station.follower.follow()
    data = photo if isinstance(photo, bytes) else read_photo(photo, limits(station.settings))
    vector = station.encoder.encode(data, box).vector
    return similar(vector, index=station.index, catalogue=station.owning, top=top, where=where)


def similar_to_sighting(station: Station, sighting_id: int, *, top: int, where: Filter = NO_FILTER) -> tuple[Similar, ...]:
    """Without the sighting itself."""
    station.follower.follow()
    station.catalogue.sighting(sighting_id)
    for _, matrix in station.catalogue.vectors(station.bundle_id, [sighting_id]):
        where = replace(where, exclude=where.exclude | {sighting_id})
        return similar(matrix[0], index=station.index, catalogue=station.owning, top=top, where=where)
    raise NotKnown(f"Sighting {sighting_id} is deleted, so there is nothing to compare with; flukeprint history shows by what.")
