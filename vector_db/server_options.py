"""What is chosen about a Qdrant server or cluster. Plain values; nothing of the client is imported."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Quantization = Literal["none", "int8", "binary"]


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How to reach it, how patient to be, and how a collection that does not exist yet is made.

    The last group is read when a collection is made, and not compared with one that exists.
    """

    url: str  # http(s)://host:port
    api_key: str | None = field(default=None, repr=False)
    prefer_grpc: bool = False  # not proven by our tests
    grpc_port: int = 6334
    timeout_s: int = 30  # a request, whole seconds
    retries: int = 4  # after the first try, on connection errors, 429 and 5xx
    backoff_s: float = 0.25  # before the first retry, then doubled, each shortened at random by up to half
    longest_backoff_s: float = 10.0
    give_up_s: float = 60.0  # no try begins later than this after the first

    shard_number: int | None = None
    replication_factor: int | None = None
    write_consistency_factor: int | None = None
    on_disk_vectors: bool = False
    on_disk_payload: bool = True
    quantization: Quantization = "none"  # the whole vectors decide in every case
    hnsw_m: int = 32
    hnsw_ef_construct: int = 200
    hnsw_ef: int = 256  # a search's width
