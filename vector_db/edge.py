"""Qdrant Edge behind the port, for any number of threads.

Owns what a call means: that a batch is taken whole, that equal scores are ordered by id, that the layout is built anew
on a copy while searches and writes go on. How the engine is kept alive is `edge_engine`'s.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from vector_db.batch import checked, checked_query
from vector_db.conditions import checked_id, conditions, facts_of
from vector_db.edge_engine import EdgeEngine
from vector_db.edge_process import EdgeProcess
from vector_db.errors import IndexDamaged
from vector_db.growth import Growth
from vector_db.nearest import limits, nearest
from vector_db.port import NO_FILTER, Filter, IndexInfo, Neighbour, Point, Vector, VectorIndex
from vector_db.rebuild import Rebuild, Spoilt

log = logging.getLogger(__name__)

PART = 500  # points a request: 1 MB and 40 ms at 512 dimensions, the longest that a search waits for a bulk write


class EdgeIndex:
    """An index folder, open. Made by `vector_db.open.open_edge`."""

    def __init__(
        self, path: Path, *, collection: str, dimension: int, on_open: Callable[[VectorIndex], None], growth: Growth
    ) -> None:
        self.dimension = dimension
        self._growth = growth
        self._rebuild: Rebuild | None = None
        self._one_rebuild = Lock()
        self._engine = EdgeEngine(path, collection, dimension, lambda: on_open(self))
        self._engine.start()

    def upsert(self, points: Sequence[Point]) -> None:
        for part in checked(points, self.dimension).parts(PART):
            self._write(part.ids, "upsert", part.ids, part.vectors.tobytes(), part.payloads)

    def delete(self, ids: Iterable[int]) -> None:
        if wanted := [checked_id(id) for id in ids]:
            self._write(wanted, "delete", wanted)

    def clear(self) -> None:
        with self._engine.turn:
            if self._rebuild is not None:
                self._rebuild.spoil()
            self._engine.run(self._engine.begin_anew)

    def search(self, vector: Vector, top: int, where: Filter = NO_FILTER, *, exact: bool = False) -> list[Neighbour]:
        query = checked_query(vector, self.dimension).tobytes()
        asked = conditions(where)
        for limit in limits(top):
            found = self._engine.ask("search", query, limit, asked, exact)
            if (settled := nearest(found, top, limit)) is not None:
                return settled
        return []

    def count(self) -> int:
        return int(self._engine.ask("count"))

    def ids(self) -> npt.NDArray[np.int64]:
        return np.sort(np.frombuffer(self._engine.ask("ids"), np.int64))

    def points(self, ids: Sequence[int]) -> Iterator[Point]:
        wanted = [checked_id(id) for id in ids]
        for start in range(0, len(wanted), PART):
            found, blob, payloads = self._engine.ask("points", wanted[start : start + PART])
            vectors = np.frombuffer(blob, np.float32).reshape(len(found), self.dimension)
            for id, vector, payload in zip(found, vectors, payloads, strict=True):
                yield Point(id, vector, facts_of(payload))

    def flush(self) -> None:
        self._engine.ask("flush")

    def info(self) -> IndexInfo:
        points = self.count()
        built = self._engine.folder.stamp.optimised
        return IndexInfo(
            engine="Qdrant Edge",
            points=points,
            layout=self._growth.layout(built),
            built=built,
            wants_optimising=self._growth.wants_building(points, built),
            rebuilt=self._engine.why_empty,
        )

    def optimise(self) -> None:
        with self._one_rebuild:
            rebuild = self._begin_rebuild()
            if rebuild is None:
                return
            try:
                self._carry_out(rebuild)
            except Spoilt:
                log.info("The index was closed, cleared or reopened while it was laid out anew; it stays as it was.")
            finally:
                with self._engine.turn:
                    self._rebuild = None
                    self._engine.turn.notify_all()
                rebuild.clear_away()

    def close(self) -> None:
        with self._engine.turn:
            if self._engine.closed:
                return
            self._engine.closed = True
            if self._rebuild is not None:
                self._rebuild.spoil()
        with self._one_rebuild:  # a building under way sees that it is spoilt within a moment
            self._engine.close()

    def _write(self, ids: Iterable[int], verb: str, *args: Any) -> None:
        engine = self._engine
        with engine.turn:
            while self._rebuild is not None and self._rebuild.copying and not engine.starting:
                engine.turn.wait()
            if self._rebuild is not None:
                self._rebuild.touched.update(ids)
            engine.ask(verb, *args)

    def _begin_rebuild(self) -> Rebuild | None:
        with self._engine.turn:
            now = self.info()
            if not now.wants_optimising:
                return None
            self.flush()
            self._rebuild = Rebuild(self._engine, self._growth.layout(now.points), now.points)
            return self._rebuild

    def _carry_out(self, rebuild: Rebuild) -> None:
        turn = self._engine.turn
        rebuild.copy()
        with turn:
            rebuild.copied()
            turn.notify_all()
        rebuild.build()
        with rebuild.opened() as fresh:
            while len(rebuild.touched) > PART:
                self._catch_up(rebuild, fresh)
            with turn:
                while rebuild.touched:
                    self._catch_up(rebuild, fresh)
                if fresh.ask("count") != self.count():
                    raise IndexDamaged("The newly built index holds other points than the one before, which goes on.")
                old = rebuild.adopt(fresh)
        if old is not None:
            old.stop()

    def _catch_up(self, rebuild: Rebuild, fresh: EdgeProcess) -> None:
        """Bring some of the points that were written since the copy into the new shard, as they are now."""
        with self._engine.turn:
            ids = rebuild.take(PART)
            found, vectors, payloads = self._engine.ask("points", ids)
        fresh.ask("upsert", found, vectors, payloads)
        if gone := sorted(set(ids) - set(found)):
            fresh.ask("delete", gone)
