"""What a service keeps beside the catalogue: keys as hashes, requests that are done once, jobs that go on, last words."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from filling import BUNDLE, fill

from catalog.catalogue import Catalogue
from catalog.desk import Desk
from catalog.errors import EditConflict, NameRefused, NotKnown, ValueRefused
from catalog.keys import FROM_FILE, hash_of, new_key
from catalog.values import Verdict


@pytest.fixture
def desk(catalogue: Catalogue) -> Desk:
    return Desk(catalogue)


def test_a_key_is_kept_as_its_hash_and_lives_until_it_ends(desk: Desk) -> None:
    secret = new_key()
    key = desk.add_key(secret, "editor")
    assert (key.name, key.role, key.sha256) == ("editor key 1", "editor", hash_of(secret))
    now = datetime.now(UTC)
    assert key.lives(now)
    late = desk.add_key(new_key(), "viewer", "the boat", expires_at=now + timedelta(days=1))
    assert late.lives(now)
    assert not late.lives(now + timedelta(days=1))
    assert not desk.revoke_key(key.id).lives(now)
    assert desk.revoke_key(key.id) == desk.keys()[0]


def test_a_key_that_cannot_be_is_refused(desk: Desk) -> None:
    with pytest.raises(ValueRefused, match="no role"):
        desk.add_key(new_key(), "owner")
    with pytest.raises(ValueRefused, match="expired already"):
        desk.add_key(new_key(), "viewer", expires_at=datetime(2020, 1, 1, tzinfo=UTC))
    with pytest.raises(NotKnown):
        desk.revoke_key(9)


def test_keys_that_open_have_names_of_their_own(desk: Desk) -> None:
    desk.add_key(new_key(), "viewer", "editor key 3")
    boat = desk.add_key(new_key(), "viewer", "the boat")
    with pytest.raises(NameRefused, match='"editor key 3" is taken by key 1; choose another --name'):
        desk.add_key(new_key(), "editor")
    with pytest.raises(NameRefused, match='"the boat" is taken by key 2'):
        desk.add_key(new_key(), "editor", " the boat ")
    assert alive(desk) == [1, 2]
    desk.revoke_key(boat.id)
    again = desk.add_key(new_key(), "editor", "the boat", expires_at=datetime.now(UTC) + timedelta(seconds=0.5))
    time.sleep(0.6)
    assert not again.lives(datetime.now(UTC))
    assert desk.add_key(new_key(), "editor", "the boat").name == "the boat"


def test_the_key_of_the_secret_file_ends_with_another_in_it_and_comes_back_with_it(desk: Desk) -> None:
    first = desk.take_key_from_file("a" * 40)
    assert (first.role, first.name) == ("admin", FROM_FILE)
    assert desk.take_key_from_file("a" * 40) == first
    second = desk.take_key_from_file("b" * 40)
    assert alive(desk) == [second.id]
    assert desk.take_key_from_file("a" * 40) == first
    assert alive(desk) == [first.id]
    desk.revoke_key(first.id)  # by hand, as where it has leaked
    assert not desk.take_key_from_file("a" * 40).lives(datetime.now(UTC))
    desk.take_key_from_file("b" * 40)
    assert alive(desk) == [second.id]


def test_no_key_takes_the_secret_files_name_and_the_file_no_lesser_key(desk: Desk) -> None:
    with pytest.raises(NameRefused, match="FLUKEPRINT_ADMIN_KEY_FILE; choose another"):
        desk.add_key(new_key(), "viewer", "secret file")
    held = desk.take_key_from_file("a" * 40)
    desk.add_key("v" * 40, "viewer", "the boat")
    with pytest.raises(ValueRefused, match='holds the key 2, "the boat", whose role is viewer and not admin'):
        desk.take_key_from_file("v" * 40)
    assert alive(desk) == [held.id, 2]
    own = desk.add_key("o" * 40, "admin", "the office")
    assert desk.take_key_from_file("o" * 40) == own
    assert alive(desk) == [2, own.id]


def alive(desk: Desk) -> list[int]:
    known = desk.keys()
    return [key.id for key in known if key.lives(datetime.now(UTC))]


def test_last_use_is_known_to_the_minute(desk: Desk) -> None:
    key = desk.add_key(new_key(), "viewer")
    desk.used_key(key)
    (used,) = desk.keys()
    assert used.used_at is not None
    desk.used_key(used)
    assert desk.keys() == [used]


def test_a_request_is_begun_once_and_forgotten_when_it_came_to_nothing(desk: Desk) -> None:
    assert desk.begin_request("t", "f") is None
    again = desk.begin_request("t", "g")
    assert again is not None
    assert (again.fingerprint, again.made, again.status) == ("f", None, None)
    desk.drop_request("t")
    assert desk.begin_request("t", "g") is None
    desk.end_request("t", 201, {"a": 1})
    ended = desk.request("t")
    assert ended is not None
    assert (ended.status, ended.answer) == (201, {"a": 1})


def test_what_a_write_makes_is_noted_with_it_or_not_at_all(desk: Desk, catalogue: Catalogue) -> None:
    desk.begin_request("t", "f")
    noting = catalogue.noting(desk.note_of("t"))
    with pytest.raises(NotKnown), noting.write("enrol", who="me", what="x") as write:
        assert write.add_individual("Muddy") == write.sightings([9])  # of which there is none
    assert desk.request("t").made is None  # type: ignore[union-attr]
    with noting.write("enrol", who="me", what="x") as write:
        write.add_individual("Muddy")
    desk.drop_request("t")  # which lets it be, since something was made
    kept = desk.request("t")
    assert kept is not None
    assert (kept.made, kept.number) == ("event", write.event_id)


def test_books_that_note_are_free_though_another_write_goes_on_when_they_are_made(desk: Desk, catalogue: Catalogue) -> None:
    with catalogue.write("enrol", who="me", what="x") as write:
        write.add_individual("Muddy")
        noting = catalogue.noting(desk.note_of("t"))
    with noting.write("enrol", who="me", what="x") as write:
        assert write.add_individual("Fleck") == 2


def test_a_job_is_at_its_end_once(desk: Desk) -> None:
    job = desk.add_job(
        {"kind": "identify", "who": "me", "upload": "u", "options": {}},
        [{"name": "a", "photos": []}, {"name": "b", "photos": [], "state": "refused", "reason": "why"}],
    )
    assert [one.id for one in desk.open_jobs()] == [job]
    assert desk.job_counts(job) == {"waiting": 1, "done": 0, "refused": 1, "cancelled": 0}
    assert [row.reason for row in desk.job_rows(job)] == [None, "why"]
    assert desk.cancel_job(job).state == "cancelled"
    desk.finish_job(job, "done")
    assert desk.job(job).state == "cancelled"
    assert desk.open_jobs() == []
    assert desk.job_counts(job)["cancelled"] == 1
    again = desk.add_job(
        {"kind": "identify", "who": "me", "upload": "u", "options": {}}, [{"name": n, "photos": []} for n in "abc"]
    )
    for _ in range(2):  # while somebody does its first row
        assert desk.cancel_job(again, at_work=True).state == "waiting"
        assert [row.state for row in desk.job_rows(again)] == ["waiting", "cancelled", "cancelled"]
    desk.finish_job(again, "cancelled")
    other = desk.add_job({"kind": "enrol", "who": "me", "upload": "v", "options": {}}, [])
    desk.finish_job(other, "done")
    with pytest.raises(EditConflict, match="done already"):
        desk.cancel_job(other)


@pytest.mark.parametrize(
    ("decision", "best", "verdict", "who", "says"),
    [
        ("known", "Muddy", "confirm", None, None),
        ("known", "Muddy", "confirm", "Muddy", None),
        ("known", "Muddy", "confirm", "Fleck", 'The answer was individual 1, and individual 2 was named; say "reject"'),
        ("known", "Muddy", "reject", "Fleck", None),
        ("known", "Muddy", "reject", "Muddy", 'who was named as the right one too; say "confirm"'),
        ("known", "Muddy", "new", "Muddy", 'with the verdict "new"; leave it out, or say "reject"'),
        ("unsure", None, "confirm", None, 'nothing to confirm; say "new", or "reject" with who it is'),
        ("unsure", None, "reject", "Muddy", None),
        ("new", None, "confirm", None, None),  # that it is new
        ("new", "Muddy", "confirm", "Muddy", 'The answer was a new animal, and individual 1 was named; say "reject"'),
        ("new", "Muddy", "reject", "Muddy", None),
    ],
)
def test_feedback_that_contradicts_itself_is_refused(
    desk: Desk, catalogue: Catalogue, decision: str, best: str | None, verdict: Verdict, who: str | None, says: str | None
) -> None:
    fill(catalogue, {"Muddy": 1, "Fleck": 1})
    candidates = [{"individual_id": catalogue.find_individual(best).id}] if best else []
    answer = {"decision": decision, "candidates": candidates}
    number = catalogue.keep_identification(who="me", bundle_id=BUNDLE, photos=[], answer=answer)
    if says is None:
        desk.add_feedback(number, verdict, who="me", individual=who)
        assert desk.verdicts()[verdict] == 1
    else:
        with pytest.raises(ValueRefused, match=says):
            desk.add_feedback(number, verdict, who="me", individual=who)
        assert sum(desk.verdicts().values()) == 0


def test_a_first_candidate_that_was_merged_is_confirmed_as_who_it_is_now(desk: Desk, catalogue: Catalogue) -> None:
    fill(catalogue, {"Muddy": 1, "Fleck": 1})
    answer = {"decision": "known", "candidates": [{"individual_id": 2}]}
    number = catalogue.keep_identification(who="me", bundle_id=BUNDLE, photos=[], answer=answer)
    with catalogue.write("merge", who="me", what="") as write:
        write.set_many("sighting", write.sightings_of(2), individual_id=1)
        write.set("individual", 2, live=False, merged_into=1)
    assert desk.add_feedback(number, "confirm", who="me", individual=1).individual_id == 1
