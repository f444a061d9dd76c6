"""The one place where an engine is chosen.

A folder is Qdrant Edge in a worker process of this one; `ServerOptions` are a Qdrant server or cluster. Both come back
behind the same port, equal to the catalogue: `on_open` is called with the index each time an engine starts, before any
other call gets through, and compares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from vector_db.edge import EdgeIndex
from vector_db.errors import IndexUnavailable
from vector_db.growth import CODES_ABOVE, HNSW_ABOVE, Growth
from vector_db.port import VectorIndex
from vector_db.server_options import ServerOptions

OnOpen = Callable[[VectorIndex], None]


def open_index(where: Path | ServerOptions, *, collection: str, dimension: int, on_open: OnOpen) -> VectorIndex:
    """The vectors of one bundle.

    index = open_index(data / "index", collection="flukeprint-starter-1", dimension=512, on_open=reconcile)
    """
    if isinstance(where, Path):
        return open_edge(where, collection=collection, dimension=dimension, on_open=on_open)
    return open_server(where, collection=collection, dimension=dimension, on_open=on_open)


def open_edge(
    folder: Path,
    *,
    collection: str,
    dimension: int,
    on_open: OnOpen,
    hnsw_above: int = HNSW_ABOVE,
    codes_above: int = CODES_ABOVE,
) -> VectorIndex:
    """Qdrant Edge in `folder`, which this process holds until `close()`; another is told who has it."""
    growth = Growth(codes_above=codes_above, hnsw_above=hnsw_above)
    return EdgeIndex(folder, collection=collection, dimension=dimension, on_open=on_open, growth=growth)


def drop_collection(options: ServerOptions, collection: str) -> None:
    """Of a Qdrant server, with all its points. One that is not there is no matter."""
    with _server_engine(options):
        from vector_db.server_client import connect, drop
    drop(connect(options), options, collection)


def open_server(options: ServerOptions, *, collection: str, dimension: int, on_open: OnOpen) -> VectorIndex:
    """A collection of a Qdrant server; it is made, with its payload indexes, where it does not exist."""
    with _server_engine(options):
        from vector_db.server import ServerIndex
        from vector_db.server_client import connect
    return ServerIndex(connect(options), options, collection=collection, dimension=dimension, on_open=on_open)


@contextmanager
def _server_engine(options: ServerOptions) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as missing:
        raise IndexUnavailable(
            f"A Qdrant server is chosen ({options.url}), and {missing.name} is not installed. "
            "Install it with make setup EXTRAS=server, or choose no server."
        ) from missing
