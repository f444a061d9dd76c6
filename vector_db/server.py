"""A collection of a Qdrant server or cluster behind the port, through qdrant-client.

Writes are awaited, so that a search finds what was taken. A collection that was deleted meanwhile is made again and filled by
`on_open`, like a local index whose files were lost: the catalogue has everything. One that holds vectors of another length is
left alone and refused, since it may be somebody else's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from threading import RLock, get_ident
from typing import Any

import numpy as np
import numpy.typing as npt
from qdrant_client import QdrantClient, models

from vector_db.batch import checked, checked_query
from vector_db.conditions import checked_id, conditions, facts_of
from vector_db.errors import IndexDamaged, IndexUnavailable
from vector_db.nearest import limits, nearest
from vector_db.port import NO_FILTER, Filter, IndexInfo, Neighbour, Point, Vector, VectorIndex
from vector_db.server_client import Caller, Missing
from vector_db.server_models import FACT_INDEXES, collection, query_filter, search_params
from vector_db.server_options import ServerOptions

log = logging.getLogger(__name__)

PART = 500  # points a request: 5 MB of JSON at 512 dimensions, of the 32 MB that a server takes
PAGE = 10_000
TRIES = 3  # of a call whose collection goes while it is used


class ServerIndex:
    """One collection. Made by `vector_db.open.open_server`.

    `serial` lets one call through at a time: the client's in-memory engine needs that, a server does not.
    """

    def __init__(
        self,
        client: QdrantClient,
        options: ServerOptions,
        *,
        collection: str,
        dimension: int,
        on_open: Callable[[VectorIndex], None],
        serial: bool = False,
    ) -> None:
        self.dimension = dimension
        self._client = client
        self._options = options
        self._name = collection
        self._on_open = on_open
        self._caller = Caller(options, serial=serial)
        self._one_opening = RLock()
        self._opener: int | None = None
        self._openings = 0
        self._why_empty: str | None = None
        try:
            self._open()
        except BaseException:
            client.close()
            raise

    def upsert(self, points: Sequence[Point]) -> None:
        for part in checked(points, self.dimension).parts(PART):
            batch = models.Batch(ids=list(part.ids), vectors=part.vectors.tolist(), payloads=list(part.payloads))
            self._ask(self._client.upsert, self._name, batch, wait=True)

    def delete(self, ids: Iterable[int]) -> None:
        wanted = [checked_id(id) for id in ids]
        for start in range(0, len(wanted), PAGE):
            part = models.PointIdsList(points=list(wanted[start : start + PAGE]))
            self._ask(self._client.delete, self._name, part, wait=True)

    def search(self, vector: Vector, top: int, where: Filter = NO_FILTER, *, exact: bool = False) -> list[Neighbour]:
        query = checked_query(vector, self.dimension).tolist()
        asked = query_filter(conditions(where))
        for limit in limits(top):
            answer = self._ask(
                self._client.query_points,
                self._name,
                query=query,
                query_filter=asked,
                limit=limit,
                search_params=search_params(self._options, limit, exact),
                with_payload=False,
            )
            found = [(int(point.id), point.score) for point in answer.points]
            if (settled := nearest(found, top, limit)) is not None:
                return settled
        return []

    def count(self) -> int:
        return int(self._ask(self._client.count, self._name, exact=True).count)

    def ids(self) -> npt.NDArray[np.int64]:
        found: list[int] = []
        start: Any = 0
        while start is not None:
            records, start = self._ask(
                self._client.scroll, self._name, limit=PAGE, offset=start, with_payload=False, with_vectors=False
            )
            found.extend(int(record.id) for record in records)
        return np.sort(np.array(found, np.int64))

    def points(self, ids: Sequence[int]) -> Iterator[Point]:
        wanted = [checked_id(id) for id in ids]
        for start in range(0, len(wanted), PART):
            part = wanted[start : start + PART]
            records = self._ask(self._client.retrieve, self._name, part, with_payload=True, with_vectors=True)
            for record in records:
                yield Point(int(record.id), np.array(record.vector, np.float32), facts_of(record.payload))

    def clear(self) -> None:
        everything = models.FilterSelector(filter=models.Filter())
        self._ask(self._client.delete, self._name, everything, wait=True)

    def flush(self) -> None:
        """Every write was awaited: the server has it in its log."""

    def optimise(self) -> None:
        """The server does so by itself."""

    def info(self) -> IndexInfo:
        found = self._ask(self._client.get_collection, self._name)
        return IndexInfo(
            engine=f"Qdrant server {self._options.url}",
            points=self.count(),
            layout=str(found.status.value),
            built=found.indexed_vectors_count or 0,
            wants_optimising=False,
            rebuilt=self._why_empty,
        )

    def close(self) -> None:
        self._client.close()

    def _open(self) -> None:
        """The collection is there, as this bundle needs it, and equal to the catalogue."""
        with self._one_opening:
            self._opener = get_ident()
            self._openings += 1
            try:
                self._make_or_check()
                self._on_open(self)
            finally:
                self._opener = None

    def _make_or_check(self) -> None:
        client, name = self._client, self._name
        if not self._exists():
            self._why_empty = "there was no such collection"
            try:
                self._ask(client.create_collection, name, **collection(self._options, self.dimension))
            except IndexUnavailable:
                if not self._exists():  # else another process was quicker
                    raise
        found = self._ask(client.get_collection, name)
        size = getattr(found.config.params.vectors, "size", None)
        if size != self.dimension:
            raise IndexDamaged(
                f"The collection {name} on {self._options.url} holds vectors of {size} numbers, this bundle makes "
                f"{self.dimension}. Delete that collection if it is yours, or use another server."
            )
        for key, schema in FACT_INDEXES.items():  # before there is a graph, which is built over them
            if key not in found.payload_schema:
                self._ask(client.create_payload_index, name, key, schema, wait=True)

    def _exists(self) -> bool:
        try:
            return bool(self._caller.call(self._client.collection_exists, self._name))
        except Missing as missing:
            raise IndexUnavailable(f"{self._options.url} is no Qdrant server: it knows no collections. Check it.") from missing

    def _ask(self, call: Callable[..., Any], *args: Any, **named: Any) -> Any:
        """What the client answers; where the collection is gone, what it answers once that is made again and full."""
        if self._opener == get_ident():
            try:
                return self._caller.call(call, *args, **named)
            except Missing as missing:
                raise self._went() from missing
        for _ in range(TRIES):
            with self._one_opening:  # whoever opens it is waited for
                openings = self._openings
            try:
                answer = self._caller.call(call, *args, **named)
            except Missing:
                log.warning("The collection %s is gone and is made again from the catalogue.", self._name)
                with self._one_opening:
                    if openings == self._openings:  # else another thread has made it since
                        self._open()
            else:
                if openings == self._openings:  # else it may be the answer of one that was not full yet
                    return answer
        raise self._went()

    def _went(self) -> IndexUnavailable:
        return IndexUnavailable(
            f"The collection {self._name} on {self._options.url} went while it was used. "
            "See who deletes it, and run this again."
        )
