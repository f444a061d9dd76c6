"""`python -m demo`, which `make demo` runs: the demonstration of `show.py` on a folder of its own, then the service on it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from errors import FlukeprintError
from settings import ROOT


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m demo", description="Enrol drawn animals, and identify others.")
    parser.add_argument(
        "--data-dir",
        type=Path,
        default=ROOT / "demo" / "data",
        help="where the demo keeps its things, an empty folder at first",
    )
    parser.add_argument("--once", action="store_true", help="end after the tables, without the service")
    args = parser.parse_args()
    folder: Path = args.data_dir.expanduser().absolute()
    from demo.serving import serve
    from demo.show import CATALOGUE, asked_next, show

    try:
        show(folder)
        sys.stdout.flush()
        if not args.once:
            return serve(folder / CATALOGUE, asked_next(folder))
    except FlukeprintError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # whoever read our output has left, as `| head` does
        sys.stdout = None
    except KeyboardInterrupt:
        print("\ndemo: stopped; started again it begins anew.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
