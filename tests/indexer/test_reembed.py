"""Another bundle for a catalogue: what is encoded is kept, nothing is switched before all is, and going back is quick."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from demo import animals
from encoder.bundle import load_bundle
from encoder.encode import open_encoder
from encoder.values import Box
from indexer import registry
from indexer.asking import identify_and_keep
from indexer.bulk import import_rows
from indexer.edits import delete_sightings, set_species
from indexer.enrol import enrol
from indexer.errors import BundleMismatch, BundleNotUsed, IndexerError
from indexer.given import Given
from indexer.reembed import BATCH, box_in, encode_missing, use
from indexer.sightings import Source
from indexer.station import DEFAULT_BUNDLE, open_books, open_station, photo_store
from indexer.undo import undo
from matching.identify import QueryPhoto
from settings import Settings
from vector_db.edge import EdgeIndex
from vector_db.port import Point


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory, prepared_otherwise: Callable[..., Path]) -> Path:
    """The default with its input prepared otherwise: another bundle, which gives other vectors."""
    folder = tmp_path_factory.mktemp("bundles") / "other"
    return prepared_otherwise(DEFAULT_BUNDLE, folder, name="other", mean=[0.4, 0.4, 0.4], std=[0.6, 0.6, 0.6])


@pytest.fixture
def filled(settings: Settings, whales: Path) -> Settings:
    with open_station(settings) as station:
        import_rows(station, whales, who="me")
    return settings


def photo(whales: Path) -> QueryPhoto:
    return QueryPhoto("a.jpg", (whales / "W3" / "1.jpg").read_bytes())


def test_the_new_bundle_answers_after_the_switch_and_the_old_one_again_after_going_back(
    filled: Settings, other: Path, whales: Path
) -> None:
    old, new = load_bundle(DEFAULT_BUNDLE).id, registry.add(filled, other).bundle.id
    with open_books(filled) as catalogue:
        done = use(filled, catalogue, "other", who="me")
        assert (done.bundle_id, done.before, done.encoded, done.sightings) == (new, old, 24, 24)
        assert catalogue.counts().vectors == {old: 24, new: 24}
        assert catalogue.latest_calibration(new) is not None
    with open_station(filled) as station:
        answer = identify_and_keep(station, [photo(whales)], who="me")
        assert (answer.bundle, answer.candidates[0].name) == (new, "W3")
        assert station.index.ids().tolist() == station.catalogue.live_ids(new).tolist()
        enrol(station, "W9", [Source("n.jpg", Given(), data=animals.photo(9, 0, size=(320, 240)))], who="me")
    with open_books(filled) as catalogue:
        assert use(filled, catalogue, old, who="me").encoded == 1  # what was enrolled meanwhile
    with open_station(filled) as station:
        assert identify_and_keep(station, [photo(whales)], who="me").bundle == old
        assert station.index.count() == 25


def test_a_run_that_was_stopped_goes_on_and_the_old_bundle_answers_until_then(
    filled: Settings, other: Path, whales: Path, tmp_path: Path
) -> None:
    many = tmp_path / "many"
    for number in range(BATCH):
        path = many / "W1" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((whales / "W1" / "0.jpg").read_bytes() + number.to_bytes(2, "big"))
    with open_station(filled) as station:
        import_rows(station, many, who="me")
        old = station.bundle_id
    registry.add(filled, other)

    def stop(_done: int, _of: int) -> None:
        raise KeyboardInterrupt

    with open_books(filled) as catalogue:
        with pytest.raises(KeyboardInterrupt):
            use(filled, catalogue, "other", who="me", on_progress=stop)
        assert catalogue.fact(registry.IN_USE) == old
        with open_station(filled) as station:
            assert identify_and_keep(station, [photo(whales)], who="me").bundle == old
        done = use(filled, catalogue, "other", who="me")
        assert (done.encoded, done.sightings) == (24, 24 + BATCH)


def test_a_sighting_whose_photo_is_gone_is_named_and_nothing_is_switched(filled: Settings, other: Path) -> None:
    registry.add(filled, other)
    with open_books(filled) as catalogue:
        old = catalogue.fact(registry.IN_USE)
        lost = next(iter(catalogue.photos()))
        (filled.data_dir / "photos" / lost.path).unlink()
        with pytest.raises(BundleNotUsed, match=rf"1 sightings could not be encoded again.*The photo {lost.name} is missing"):
            use(filled, catalogue, "other", who="me")
        assert catalogue.fact(registry.IN_USE) == old


def test_a_bundle_in_use_is_not_removed_and_another_goes_with_its_vectors(filled: Settings, other: Path) -> None:
    registry.add(filled, other)
    with open_books(filled) as catalogue:
        old = str(catalogue.fact(registry.IN_USE))
        with pytest.raises(BundleNotUsed, match="is in use already"):
            use(filled, catalogue, old, who="me")
        with pytest.raises(BundleNotUsed, match="is in use; use another first"):
            registry.remove(filled, catalogue, old)
        new = use(filled, catalogue, "other", who="me").bundle_id
        assert registry.remove(filled, catalogue, old).encoded == 24
        assert catalogue.counts().vectors == {new: 24}
        assert [one.bundle.id for one in registry.held(filled, catalogue) if one.in_use] == [new]
        assert not (filled.data_dir / "index" / old).exists()
        with pytest.raises(IndexerError, match="There is no bundle called 'nothing'"):
            registry.find(filled, catalogue, "nothing")


def test_a_box_is_found_again_in_a_photo_that_was_kept_smaller(settings: Settings) -> None:
    reduced = settings.model_copy(update={"keep_photos": "reduced", "photo_long_side": 400})
    data = animals.photo(2, 0, size=(800, 600))
    box = Box(200, 150, 400, 300)
    with open_station(reduced) as station:
        done = enrol(station, "W2", [Source("a.jpg", Given(box=box), data=data)], who="me")
        sighting = station.catalogue.sighting(done.photos[0].sighting_id or 0)
        row = station.catalogue.photo(sighting.photo_sha256)
        assert row is not None
        kept = station.photos.read(row)
        assert box_in(row, sighting, kept) == Box(100, 75, 200, 150)
    encoder = open_encoder(DEFAULT_BUNDLE)
    again = encoder.encode(kept, Box(100, 75, 200, 150)).vector
    assert float(np.dot(again, encoder.encode(data, box).vector)) > 0.9
    encoder.close()


def test_a_small_box_of_a_photo_that_was_kept_smaller_does_not_bar_another_bundle(settings: Settings, other: Path) -> None:
    reduced = settings.model_copy(update={"keep_photos": "reduced", "photo_long_side": 200})
    with open_station(reduced) as station:
        small = Source("a.jpg", Given(box=Box(400, 280, 40, 40)), data=animals.photo(2, 0, size=(800, 600)))  # 10 x 10 as kept
        assert [one.state for one in enrol(station, "W2", [small], who="me").photos] == ["enrolled"]
        assert station.looking.of_sightings([1])
    registry.add(reduced, other)
    with open_books(reduced) as catalogue:
        assert use(reduced, catalogue, "other", who="me").encoded == 1


@pytest.mark.filterwarnings("ignore:Payload indexes have no effect")
def test_beside_a_server_what_still_runs_with_the_old_bundle_enrols_nothing_any_more(
    on_server: Settings, other: Path, whales: Path
) -> None:
    registry.add(on_server, other)
    with open_station(on_server) as service:
        enrol(service, "W0", [Source("a.jpg", Given(), path=whales / "W0" / "0.jpg")], who="me")
        with open_books(on_server) as catalogue:
            new = use(on_server, catalogue, "other", who="me").bundle_id
        with pytest.raises(BundleMismatch, match=f"uses the bundle {new} by now.*Start it again"):
            enrol(service, "W1", [Source("b.jpg", Given(), path=whales / "W1" / "0.jpg")], who="me")
        with pytest.raises(BundleMismatch, match="Start it again"):
            import_rows(service, whales, who="me")
        assert service.catalogue.counts().sightings == 1


@pytest.mark.filterwarnings("ignore:Payload indexes have no effect")
def test_what_another_process_enrols_just_before_the_switch_is_encoded_too(
    on_server: Settings, other: Path, whales: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.add(on_server, other)
    with open_station(on_server) as service, open_books(on_server) as catalogue:
        enrol(service, "W0", [Source("a.jpg", Given(), path=whales / "W0" / "0.jpg")], who="me")
        switch = catalogue.set_fact

        def meanwhile(key: str, value: str | None) -> None:
            if key == registry.IN_USE:
                enrol(service, "W1", [Source("b.jpg", Given(), path=whales / "W1" / "0.jpg")], who="me")
            switch(key, value)

        monkeypatch.setattr(catalogue, "set_fact", meanwhile)
        done = use(on_server, catalogue, "other", who="me")
        assert (done.encoded, done.sightings) == (2, 2)
    with open_station(on_server) as service:
        assert service.index.ids().tolist() == [1, 2]


def test_points_are_put_once_by_the_change_and_not_again_by_the_next_start(
    filled: Settings, other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.add(filled, other)
    puts, real = list[int](), EdgeIndex.upsert

    def noted(index: EdgeIndex, points: Sequence[Point]) -> None:
        puts.extend(point.id for point in points)
        real(index, points)

    monkeypatch.setattr(EdgeIndex, "upsert", noted)
    with open_books(filled) as catalogue:
        use(filled, catalogue, "other", who="me")
        set_species(catalogue, "W0", "beluga", who="me")
    with open_station(filled) as station:
        held = station.index.points(range(1, 25))
        assert [point.id for point in held if point.facts.species == "beluga"] == [1, 2, 3, 4]
    assert puts == [*range(1, 25), 1, 2, 3, 4]


def test_bundle_in_use_encodes_what_it_lacks_when_it_is_used_again(filled: Settings, other: Path) -> None:
    registry.add(filled, other)
    with open_books(filled) as catalogue:
        deleted = delete_sightings(catalogue, [3], who="me")
        use(filled, catalogue, "other", who="me")
        undo(catalogue, deleted.event_id, who="me")
        done = use(filled, catalogue, "other", who="me")
        assert (done.before, done.encoded, done.sightings) == (None, 1, 24)
        with pytest.raises(BundleNotUsed, match="is in use already"):
            use(filled, catalogue, "other", who="me")
    with open_station(filled) as station:
        assert 3 in station.index.ids()


def test_another_run_beside_this_one_makes_no_vector_twice(
    filled: Settings, other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = registry.add(filled, other).bundle
    encoder = open_encoder(bundle.folder)
    with open_books(filled) as catalogue:
        catalogue.register_bundle(bundle.id, sha256=bundle.sha256, dimension=bundle.dimension)
        store, missing = photo_store(filled), catalogue.without_vector
        once = partial(encode_missing, catalogue, store, encoder, streams=1, who="me", on_progress=lambda *_: None)

        def meanwhile(bundle_id: str) -> list[int]:
            found = missing(bundle_id)
            monkeypatch.undo()
            assert once() == 24
            return found

        monkeypatch.setattr(catalogue, "without_vector", meanwhile)
        assert once() == 0
        assert catalogue.counts().vectors[bundle.id] == 24
    encoder.close()


def test_damaged_bundle_in_use_does_not_keep_another_from_taking_over(filled: Settings, other: Path) -> None:
    registry.add(filled, other)
    with open_books(filled) as catalogue:
        old = str(catalogue.fact(registry.IN_USE))
        (filled.data_dir / "bundles" / old / "model.onnx").write_bytes(b"damaged")
        done = use(filled, catalogue, "other", who="me")
        assert (done.before, done.encoded) == (old, 24)
        assert catalogue.fact(registry.IN_USE) == done.bundle_id
