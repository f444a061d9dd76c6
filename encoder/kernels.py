"""What OpenVINO is told before it compiles a model, where its own choice is the slower one.

Of a convolution whose weights are still to be made of 16 bits it runs bias and activation as a step of their own, an eighth of
a photo's time: weights are made before. With AVX2 and no AVX-512 it takes its newer convolution kernels in blocks; its older
ones do the same sums in a seventh less time. It reads such a wish from a model's file only, so the model goes through one.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

log = logging.getLogger(__name__)

OLDER = {"Convolution": "cpu:jit_avx2_1x1,cpu:jit_avx2", "GroupConvolution": "cpu:jit_avx2_dw"}
_LAYER = re.compile(r'<layer [^>]*type="(Convolution|GroupConvolution)"[^>]*>')


def fold_constants(model: Any) -> None:
    """What is worked out of the model's own numbers alone is worked out now, in place."""
    from openvino.passes import ConstantFolding, Manager

    passes = Manager()
    passes.register_pass(ConstantFolding())
    passes.run_passes(model)


def with_quick_kernels(core: Any, model: Any) -> Any:
    """The same model, with a wish at each convolution where the processor makes it worth one."""
    if "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):  # said wherever there is AVX-512
        return model
    import openvino

    try:
        with TemporaryDirectory() as scratch:
            layers, weights = Path(scratch, "model.xml"), Path(scratch, "model.bin")
            openvino.serialize(model, layers, weights)
            return core.read_model(_wishing(layers.read_text("utf-8")).encode(), weights.read_bytes())
    except (OSError, RuntimeError) as error:  # nowhere to write: slower, and as right
        log.warning("OpenVINO runs with the kernels of its own choice: %s", error)
        return model


def _wishing(layers: str) -> str:
    wish = '{}<rt_info><attribute name="primitives_priority" version="0" value="{}"/></rt_info>'
    return _LAYER.sub(lambda layer: wish.format(layer[0], OLDER[layer[1]]), layers)
