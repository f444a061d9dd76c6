"""Enrolling and correcting over HTTP: once each, undoable, and in the log with the name of who did it."""

from __future__ import annotations

import hashlib
import threading

from serving import Photo, Start

from indexer.edits import merge
from indexer.undo import undo


def enrol(start_client, name, *photos, **more):  # type: ignore[no-untyped-def]
    files = [("photos", (f"{n}.jpg", data)) for n, data in enumerate(photos)]
    return start_client.post("/v1/individuals", data={"name": name, **more}, files=files, headers=more.pop("headers", {}))


def test_a_new_individual_is_enrolled_found_amended_and_taken_back(start: Start, photo: Photo) -> None:
    client = start().client
    done = enrol(client, "Muddy", photo(1, 0), photo(1, 1), species="humpback", date="2021-07-03")
    assert done.status_code == 201, done.text
    number, event = done.json()["individual_id"], done.json()["event_id"]
    whole = client.get(f"/v1/individuals/{number}").json()
    assert (whole["name"], len(whole["sightings"]), whole["sightings"][0]["taken_on"]) == ("Muddy", 2, "2021-07-03")
    amended = client.patch(f"/v1/individuals/{number}", json={"name": "Old Notch", "species": "minke"})
    assert amended.json()["what"] == 'Amended "Muddy" (id 1): name "Old Notch", species "minke".'
    assert client.post(f"/v1/events/{amended.json()['event_id']}/undo").status_code == 200
    assert client.get(f"/v1/individuals/{number}").json()["name"] == "Muddy"
    assert client.post(f"/v1/events/{event}/undo").status_code == 200
    assert client.get(f"/v1/individuals/{number}").status_code == 404
    assert client.post(f"/v1/events/{event}/undo").status_code == 409  # it has been undone already
    assert client.post("/v1/events/4/undo").status_code == 200  # which does it again
    history = client.get(f"/v1/individuals/{number}/history").json()["events"]
    assert [one["verb"] for one in history] == ["undo", "undo", "undo", "amend", "enrol"]
    assert {one["who"] for one in history} == {"the tests"}


def test_a_photo_to_enrol_comes_in_a_form(start: Start, photo: Photo) -> None:
    said = start().client.post(
        "/v1/individuals", content=photo(1, 0), headers={"Content-Type": "image/jpeg"}, params={"name": "Muddy"}
    )
    assert (said.status_code, said.json()["type"]) == (422, "urn:flukeprint:problem:upload-refused")
    assert said.json()["detail"] == "No photo was sent: send multipart/form-data with `photos`."


def test_the_same_name_again_is_refused(start: Start, photo: Photo) -> None:
    client = start().client
    assert enrol(client, "Muddy", photo(1, 0)).status_code == 201
    again = enrol(client, "Muddy", photo(2, 0))
    assert (again.status_code, again.json()["type"]) == (409, "urn:flukeprint:problem:name-refused")


def test_a_photo_that_looks_like_anothers_needs_to_be_told_to_go_on(start: Start, photo: Photo) -> None:
    client = start().client
    assert enrol(client, "Muddy", photo(1, 0)).status_code == 201
    cut = enrol(client, "Doppel", photo(1, 0) + b"\0")  # the same pixels in another file
    assert cut.status_code == 409, cut.text
    assert cut.json()["candidate"]["name"] == "Muddy"
    assert cut.json()["type"] == "urn:flukeprint:problem:looks-alike"
    assert enrol(client, "Doppel", photo(1, 0) + b"\0", force="true").status_code == 201
    further = client.post("/v1/individuals/2/sightings", files={"photos": ("x.jpg", photo(1, 0) + b"\1")})
    assert further.status_code in (201, 409)


def test_a_retry_with_its_key_adds_nothing_and_answers_the_same(start: Start, photo: Photo) -> None:
    service = start()
    said = {"data": {"name": "Muddy"}, "headers": {"Idempotency-Key": "one"}}
    first = service.client.post("/v1/individuals", files={"photos": ("a.jpg", photo(1, 0))}, **said)  # type: ignore[arg-type]
    again = service.client.post("/v1/individuals", files={"photos": ("a.jpg", photo(1, 0))}, **said)  # type: ignore[arg-type]
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    other = service.client.post("/v1/individuals", files={"photos": ("a.jpg", photo(2, 0))}, **said)  # type: ignore[arg-type]
    assert other.json()["type"] == "urn:flukeprint:problem:idempotency-key"
    assert service.client.get("/v1/stats").json()["events"] == 1


def test_a_retry_of_what_was_made_but_not_answered_is_told_from_the_books(start: Start, photo: Photo) -> None:
    """As after a kill between the commit and the answer: the row of the request is there, without an answer."""
    service = start()
    desk, keys = service.house.desk, [{"Idempotency-Key": key} for key in ("a", "b", "c", "d")]

    def forget(method: str, path: str, key: str) -> None:
        token = hashlib.sha256(f"user the tests\n{method}\n{path}\n{key}".encode()).hexdigest()
        assert desk.request(token) is not None
        desk.end_request(token, None, None)  # type: ignore[arg-type]

    def twice(path: str, key: dict[str, str], **said: object) -> None:
        first = service.client.post(path, headers=key, **said)  # type: ignore[arg-type]
        assert first.status_code < 300, first.text
        forget("POST", path, key["Idempotency-Key"])
        again = service.client.post(path, headers=key, **said)  # type: ignore[arg-type]
        assert (first.status_code, first.json()) == (again.status_code, again.json())

    # One name for two photos, one photo under two names.
    files = [("photos", ("a.jpg", photo(1, 0))), *(("photos", (name, photo(1, 1))) for name in ("a.jpg", "b.jpg"))]
    twice("/v1/individuals", keys[0], data={"name": "Muddy"}, files=files)
    twice("/v1/individuals/1/split", keys[1], json={"sightings": [2], "name": "Other"})
    twice("/v1/individuals/1/merge", keys[2], json={"other": 2})
    twice("/v1/identify", keys[3], files=files)
    stats = service.client.get("/v1/stats").json()
    assert (stats["events"], stats["identifications"]) == (3, 1)


def test_what_was_begun_and_not_made_is_done_for_the_same_request_and_no_other(start: Start, photo: Photo) -> None:
    """As after a kill before the commit: the row of the request is there, and nothing else."""
    service = start()
    files, headers = {"photos": ("a.jpg", photo(1, 0))}, {"Idempotency-Key": "one"}
    first = service.client.post("/v1/individuals", data={"name": "Muddy"}, files=files, headers=headers)
    token = hashlib.sha256(b"user the tests\nPOST\n/v1/individuals\none").hexdigest()
    kept = service.house.desk.request(token)
    assert kept is not None
    token = hashlib.sha256(b"user the tests\nPOST\n/v1/individuals\ntwo").hexdigest()
    assert service.house.desk.begin_request(token, kept.fingerprint) is None
    assert service.client.post(f"/v1/events/{first.json()['event_id']}/undo").status_code == 200
    for _ in range(2):
        other = service.client.post("/v1/individuals", data={"name": "Fleck"}, files=files, headers={"Idempotency-Key": "two"})
        assert other.json()["type"] == "urn:flukeprint:problem:idempotency-key"
    said = [
        service.client.post("/v1/individuals", data={"name": "Muddy"}, files=files, headers={"Idempotency-Key": "two"})
        for _ in range(2)
    ]
    assert [one.status_code for one in said] == [201, 201]
    assert said[0].json() == said[1].json()


def test_an_individual_is_told_as_of_one_moment_beside_merges(start: Start, photo: Photo) -> None:
    service = start()
    for number, name in enumerate(("A", "B")):
        for day in ("2021-07-03", "2021-07-04"):
            path = "/v1/individuals" if day == "2021-07-03" else f"/v1/individuals/{number + 1}/sightings"
            said = {"name": name} if path == "/v1/individuals" else {}
            files = {"photos": ("x.jpg", photo(number, int(day[-1])))}
            assert service.client.post(path, data=said | {"date": day, "force": "true"}, files=files).status_code == 201
    books, stop = service.house.station.catalogue, threading.Event()

    def to_and_fro() -> None:
        while not stop.is_set():
            undo(books, merge(books, 1, 2, who="Ada").event_id, who="Ada")

    other = threading.Thread(target=to_and_fro)
    other.start()
    try:
        for _ in range(400):
            whole = service.client.get("/v1/individuals/1").json()
            assert whole["encounters"] == len({one["encounter_id"] for one in whole["sightings"]})
    finally:
        stop.set()
        other.join()


def test_the_list_is_paged_searched_filtered_and_sorted(start: Start, photo: Photo) -> None:
    client = start().client
    for number, (name, species) in enumerate((("Ash", "minke"), ("Birch", None), ("Cedar", "minke"))):
        photos = [photo(number, n) for n in range(3 - number)]
        assert enrol(client, name, *photos, force="true", **({"species": species} if species else {})).status_code == 201

    def names(**asked: object) -> list[str]:
        return [one["name"] for one in client.get("/v1/individuals", params=asked).json()["individuals"]]  # type: ignore[arg-type]

    assert names() == ["Ash", "Birch", "Cedar"]
    assert names(order="desc", limit=2) == ["Cedar", "Birch"]
    assert names(sort="sightings") == ["Cedar", "Birch", "Ash"]
    assert names(sort="id", offset=1) == ["Birch", "Cedar"]
    assert names(search="R") == ["Birch", "Cedar"]
    assert names(species="minke", sort="encounters", order="desc") == ["Ash", "Cedar"]
    assert client.get("/v1/individuals", params={"species": "minke", "limit": 1}).json()["total"] == 2
    assert client.patch("/v1/individuals/1", json={"name": "ärger2"}).status_code == 200
    assert names(search="ÄRG") == names(search="A\u0308rg") == ["ärger2"]


def test_merge_split_reassign_and_delete(start: Start, photo: Photo) -> None:
    client = start().client
    for number, name in enumerate(("A", "B")):
        assert enrol(client, name, photo(number, 0), photo(number, 1), force="true").status_code == 201
    merged = client.post("/v1/individuals/1/merge", json={"other": 2})
    assert merged.status_code == 200
    assert client.get("/v1/individuals/2").status_code == 404
    assert client.post("/v1/individuals/1/split", json={"sightings": [3], "name": "C"}).json()["individual_id"] == 3
    assert client.post("/v1/individuals/3/reassign", json={"sightings": [4]}).status_code == 200
    assert client.delete("/v1/sightings/4").status_code == 200
    assert client.delete("/v1/individuals/3").status_code == 200
    assert client.delete("/v1/individuals/3").status_code == 404
    assert len(client.get("/v1/events").json()["events"]) == 7


def test_sightings_photos_and_thumbnails(start: Start, photo: Photo) -> None:
    client = start().client
    done = enrol(client, "Muddy", photo(1, 0), box="10,20,100,50")
    number = done.json()["photos"][0]["sighting_id"]
    whole = client.get(f"/v1/sightings/{number}/photo")
    assert whole.content == photo(1, 0)
    assert whole.headers["content-type"] == "image/jpeg"
    small = client.get(f"/v1/sightings/{number}/thumbnail", params={"size": 64})
    assert small.content[:3] == b"\xff\xd8\xff"
    again = client.get(
        f"/v1/sightings/{number}/thumbnail", params={"size": 64}, headers={"If-None-Match": small.headers["etag"]}
    )
    assert (again.status_code, again.content) == (304, b"")
    said = client.patch(
        f"/v1/sightings/{number}", json={"viewpoint": "left", "lat": 64.1, "lon": -21.9, "taken_on": "2020-02-03"}
    )
    assert said.status_code == 200, said.text
    told = client.get(f"/v1/sightings/{number}").json()
    assert (told["viewpoint"], told["lat"], told["taken_on"], told["box"]) == ("left", 64.1, "2020-02-03", [10, 20, 100, 50])
    near = {"lat": "64", "lon": "-22", "km": "50", "after": "2020-02-03", "before": "2020-02-03", "viewpoint": "left"}
    assert len(client.post("/v1/identify", files={"photos": photo(1, 1)}, data=near).json()["candidates"]) == 1
    assert client.patch(f"/v1/sightings/{number}", json={"lat": 1.0}).status_code == 422
    for day in (0, "0", "2020-02-03T00:00:00", "20200203"):
        said = client.patch(f"/v1/sightings/{number}", json={"taken_on": day})
        assert (said.status_code, "2021-07-03" in said.json()["detail"]) == (422, True)
    assert client.patch(f"/v1/sightings/{number}", json={"taken_on": None}).status_code == 200
    assert client.get("/v1/sightings/99/photo").status_code == 404


def test_feedback_is_counted_by_its_last_word(start: Start, photo: Photo) -> None:
    client = start().client
    enrol(client, "Muddy", photo(1, 0))
    number = client.post("/v1/identify", files={"photos": photo(1, 1)}).json()["identification_id"]
    for verdict in ({"verdict": "reject"}, {"verdict": "confirm", "individual_id": 1}):
        said = client.post("/v1/feedback", json={"identification_id": number} | verdict)
        assert said.status_code == 201, said.text
    wrong = client.post("/v1/feedback", json={"identification_id": number, "verdict": "reject", "individual_id": 1})
    assert (wrong.status_code, wrong.json()["type"]) == (422, "urn:flukeprint:problem:value-refused")
    assert client.get("/v1/stats").json()["feedback"] == {"confirm": 1, "reject": 0, "new": 0}
    assert client.post("/v1/feedback", json={"identification_id": 99, "verdict": "new"}).status_code == 404
    assert [one["in_use"] for one in client.get("/v1/bundles").json()["bundles"]] == [True]
