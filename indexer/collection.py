"""The collection of a Qdrant server that holds a catalogue's points: its name, how it is reached, how it is dropped.

Several catalogues may use one server. Each makes what the index holds equal to itself, so two on one collection would empty
it for each other by turns. Hence a catalogue has an identity, drawn at random, which is part of the name; a restored copy
draws its own.
"""

from __future__ import annotations

import secrets

from catalog.catalogue import Catalogue
from settings import Settings
from vector_db.open import drop_collection
from vector_db.server_options import ServerOptions

IDENTITY = "identity"  # the catalogue's fact


def collection_of(catalogue: Catalogue, bundle_id: str) -> str:
    return f"{bundle_id}-{catalogue.fact(IDENTITY) or _draw(catalogue)}"


def _draw(catalogue: Catalogue) -> str:
    """Once and for all: two processes may open a new catalogue in the same moment."""
    with catalogue.write("identity", who="flukeprint", what="") as write:
        known = write.fact(IDENTITY)
        if known is None:
            known = secrets.token_hex(8)
            write.set_fact(IDENTITY, known)
        return known


def drop(settings: Settings, catalogue: Catalogue, bundle_id: str) -> None:
    """Nothing where no server is set, or where it has no such collection."""
    if (options := server_options(settings)) is not None and catalogue.fact(IDENTITY) is not None:
        drop_collection(options, collection_of(catalogue, bundle_id))


def server_options(settings: Settings) -> ServerOptions | None:
    """None where the index is on this machine."""
    if settings.qdrant_url is None:
        return None
    return ServerOptions(
        url=settings.qdrant_url,
        api_key=settings.qdrant_key(),
        prefer_grpc=settings.qdrant_grpc,
        timeout_s=settings.qdrant_timeout_s,
        retries=settings.qdrant_retries,
        shard_number=settings.qdrant_shards,
        replication_factor=settings.qdrant_replicas,
        quantization=settings.qdrant_quantization,
        on_disk_vectors=settings.qdrant_on_disk,
    )
