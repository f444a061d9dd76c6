"""Where each row of a bulk import stands."""

from __future__ import annotations

import pytest
from filling import fill, see

from catalog.catalogue import Catalogue
from catalog.errors import EditConflict, NotKnown, ValueRefused
from catalog.values import GivenRow
from catalog.write import Write


def rows(*names: str) -> list[GivenRow]:
    return [
        GivenRow(f"key of {name}", number, {"path": name, "lat": 1.5, "note": None}) for number, name in enumerate(names, 1)
    ]


def start(catalogue: Catalogue, *names: str) -> int:
    number = catalogue.imports.start("/photos", images=None, fingerprint="f").id
    catalogue.imports.add_rows(number, rows(*names))
    return number


def test_an_import_of_the_same_source_goes_on(catalogue: Catalogue) -> None:
    first = catalogue.imports.start("/photos", images=None, fingerprint="one")
    assert (first.source, first.images, first.fingerprint, first.finished_at) == ("/photos", None, "one", None)
    catalogue.imports.finish(first.id)
    assert catalogue.imports.one(first.id).finished_at is not None
    again = catalogue.imports.start("/photos", images="/images", fingerprint="two")
    assert (again.id, again.images, again.fingerprint, again.finished_at) == (first.id, "/images", "two", None)
    assert again.started_at == first.started_at
    assert catalogue.imports.start("/other", images=None, fingerprint="one").id != first.id
    assert [one.source for one in catalogue.imports.all()] == ["/photos", "/other"]
    with pytest.raises(NotKnown, match="There is no import 99"):
        catalogue.imports.one(99)


def test_odd_bytes_in_a_path_are_refused_and_in_a_row_kept(catalogue: Catalogue) -> None:
    with pytest.raises(ValueRefused, match=r"The path /ph\\udcffotos holds bytes that are no text; rename"):
        catalogue.imports.start("/ph\udcffotos", images=None, fingerprint="f")
    number = catalogue.imports.start("/photos", images=None, fingerprint="f").id
    catalogue.imports.add_rows(number, [GivenRow("k", 1, {"path": "a\udcff\0.jpg"})])
    row = catalogue.imports.waiting(number, 1)[0]
    assert row.given == {"path": "a\udcff\0.jpg"}
    with catalogue.write("import", who="Ada", what="") as write:
        write.mark_row(row.id, "set_aside", "no such file: a\udcff\0.jpg")
    assert [row.reason for row in catalogue.imports.rows(number)] == [r"no such file: a\udcff.jpg"]


def test_rows_that_are_known_keep_their_state(catalogue: Catalogue) -> None:
    number = catalogue.imports.start("/photos", images=None, fingerprint="f").id
    assert catalogue.imports.add_rows(number, rows("a", "b")) == 2
    first = catalogue.imports.waiting(number, 1)[0]
    assert (first.number, first.given, first.state) == (1, {"path": "a", "lat": 1.5, "note": None}, "waiting")
    with catalogue.write("import", who="Ada", what="") as write:
        write.mark_row(first.id, "set_aside", "not an image")
    assert catalogue.imports.add_rows(number, rows("a", "b", "c", "c")) == 1
    assert catalogue.imports.counts(number) == {"waiting": 2, "done": 0, "already": 0, "set_aside": 1, "superseded": 0}


def test_the_same_row_in_two_imports_is_two_rows(catalogue: Catalogue) -> None:
    one = start(catalogue, "a")
    other = catalogue.imports.start("/other", images=None, fingerprint="f").id
    assert catalogue.imports.add_rows(other, rows("a")) == 1
    assert catalogue.imports.counts(one)["waiting"] == catalogue.imports.counts(other)["waiting"] == 1


def test_waiting_rows_come_in_the_sources_order_from_where_one_is(catalogue: Catalogue) -> None:
    number = start(catalogue, *"abcde")
    first = catalogue.imports.waiting(number, 2)
    assert [row.given["path"] for row in first] == ["a", "b"]
    assert [row.given["path"] for row in catalogue.imports.waiting(number, 9, after=first[-1].id)] == ["c", "d", "e"]


def test_a_row_is_marked_in_the_transaction_of_its_sighting(catalogue: Catalogue) -> None:
    number = start(catalogue, "a", "b", "c")
    a, b, c = catalogue.imports.waiting(number, 9)
    with catalogue.write("import", who="Ada", what="") as write:
        sighting = see(write, write.add_individual("Muddy"), "E", "a.jpg")
        write.mark_row(a.id, "done", sighting_id=sighting)
        write.mark_row(b.id, "set_aside", "zero bytes")

    def enrol_again(write: Write) -> None:
        write.mark_row(c.id, "done", sighting_id=see(write, 1, "E", "c.jpg"))
        see(write, 1, "E", "a.jpg")

    with pytest.raises(EditConflict), catalogue.write("import", who="Ada", what="") as write:
        enrol_again(write)
    assert [(row.given["path"], row.state, row.reason, row.sighting_id) for row in catalogue.imports.rows(number)] == [
        ("a", "done", None, sighting),
        ("b", "set_aside", "zero bytes", None),
        ("c", "waiting", None, None),
    ]
    assert [row.given["path"] for row in catalogue.imports.rows(number, "set_aside")] == ["b"]


def test_setting_rows_aside_alone_makes_no_event(catalogue: Catalogue) -> None:
    number = start(catalogue, "a")
    with catalogue.write("import", who="Ada", what="") as write:
        write.mark_row(catalogue.imports.waiting(number, 1)[0].id, "set_aside", "zero bytes")
    assert catalogue.history() == []
    assert catalogue.imports.counts(number)["set_aside"] == 1


def test_rows_set_aside_may_wait_again(catalogue: Catalogue) -> None:
    number = start(catalogue, "a", "b")
    with catalogue.write("import", who="Ada", what="") as write:
        write.mark_row(catalogue.imports.waiting(number, 1)[0].id, "set_aside", "zero bytes")
    assert catalogue.imports.retry(number) == 1
    assert [(row.given["path"], row.reason) for row in catalogue.imports.waiting(number, 9)] == [("a", None), ("b", None)]
    assert catalogue.imports.retry(number) == 0


def test_open_rows_that_left_the_source_are_superseded_until_they_come_back(catalogue: Catalogue) -> None:
    fill(catalogue, {"Muddy": 1})
    number = start(catalogue, "a", "b", "c", "d")
    a, b, _, _ = catalogue.imports.waiting(number, 9)
    with catalogue.write("import", who="Ada", what="") as write:
        write.mark_row(a.id, "set_aside", "zero bytes")
        write.mark_row(b.id, "done", sighting_id=1)
    assert catalogue.imports.supersede(number, ["key of d"]) == 2
    assert catalogue.imports.counts(number) == {"waiting": 1, "done": 1, "already": 0, "set_aside": 0, "superseded": 2}
    assert catalogue.imports.add_rows(number, rows("a", "b", "c", "d")) == 2
    assert catalogue.imports.counts(number) == {"waiting": 3, "done": 1, "already": 0, "set_aside": 0, "superseded": 0}


def test_many_rows_are_kept_and_told_page_by_page(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("catalog.catalogue.PAGE", 1000)
    names = [f"{i}.jpg" for i in range(7_000)]
    number = start(catalogue, *names)
    assert [row.given["path"] for row in catalogue.imports.rows(number)] == names
    assert catalogue.imports.supersede(number, []) == 7_000
