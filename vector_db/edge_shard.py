"""Qdrant Edge, spoken to in plain values. Only worker processes import this: no call of the engine lets Python's other
threads run, and it may abort the process.

Owns how a shard is laid out and how our conditions are said in the engine's words. Decides nothing: which folder, when
to flush and what to do about damage are the callers'.
"""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import qdrant_edge as edge

from vector_db.conditions import PLACE, SPECIES, TAKEN, VIEWPOINT, Among, AnyBox, Around, Between, Condition, Equal, Payload
from vector_db.growth import Layout

Floats = bytes  # float32, little-endian, row after row

SCAN_BELOW_KB = 200_000  # a filter that leaves fewer kilobytes of vectors is scanned, also beside a graph: exact within codes
SHORTLIST = 768  # neighbours by code that are compared whole: of 300,000 these held all ten nearest of each of 300 questions
GRAPH_SHORTLIST = 192  # with 128 a walk has to be a tenth wider to find as much
SHORTLIST_FACTOR = 4.0
SEARCH_THREADS = 1  # one segment is searched by one; the engine's eight spin for the others' work, a third of a search's CPU
GRAPH_LINKS = 64  # built in twice the time of 32 by a width of 400, once, and searched in four fifths of its time
GRAPH_BUILD_WIDTH = 800
GRAPH_SEARCH_WIDTH = 304  # recall@10 of isotropic clusters .975; 288 finds .974, 256 finds .969
_CONFIG = "edge_config.json"  # the engine's own, in the shard's folder: how it was laid out
_PAGE = 10_000
_FLOAT = array("f").itemsize


class Shard:
    """One open shard folder."""

    def __init__(self, path: Path, dimension: int) -> None:
        """Open what is there, or begin where there is nothing."""
        self._dimension = dimension
        if path.is_dir() and any(path.iterdir()):
            links = int(_configured(path / _CONFIG)["hnsw_config"]["m"])
            self._shard = edge.EdgeShard.load(str(path))
        else:
            path.mkdir(parents=True, exist_ok=True)
            self._shard, links = edge.EdgeShard.create(str(path), _config(dimension, "flat")), 0
            self._index_facts()  # before there is a graph, which is built over them
        self._shortlist = GRAPH_SHORTLIST if links else SHORTLIST
        self._width = GRAPH_SEARCH_WIDTH * GRAPH_LINKS // (links or GRAPH_LINKS)  # wider along an older graph, of fewer links

    def upsert(self, ids: Sequence[int], vectors: Floats, payloads: Sequence[Payload]) -> None:
        size = self._dimension * _FLOAT
        points = [
            edge.Point(id, _numbers(vectors[row * size : (row + 1) * size]), payload)
            for row, (id, payload) in enumerate(zip(ids, payloads, strict=True))
        ]
        self._shard.update(edge.UpdateOperation.upsert_points(points))

    def delete(self, ids: Sequence[int]) -> None:
        self._shard.update(edge.UpdateOperation.delete_points(list(ids)))

    def search(self, vector: Floats, limit: int, where: Sequence[Condition], exact: bool) -> list[tuple[int, float]]:
        found = self._nearest(vector, limit, _filter(where), exact)
        return [(int(point.id), point.score) for point in found]

    def count(self) -> int:
        return int(self._shard.count(edge.CountRequest(exact=True)))

    def ids(self) -> bytes:
        """int64 of each point, in the engine's order."""
        found = array("q")
        for records in self._pages(with_payload=False):
            found.extend(int(record.id) for record in records)
        return found.tobytes()

    def points(self, ids: Sequence[int]) -> tuple[list[int], Floats, list[Payload]]:
        records = self._shard.retrieve(list(ids), with_payload=True, with_vector=True)
        vectors = b"".join(array("f", cast(list[float], record.vector)).tobytes() for record in records)
        if len(vectors) != len(records) * self._dimension * _FLOAT:
            raise ValueError(f"some of {len(records)} points have no vector")
        return [int(record.id) for record in records], vectors, [record.payload or {} for record in records]

    def probe(self) -> None:
        """Read everything once, as far as that is quick (1 s for 100,000 points), and raise where it is not all there."""
        slope = array("f", [math.sqrt(1 / self._dimension)] * self._dimension).tobytes()
        for records in self._pages(with_payload=True):
            ids = {int(record.id) for record in records}
            scored = self._nearest(slope, len(ids), edge.Filter(must=[edge.HasIdCondition(set(ids))]), exact=True)
            if len(scored) != len(ids):
                raise ValueError(f"of {len(ids)} points {len(ids) - len(scored)} have no vector")
            if strange := [point.id for point in scored if not 0 < abs(point.score) < 1.001]:  # zeroed, NaN, without measure
                raise ValueError(f"the vectors of {len(strange)} points are no unit vectors")

    def flush(self) -> None:
        self._shard.flush()

    def close(self) -> None:
        self._shard.close()

    def _nearest(self, vector: Floats, limit: int, where: edge.Filter | None, exact: bool) -> list[edge.ScoredPoint]:
        codes = edge.QuantizationSearchParams(rescore=True, oversampling=max(SHORTLIST_FACTOR, self._shortlist / limit))
        return self._shard.query(
            edge.QueryRequest(
                limit=limit,
                query=edge.Query.Nearest(_numbers(vector)),
                filter=where,
                params=edge.SearchParams(exact=True)
                if exact
                else edge.SearchParams(hnsw_ef=max(self._width, 2 * limit), quantization=codes),
                with_payload=False,
                with_vector=False,
            )
        )

    def _pages(self, *, with_payload: bool) -> Iterator[list[edge.Record]]:
        start: int | None = 0
        while start is not None:
            request = edge.ScrollRequest(offset=start, limit=_PAGE, with_payload=with_payload, with_vector=False)
            records, following = self._shard.scroll(request)
            if records:
                yield records
            start = None if following is None else int(following)

    def _index_facts(self) -> None:
        for key, schema in (
            (SPECIES, edge.PayloadSchemaType.Keyword),
            (VIEWPOINT, edge.PayloadSchemaType.Keyword),
            (TAKEN, edge.PayloadSchemaType.Integer),
            (PLACE, edge.PayloadSchemaType.Geo),
        ):
            self._shard.update(edge.UpdateOperation.create_field_index(key, schema))


def build(path: Path, dimension: int, layout: Layout) -> None:
    """Lay a closed shard out anew, in place and for minutes: give it a copy."""
    shard = edge.EdgeShard.load(str(path), _config(dimension, layout))
    shard.optimize()
    shard.flush()
    shard.close()


def _numbers(vector: Floats) -> list[float]:
    """What the engine takes a third faster than the list that its signature asks for."""
    return cast(list[float], array("f", vector))


def _config(dimension: int, layout: Layout) -> edge.EdgeConfig:
    """One segment, since a search costs most of its time per segment; the write-ahead log is never switched off."""
    # Two bits a number: four take a sixth longer to scan, twice as long along a graph, and what is found is compared whole.
    codes = edge.TurboQuantQuantizationConfig(bits=edge.TurboQuantBitSize.Bits2, memory=edge.Memory.Cached)
    return edge.EdgeConfig(
        vectors=edge.EdgeVectorParams(size=dimension, distance=edge.Distance.Cosine),
        quantization_config=None if layout == "flat" else codes,
        hnsw_config=edge.HnswIndexConfig(
            m=GRAPH_LINKS if layout == "graph" else 0,
            ef_construct=GRAPH_BUILD_WIDTH,
            full_scan_threshold=SCAN_BELOW_KB,
        ),
        optimizers=edge.EdgeOptimizersConfig(default_segment_number=1, indexing_threshold=1, max_segment_size=1 << 40),
        max_search_threads=SEARCH_THREADS,
        wal_enabled=True,
    )


def _configured(file: Path) -> dict[str, Any]:
    """How a shard was laid out; one that was made with as many threads as the engine likes is set right before it is opened."""
    config: dict[str, Any] = json.loads(file.read_bytes())
    if config.get("max_search_threads") != SEARCH_THREADS:
        config["max_search_threads"] = SEARCH_THREADS
        beside = file.with_suffix(".new")
        beside.write_text(json.dumps(config), "utf-8")
        beside.replace(file)
    return config


def _filter(where: Sequence[Condition]) -> edge.Filter | None:
    if not where:
        return None
    return edge.Filter(must=[_said(condition) for condition in where])


def _said(condition: Condition) -> edge.ConditionType:
    if isinstance(condition, Equal):
        return edge.FieldCondition(key=condition.key, match=edge.MatchValue(condition.value))
    if isinstance(condition, Between):
        return edge.FieldCondition(key=condition.key, range=edge.RangeFloat(gte=condition.low, lte=condition.high))
    if isinstance(condition, Around):
        centre = edge.GeoPoint(lon=condition.lon, lat=condition.lat)
        return edge.FieldCondition(key=PLACE, geo_radius=edge.GeoRadius(center=centre, radius=condition.metres))
    if isinstance(condition, AnyBox):
        return edge.Filter(
            should=[
                edge.FieldCondition(
                    key=PLACE,
                    geo_bounding_box=edge.GeoBoundingBox(
                        top_left=edge.GeoPoint(lon=box.west, lat=box.north),
                        bottom_right=edge.GeoPoint(lon=box.east, lat=box.south),
                    ),
                )
                for box in condition.boxes
            ]
        )
    if isinstance(condition, Among):
        return edge.HasIdCondition(set(condition.ids))
    return edge.Filter(must_not=[edge.HasIdCondition(set(condition.ids))])
