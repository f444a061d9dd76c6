"""Our conditions and settings in the words of qdrant-client's models. Imported only where a server is chosen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qdrant_client import models

from vector_db.conditions import PLACE, SPECIES, TAKEN, VIEWPOINT, Among, AnyBox, Around, Between, Condition, Equal
from vector_db.server_options import ServerOptions

FACT_INDEXES = {
    SPECIES: models.PayloadSchemaType.KEYWORD,
    VIEWPOINT: models.PayloadSchemaType.KEYWORD,
    TAKEN: models.PayloadSchemaType.INTEGER,
    PLACE: models.PayloadSchemaType.GEO,
}
SHORTLIST_FACTOR = 4.0  # neighbours by code that are compared whole, for each one wanted


def collection(options: ServerOptions, dimension: int) -> dict[str, Any]:
    """The arguments that a new collection is made with."""
    return {
        "vectors_config": models.VectorParams(size=dimension, distance=models.Distance.COSINE, on_disk=options.on_disk_vectors),
        "hnsw_config": models.HnswConfigDiff(m=options.hnsw_m, ef_construct=options.hnsw_ef_construct),
        "quantization_config": _quantization(options),
        "shard_number": options.shard_number,
        "replication_factor": options.replication_factor,
        "write_consistency_factor": options.write_consistency_factor,
        "on_disk_payload": options.on_disk_payload,
    }


def search_params(options: ServerOptions, limit: int, exact: bool) -> models.SearchParams:
    if exact:
        return models.SearchParams(exact=True)
    return models.SearchParams(
        hnsw_ef=max(options.hnsw_ef, 2 * limit),
        quantization=models.QuantizationSearchParams(rescore=True, oversampling=SHORTLIST_FACTOR),
    )


def query_filter(where: Sequence[Condition]) -> models.Filter | None:
    return models.Filter(must=[_said(condition) for condition in where]) if where else None


def _quantization(options: ServerOptions) -> models.QuantizationConfig | None:
    if options.quantization == "int8":
        codes = models.ScalarQuantizationConfig(type=models.ScalarType.INT8, quantile=0.99, always_ram=True)
        return models.ScalarQuantization(scalar=codes)
    if options.quantization == "binary":
        return models.BinaryQuantization(binary=models.BinaryQuantizationConfig(always_ram=True))
    return None


def _said(condition: Condition) -> models.FieldCondition | models.HasIdCondition | models.Filter:
    if isinstance(condition, Equal):
        return models.FieldCondition(key=condition.key, match=models.MatchValue(value=condition.value))
    if isinstance(condition, Between):
        return models.FieldCondition(key=condition.key, range=models.Range(gte=condition.low, lte=condition.high))
    if isinstance(condition, Around):
        centre = models.GeoPoint(lat=condition.lat, lon=condition.lon)
        return models.FieldCondition(key=PLACE, geo_radius=models.GeoRadius(center=centre, radius=condition.metres))
    if isinstance(condition, AnyBox):
        return models.Filter(
            should=[
                models.FieldCondition(
                    key=PLACE,
                    geo_bounding_box=models.GeoBoundingBox(
                        top_left=models.GeoPoint(lat=box.north, lon=box.west),
                        bottom_right=models.GeoPoint(lat=box.south, lon=box.east),
                    ),
                )
                for box in condition.boxes
            ]
        )
    among = models.HasIdCondition(has_id=list(condition.ids))
    return among if isinstance(condition, Among) else models.Filter(must_not=[among])
