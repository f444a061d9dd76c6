"""One suite for every engine behind the port: random points and filters against brute force.

A real server is among them where its address is given: `--qdrant-url`, or FLUKEPRINT_TEST_QDRANT_URL.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import astuple, replace
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from point_sets import SPECIES, VIEWPOINTS, Truth, drawn_facts, drawn_points, unit
from qdrant_client import QdrantClient
from qdrant_over_http import Contract, QdrantOverHttp

from vector_db.conditions import HAIR
from vector_db.open import open_edge, open_index
from vector_db.port import NO_FILTER, Facts, Filter, GeoBox, Place, Point, Radius, VectorIndex
from vector_db.server import ServerIndex
from vector_db.server_options import ServerOptions

pytestmark = [
    pytest.mark.filterwarnings("ignore:Local mode performs exact"),
    pytest.mark.filterwarnings("ignore:Payload indexes have no effect"),
]

DIMENSION = 32
POINTS = 400
ENGINES = ("edge", "edge codes", "edge graph", "client in memory", "server over http", "real server")

Opens = Callable[[], VectorIndex]


def nothing_to_do(_: VectorIndex) -> None:
    """A catalogue that the index already equals."""


@pytest.fixture(scope="module", params=ENGINES)
def opens(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, contract: Contract | None
) -> Iterator[Opens]:
    """Makes a new, empty index of one engine; all are closed at the end."""
    opened: list[VectorIndex] = []
    engine = request.param
    http = QdrantOverHttp(contract) if engine == "server over http" else None
    real = request.config.getoption("--qdrant-url", default=None) or os.environ.get("FLUKEPRINT_TEST_QDRANT_URL")
    if engine == "real server" and not real:
        pytest.skip("needs a real Qdrant server: pytest --qdrant-url URL")
    names: list[str] = []

    def new() -> VectorIndex:
        name = f"flukeprint-test-{uuid.uuid4().hex}"
        names.append(name)
        index = _new(engine, name, tmp_path_factory, http.url if http else str(real))
        opened.append(index)
        return index

    yield new
    if engine == "real server":
        with QdrantClient(url=str(real), check_compatibility=False) as client:
            for name in names:
                client.delete_collection(name)
    for index in opened:
        index.close()
    if http is not None:
        http.close()
        assert http.broken == []


def _new(engine: str, name: str, folders: pytest.TempPathFactory, url: str) -> VectorIndex:
    if engine.startswith("edge"):
        codes = 100 if engine != "edge" else 10**9
        graph = 100 if engine == "edge graph" else 10**9
        folder = folders.mktemp("index")
        return open_edge(
            folder, collection=name, dimension=DIMENSION, on_open=nothing_to_do, codes_above=codes, hnsw_above=graph
        )
    if engine == "client in memory":
        return ServerIndex(
            QdrantClient(":memory:"),
            ServerOptions("memory"),
            collection=name,
            dimension=DIMENSION,
            on_open=nothing_to_do,
            serial=True,
        )
    return open_index(ServerOptions(url), collection=name, dimension=DIMENSION, on_open=nothing_to_do)


@pytest.fixture(scope="module")
def filled(opens: Opens) -> tuple[VectorIndex, Truth]:
    """Built, where the engine has something to build, from three quarters of the points; the rest came later."""
    index = opens()
    points = drawn_points(POINTS, DIMENSION)
    index.upsert(points[: POINTS * 3 // 4])
    index.optimise()
    index.upsert(points[POINTS * 3 // 4 :])
    return index, Truth(points)


days = st.integers(0, 9000).map(lambda day: date(2000, 1, 1) + timedelta(days=day))
lats = st.one_of(st.floats(-90, 90), st.sampled_from([-90.0, 0.0, 10.0, 90.0]))
lons = st.one_of(st.floats(-180, 180), st.sampled_from([-180.0, 0.0, 179.99, 180.0]))
radii = st.builds(Radius, st.builds(Place, lats, lons), st.one_of(st.floats(0, 21_000), st.sampled_from([0.0, 500.0, 5000.0])))
boxes = st.builds(lambda a, b, west, east: GeoBox(min(a, b), west, max(a, b), east), lats, lats, lons, lons)
filters = st.builds(
    Filter,
    species=st.none() | st.sampled_from([*SPECIES, "nobody saw one"]),
    viewpoint=st.none() | st.sampled_from(VIEWPOINTS),
    after=st.none() | days,
    before=st.none() | days,
    near=st.none() | radii,
    within=st.none() | boxes,
    among=st.none() | st.frozensets(st.integers(0, POINTS * 3), max_size=200),
    exclude=st.frozensets(st.integers(0, POINTS * 3), max_size=200),
)
queries = st.integers(0, 2**32 - 1).map(lambda seed: unit(np.random.default_rng(seed), 1, DIMENSION)[0])


@settings(max_examples=120)
@given(where=filters, query=queries, top=st.integers(1, POINTS + 50), exact=st.booleans())
def test_any_filter_finds_what_brute_force_finds(
    filled: tuple[VectorIndex, Truth], where: Filter, query: np.ndarray, top: int, exact: bool
) -> None:
    index, truth = filled
    assert truth.refute(index.search(query, top, where, exact=exact), query, top, where) is None


@settings(max_examples=60)
@given(box=boxes, query=queries)
def test_a_box_may_lie_across_the_antimeridian_and_touch_the_poles(
    filled: tuple[VectorIndex, Truth], box: GeoBox, query: np.ndarray
) -> None:
    index, truth = filled
    where = Filter(within=box)
    assert truth.refute(index.search(query, POINTS, where), query, POINTS, where) is None


@settings(max_examples=60)
@given(radius=radii, query=queries)
def test_a_circle_may_lie_across_the_antimeridian_and_around_a_pole(
    filled: tuple[VectorIndex, Truth], radius: Radius, query: np.ndarray
) -> None:
    index, truth = filled
    where = Filter(near=radius)
    assert truth.refute(index.search(query, POINTS, where), query, POINTS, where) is None


def test_edges_of_a_filter_are_inside_it(opens: Opens) -> None:
    index, here = opens(), Place(10.0, 20.0)
    vector = unit(np.random.default_rng(1), 1, DIMENSION)[0]
    index.upsert([Point(1, vector, Facts(taken=date(2024, 2, 29), place=here))])
    for where in (
        Filter(after=date(2024, 2, 29)),
        Filter(before=date(2024, 2, 29)),
        Filter(near=Radius(here, 0.0)),
        Filter(within=GeoBox(10.0, 20.0, 10.0, 20.0)),
        Filter(within=GeoBox(-90.0, 20.0, 10.0, -180.0)),
    ):
        assert [one.id for one in index.search(vector, 5, where)] == [1], where
    assert index.search(vector, 5, Filter(after=date(2024, 3, 1))) == []


def test_equal_scores_are_ordered_by_id_also_where_they_are_cut(opens: Opens) -> None:
    index = opens()
    same = unit(np.random.default_rng(2), 1, DIMENSION)[0]
    index.upsert([Point(id, same) for id in range(90, 0, -1)])
    assert [one.id for one in index.search(same, 7)] == [1, 2, 3, 4, 5, 6, 7]
    assert [one.id for one in index.search(same, 200)] == list(range(1, 91))


def test_a_point_comes_back_as_it_was_given(filled: tuple[VectorIndex, Truth]) -> None:
    index, truth = filled
    wanted = {point.id: point for point in truth.points[:50]}
    found = {point.id: point for point in index.points([*wanted, 10**12])}
    assert found.keys() == wanted.keys()
    for id, point in found.items():
        assert replace(point.facts, place=None) == replace(wanted[id].facts, place=None)
        assert (point.facts.place is None) == (wanted[id].facts.place is None)
        if point.facts.place is not None:  # the engine reads the last digit of a number as it likes
            assert astuple(point.facts.place) == pytest.approx(astuple(wanted[id].facts.place), abs=HAIR)
        np.testing.assert_allclose(point.vector, wanted[id].vector, atol=1e-6)


def test_count_and_ids_are_those_of_the_points(filled: tuple[VectorIndex, Truth]) -> None:
    index, truth = filled
    assert index.count() == len(truth.points)
    ids = index.ids()
    assert ids.dtype == np.int64
    assert ids.tolist() == sorted(point.id for point in truth.points)


def test_nothing_is_found_where_nothing_is_asked_or_held(opens: Opens) -> None:
    index = opens()
    query = unit(np.random.default_rng(3), 1, DIMENSION)[0]
    assert index.search(query, 10) == []
    assert index.search(query, 0) == []
    assert index.search(query, 2**70) == []
    assert index.count() == 0
    assert index.ids().tolist() == []
    assert list(index.points([1, 2])) == []
    index.delete([])
    index.delete([5])
    index.upsert([])
    assert index.count() == 0


def test_clear_leaves_an_empty_index_that_takes_points_again(opens: Opens) -> None:
    index = opens()
    points = drawn_points(150, DIMENSION, seed=5)
    index.upsert(points)
    index.clear()
    assert index.count() == 0
    assert index.search(points[0].vector, 3) == []
    index.upsert(points[:3])
    assert index.search(points[2].vector, 1, Filter(species=points[2].facts.species))[0].score == pytest.approx(1.0)


def test_info_says_how_many_points_there_are(filled: tuple[VectorIndex, Truth]) -> None:
    index, truth = filled
    info = index.info()
    assert info.points == len(truth.points)
    assert "Qdrant" in info.engine
    index.flush()


steps = st.lists(
    st.one_of(
        st.tuples(st.just("upsert"), st.lists(st.integers(0, 30), min_size=1, max_size=12), st.integers(0, 1000)),
        st.tuples(st.just("delete"), st.lists(st.integers(0, 30), max_size=8), st.just(0)),
    ),
    max_size=8,
)


@settings(max_examples=15)
@given(steps=steps)
def test_any_sequence_of_writes_leaves_the_points_it_says(opens_one: VectorIndex, steps: list) -> None:
    index, held = opens_one, {}
    index.delete(index.ids().tolist())
    for verb, ids, seed in steps:
        rng = np.random.default_rng(seed)
        if verb == "upsert":
            points = [Point(id, unit(rng, 1, DIMENSION)[0], drawn_facts(rng)) for id in ids]
            index.upsert(points)
            held.update({point.id: point for point in points})
        else:
            index.delete(ids)
            for id in ids:
                held.pop(id, None)
        assert index.ids().tolist() == sorted(held)
    query = unit(np.random.default_rng(9), 1, DIMENSION)[0]
    truth = Truth(list(held.values()))
    for where in (NO_FILTER, Filter(species="orca"), replace(NO_FILTER, exclude=frozenset(range(10)))):
        assert truth.refute(index.search(query, 10, where), query, 10, where) is None


@pytest.fixture(scope="module")
def opens_one(opens: Opens) -> VectorIndex:
    return opens()
