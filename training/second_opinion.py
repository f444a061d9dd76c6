"""What a second opinion adds on labelled photos, and what it costs: the figures of docs/second-opinion.md.

    python -m training.second_opinion TABLE --images DIR --bundle DIR [--split split.json --part stranger] [--queries 400]

Each query is asked of all the other photos three times: of all; without its own encounter; without its own animal's photos of
its date, and of what an encounter joins with that. Shares are fitted on the questions without the own encounter, in five folds
of individuals, as a catalogue fits them. `alone` orders by the second look alone.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import cv2
import numpy as np

from encoder.encode import open_encoder
from encoder.local import local_features
from encoder.photo import read_photo
from encoder.values import LocalFeatures
from matching.agreement import Agreement, agree
from matching.neighbours import gather
from matching.second import candidates
from matching.second_fit import Asked, across, fitted_share, pairs_of
from matching.trials import Occasion, Search

from .answers import Apart, Labelled
from .calibrated import ExactIndex
from .judge import encode_rows
from .metrics import Mask
from .splits import key
from .table import open_table

MOST = (10, 20, 40)
WANT = 60  # individuals that a search sees: more than the most that are looked at


@dataclass
class Looked:
    """The gallery with its local features, each pair compared once, and how long a comparison took."""

    labelled: Labelled
    local: Sequence[LocalFeatures]
    pairs: dict[tuple[int, int], Agreement]
    spent_ms: list[float]

    def compare(self, query: int, sighting: int) -> Agreement:
        if (query, sighting) not in self.pairs:
            began = time.perf_counter()
            self.pairs[query, sighting] = agree(self.local[query], self.local[sighting])
            self.spent_ms.append((time.perf_counter() - began) * 1000)
        return self.pairs[query, sighting]


def measure(labelled: Labelled, queries: Sequence[int], images: Path) -> dict[str, object]:
    began = time.perf_counter()
    local = [local_features(read_photo(images / row.path), row.box) for row in labelled.rows]
    extracted = (time.perf_counter() - began) * 1000 / len(local)
    looked = Looked(labelled, local, {}, [])
    asking = Labelled([labelled.rows[query] for query in queries], labelled.vectors[list(queries)])
    left = Apart(labelled, asking).masks()
    kept = {"all": left["whole"], "encounter": left["encounter"], "date": left["occasion"]}
    searches = {name: _searches(labelled, queries, mask) for name, mask in kept.items()}
    made: dict[str, object] = {}
    for most in MOST:
        asked = {name: [_asked(looked, search, most) for search in some] for name, some in searches.items()}
        pairs = pairs_of(asked["encounter"])
        worth = {name: across(some, pairs) for name, some in asked.items() if some}
        made[f"most {most}"] = {
            "share": round(fitted_share(pairs), 3),
            **{
                name: {
                    "questions": one.questions,
                    "without": round(one.top1_without, 3),
                    "with": round(one.top1_with, 3),
                    "alone": round(one.top1_alone, 3),
                    "gained": one.gained,
                    "lost": one.lost,
                }
                for name, one in worth.items()
            },
        }
    return made | {"extract_ms": round(extracted, 2), "compare_ms": round(median(looked.spent_ms), 3)}


def _searches(labelled: Labelled, queries: Sequence[int], kept: Mask) -> list[Search]:
    """Of the queries that still have a photo of their animal in the gallery."""
    names = {name: number for number, name in enumerate(sorted({row.identity for row in labelled.rows}))}
    individual = [names[row.identity] for row in labelled.rows]
    index = ExactIndex(labelled.vectors, individual, [0] * len(individual))
    found = []
    for query, seen in zip(queries, kept, strict=True):
        own = [n for n, one in enumerate(individual) if one == individual[query]]
        gone = {query, *(n for n in own if not seen[n])}
        if gone.issuperset(own):
            continue
        occasion = Occasion(individual[query], 1, (query,), tuple(sorted(gone)))
        neighbours, owner = gather(index, [labelled.vectors[query]], index.owners, want=WANT, leave_out=occasion.all)
        found.append(Search(occasion, (tuple(neighbours[0]),), owner))
    return found


def _asked(looked: Looked, search: Search, most: int) -> Asked:
    (query,), (found,) = search.occasion.asked, search.found
    return Asked(search, {(0, one): looked.compare(query, one) for one in candidates(found, search.owner, most)})


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m training.second_opinion", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("table", type=Path)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--split", type=Path, help="a run's split.json")
    parser.add_argument("--part", default="stranger", help="its part that asks")
    parser.add_argument("--queries", type=int, default=400, help="how many photos ask, drawn from a seed")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    encoder = open_encoder(args.bundle)
    labelled, _ = encode_rows(encoder, open_table(args.table).rows, args.images)
    parts = json.loads(args.split.read_text("utf-8"))["parts"] if args.split else {}
    asking = [n for n, row in enumerate(labelled.rows) if not parts or parts[key(row)] == args.part]
    queries = np.random.default_rng(0).permutation(asking)[: args.queries].tolist()
    print(json.dumps({"bundle": encoder.bundle_id} | measure(labelled, queries, args.images), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
