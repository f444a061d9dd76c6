"""A bundle's weights stored in 16 bits: half the size and the same vectors, for the weights that were rounded to 16 before.

The file holds such weights in 16 bits and turns them back when it is opened; all arithmetic stays in 32. Others stay.
"""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper

from encoder.bundle import CONTRACT, MODEL, Bundle, load_bundle
from encoder.encode import open_encoder

from .errors import ExportRefused
from .export import TOLERANCE, as_text

LARGE = 1024  # numbers; what is smaller is not worth a node


def halve(bundle: Bundle) -> Bundle:
    """The bundle rewritten, if its golden vectors stay what they are in every runtime; else it is left as it was."""
    path, contract = bundle.folder / MODEL, bundle.folder / CONTRACT
    before, words = path.read_bytes(), contract.read_text("utf-8")
    path.write_bytes(halved(onnx.load_from_string(before)).SerializeToString())
    made = dataclasses.replace(bundle, model_sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    contract.write_text(as_text(made), "utf-8")
    differences = {}
    for runtime in ("onnxruntime", "openvino"):
        encoder = open_encoder(bundle.folder, runtime=runtime)
        differences[runtime] = encoder.golden_difference()
        encoder.close()
    if max(differences.values()) > TOLERANCE:
        path.write_bytes(before)
        contract.write_text(words, "utf-8")
        raise ExportRefused(
            f"With 16-bit storage the vectors change by {differences}, more than {TOLERANCE}: the bundle was left whole. "
            "A runtime does not restore the weights as it should: make the bundle without --half."
        )
    return load_bundle(bundle.folder)


def halved(model: onnx.ModelProto) -> onnx.ModelProto:
    made = onnx.ModelProto()
    made.CopyFrom(model)
    kept, casts = [], []
    for weight in made.graph.initializer:
        array = onnx.numpy_helper.to_array(weight)
        rounded = array.astype(np.float16) if array.dtype == np.float32 and array.size > LARGE else None
        if rounded is not None and np.array_equal(rounded.astype(np.float32), array):  # else something was lost
            small = onnx.numpy_helper.from_array(rounded, weight.name + "_16")
            kept.append(small)
            casts.append(onnx.helper.make_node("Cast", [small.name], [weight.name], to=onnx.TensorProto.FLOAT))
        else:
            kept.append(weight)
    nodes = [*casts, *made.graph.node]
    del made.graph.initializer[:]
    made.graph.initializer.extend(kept)
    del made.graph.node[:]
    made.graph.node.extend(nodes)
    onnx.checker.check_model(made)
    return made
