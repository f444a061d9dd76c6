"""What each choice of teaching is worth: short runs that differ in one thing each, on one split; a table, a row a run.

    python -m training.choices --data metadata.csv --images beluga/ --out runs/choices [--only softmax]

A run that was killed goes on, and one that has ended is only read. The runs are short and small, so the rows say which way a
choice leads and not how far: among 650 photos asked, .02 is chance. Strangers have all other photos as their gallery.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .checkpoint import NAME
from .compare import COLUMNS, line
from .config import Config, changed
from .table import open_table
from .train import train

BASE: Mapping[str, Any] = {
    "shape": {"rule": "square", "width": 128, "height": 128, "turn": "none"},
    "stages": [],
    "frozen_stages": 3,
    "photos": 10_000,
    "seed": 1,
}
CHOICES: Mapping[str, Mapping[str, Any]] = {
    "as it is: ArcFace, a margin per individual, pairs across encounters, 512 numbers, 128 px": {},
    "sub-center ArcFace": {"loss": "subcenter"},
    "softmax": {"loss": "softmax"},
    "one margin of .3 for all": {"margin": [0.0, 0.0, 0.3]},
    "photos in any order": {"sampler": "shuffle"},
    "rivals of the day": {"day_rivals": 1.0},
    "sides taught apart": {"augment": {"mirror": "other"}},
    "128 numbers": {"dimension": 128},
    "96 px": {"shape": {"rule": "square", "width": 96, "height": 96, "turn": "none"}},
    "192 px": {"shape": {"rule": "square", "width": 192, "height": 192, "turn": "none"}},
    "64 × 256 px, lying photos turned": {"shape": {"rule": "rectangle", "width": 64, "height": 256, "turn": "portrait"}},
}


def main() -> None:
    asked = argparse.ArgumentParser(prog="python -m training.choices", description=(__doc__ or "").split("\n")[0])
    asked.add_argument("--data", type=Path, required=True, help="a table of photos")
    asked.add_argument("--images", type=Path, help="default: the table's folder")
    asked.add_argument("--out", type=Path, required=True, help="a folder for the runs")
    asked.add_argument("--only", default="", help="the rows whose names hold this")
    args = asked.parse_args()
    table, images = open_table(args.data), args.images or args.data.parent
    print(f"| choice | {COLUMNS} |\n|{'---|' * 7}", flush=True)
    for number, (name, change) in enumerate(CHOICES.items()):
        if args.only not in name:
            continue
        out = args.out / f"{number:02}"
        if (out / "figures.json").exists():
            made = json.loads((out / "figures.json").read_text("utf-8"))
        else:
            config = changed(changed(Config(), BASE), change)
            made = train(config, table, images, out, resume=(out / NAME).exists())
        print(line(name, made["closed"], made["occasion"], made["stranger"]), flush=True)


if __name__ == "__main__":
    main()
