"""Looks for keys, tokens and passwords in the project's own files, and fails where it finds one.

Detectors that go by the randomness of a string are left out: this project is full of hashes. A finding that is none
ends its line with `# pragma: allowlist secret: ` and the reason.
"""

from __future__ import annotations

import sys

from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
from detect_secrets.core.scan import scan_file
from detect_secrets.settings import transient_settings

from scripts.tree import ROOT, own_files

BY_RANDOMNESS = {"Base64HighEntropyString", "HexHighEntropyString"}
BINARY = {".onnx", ".npy", ".npz", ".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp"}


def main() -> int:
    known: dict[str, type] = get_mapping_from_secret_type_to_class()
    detectors = sorted({kind.__name__ for kind in known.values()} - BY_RANDOMNESS)
    found = 0
    with transient_settings({"plugins_used": [{"name": name} for name in detectors]}):
        for path in own_files():
            if path.suffix in BINARY:
                continue
            for secret in scan_file(str(path)):
                found += 1
                print(f"{path.relative_to(ROOT)}:{secret.line_number}: looks like a secret ({secret.type})", file=sys.stderr)
    if found:
        print("Take it out of the file and of the history, and make it invalid where it was in use.", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
