"""One animal gets no second name unnoticed: not beside other photos, not where it has two already, not at the same moment."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from serving import Photo, Service, Start

LOOKS_ALIKE = "urn:flukeprint:problem:looks-alike"


def enrol(service: Service, name: str, *photos: bytes, **more: str) -> httpx.Response:
    files = [("photos", (f"{number}.jpg", data)) for number, data in enumerate(photos)]
    return httpx.post(f"{service.url}/v1/individuals", data={"name": name} | more, files=files, timeout=60)


def test_one_photo_of_a_known_animal_among_many_of_another_is_noticed(start: Start, photo: Photo) -> None:
    service = start()
    for known in (1, 2):
        assert enrol(service, f"W{known}", photo(known, 0), photo(known, 1), species="humpback").status_code == 201
    others = [photo(9, number) for number in range(5)]
    mixed = enrol(service, "Doppel", *others, photo(1, 0) + b"\0")
    assert (mixed.status_code, mixed.json()["type"]) == (409, LOOKS_ALIKE)
    assert mixed.json()["detail"].startswith('The photo "5.jpg" looks like "W1" (individual 1), right with 99%.')
    assert [one["name"] for one in mixed.json()["candidates"]] == ["W1"]
    assert service.client.get("/v1/stats").json()["individuals"] == 2
    assert enrol(service, "Doppel", *others).status_code == 201


def test_an_animal_under_two_names_gets_no_third_unnoticed(start: Start, photo: Photo) -> None:
    service = start()
    for number in range(5):
        assert enrol(service, f"W{number}", *(photo(number, n) for n in range(4)), force="true").status_code == 201
    again = [photo(1, n) + b"\0" for n in range(2)]  # the same pixels in other files: alike to any encoder
    assert enrol(service, "Twin", *again, force="true").status_code == 201
    third = enrol(service, "Third", photo(1, 0) + b"\0\0")
    assert (third.status_code, third.json()["type"]) == (409, LOOKS_ALIKE)
    assert {one["name"] for one in third.json()["candidates"]} == {"W1", "Twin"}
    assert "which are themselves alike and may be one animal. Add them to one of them" in third.json()["detail"]
    further = service.client.post("/v1/individuals/2/sightings", files={"photos": ("x.jpg", photo(1, 0) + b"\0\0")})
    assert further.status_code == 201, further.text  # it is one of the two


@pytest.mark.parametrize("turn", range(3))
def test_of_those_who_enrol_one_animal_under_two_names_at_once_one_is_told(start: Start, photo: Photo, turn: int) -> None:
    service = start(queue=8)
    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(lambda n: enrol(service, f"name {n}", photo(turn, 0) + b"\0" * n), range(4)))
    assert sorted(one.status_code for one in said) == [201, 409, 409, 409]
    assert {one.json()["type"] for one in said if one.status_code == 409} == {LOOKS_ALIKE}
    assert service.client.get("/v1/stats").json()["individuals"] == 1
