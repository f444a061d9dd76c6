"""The words beside a bundle: `MODEL_CARD.md` for who chooses one, `model_contract.yaml` for who runs it without Flukeprint.

Both are made of the contract alone, never by hand, so they cannot say what was not measured, and can be written again:

    python -m training.card bundles/beluga-lite0
"""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from encoder.bundle import CONTRACT, Bundle, load_bundle

CARD, YAML = "MODEL_CARD.md", "model_contract.yaml"
MEANINGS = {
    "closed": "one photo in five of animals that it was taught, at random: flattering, most have a near-copy in the gallery",
    "occasion": "the last occasion of one taught animal in five that has several, which neither encoder nor gallery has seen",
    "stranger": "animals that it was never taught, against all others",
    "elsewhere": "the same in a catalogue of their own, without one in three of them, who count as new",
}


def write_words(bundle: Bundle) -> None:
    (bundle.folder / CARD).write_text(card(bundle), "utf-8")
    (bundle.folder / YAML).write_text(contract(bundle), "utf-8")


def card(bundle: Bundle) -> str:
    made = bundle.training
    notes = f"\n{made['notes']}" if made.get("notes") else ""
    digest = f" SHA-256 of the whole: `{made['data_sha256']}`." if "data_sha256" in made else ""
    return f"""# {bundle.name} {bundle.version}

Turns a photo of one animal into {bundle.dimension} numbers; photos of the same animal lie close to one another.
{_origin(made)}{notes}

## Use
To rank the individuals of a catalogue for a person to confirm. The input is one animal, cropped; how it is scaled stands in
`{CONTRACT}` and is done by the encoder that reads it.

## Limits
{_limits(made)}
Not for decisions that nobody checks.

## Data
{made.get("data", "Not known here")}, {made.get("licence", "licence not known")}.{digest}

## Figures
{_figures(bundle)}

## To repeat them
{_repeat(bundle)}
"""


def _origin(made: Mapping[str, Any]) -> str:
    if "config" in made:
        config = made["config"]
        return (
            f"Backbone {config['backbone']}, first weights: {made['first_weights']}. "
            f"Taught with {config['loss']} on {made['photos']} photos."
        )
    if "timm" in made:
        return f"Somebody else's encoder as it is: timm's `{made['timm']}`, {_weights(made)}. Nothing was taught here."
    parts = [f"{name.capitalize()}: {made[name]}." for name in ("backbone", "pooling", "projection") if name in made]
    return "\n".join(parts) or "How it was made is not known here."


def _weights(made: Mapping[str, Any]) -> str:
    """Where they came from, and what cannot be kept of how their makers prepared photos."""
    if made["checkpoint"] == "hub":
        place = f" (`{made['hub']}`, SHA-256 of the tensors `{made['tensors_sha256']}`)" if "hub" in made else ""
        said = f"weights from timm's hub{place}"
    else:
        digest = f" (SHA-256 `{made['checkpoint_sha256']}`)" if "checkpoint_sha256" in made else ""
        said = f"weights from the file `{made['checkpoint']}`{digest}"
    if "prepared" not in made:
        return said
    prepared = made["prepared"]
    return (
        f"{said}.\nSize and normalisation are as {prepared['by']} has them. Its makers scaled photos by "
        f"{prepared['interpolation']} interpolation and kept\nthe middle {prepared['crop_pct']:.0%}; "
        "here areas are averaged, and photos kept whole"
    )


def _limits(made: Mapping[str, Any]) -> str:
    if "projection_data" in made:
        return "The network was taught no animals, only its last step was fitted on some: calibrate on your own catalogue."
    if "config" not in made:
        return "Nobody measured it here: measure it on your own animals first, and calibrate on your own catalogue."
    return (
        f"It was taught {made['data']} and nothing else: on other animals expect less, and calibrate on your own catalogue. "
        "A photo's\nlight, water and date help it more than they should: judge it by the columns that leave the own encounter "
        "and occasion out."
    )


def _figures(bundle: Bundle) -> str:
    metrics = bundle.metrics
    said = []
    if any(part in metrics for part in MEANINGS):
        seed = bundle.training.get("split_seed")
        said += [f"Of {metrics['of']}; split seed {seed}. Ninety-five per cent intervals stand in `{CONTRACT}`."]
        said += [_table(metrics)]
        if bundle.training.get("config", {}).get("patience"):
            said += ["The run was stopped where these same figures were best, which flatters them."]
    elif "how" in metrics:
        said += [f"By {metrics['how']}."]
        said += [
            f"- {name}: " + ", ".join(f"{figure} {value:.4g}" for figure, value in of.items())
            for name, of in metrics.items()
            if isinstance(of, dict) and name != "runtimes"
        ]
    else:
        measure = f"flukeprint evaluate --bundle {bundle.name} --gallery TABLE --query TABLE --images DIR"
        said += [f"Not measured. To measure it on photos of named animals:\n\n    {measure}"]
    if "runtimes" in metrics:
        held = metrics["runtimes"]
        worst = ", ".join(f"{name} {value:.1e}" for name, value in held["largest_difference"].items())
        on = f"on {held['photos']} photos and {held['drawn']} drawn patterns"
        on = on if held["photos"] else f"on {held['drawn']} drawn patterns and on no photo"
        said += [f"Vectors differ from torch's, {on}, by at most: {worst}."]
    return "\n\n".join(said)


def _table(metrics: Mapping[str, Any]) -> str:
    lines = [
        f"| {head} |"
        for head in (
            "asked | queries | top-1 | own encounter left out | own photos of the occasion left out | AUROC",
            "|".join("-" * 6),
        )
    ]
    for part, meaning in MEANINGS.items():
        made = metrics.get(part)
        if made:
            figures = [made["top1"], made["cross_encounter"]["top1"], made["cross_occasion"]["top1"], made["auroc"]]
            shown = " | ".join("–" if value is None else f"{value:.3f}" for value in figures)
            lines.append(f"| {part}: {meaning} | {made['n']} | {shown} |")
    return "\n".join(lines)


def _repeat(bundle: Bundle) -> str:
    made = bundle.training
    named = ["--name", bundle.name, "--version", bundle.version, "--licence", made.get("licence", "LICENCE"), "--out", "DIR"]
    if "config" in made:
        return _repeat_run(bundle, named)
    if "timm" in made:
        file = [] if made["checkpoint"] == "hub" else ["--checkpoint", made["checkpoint"]]
        side = ["--side", str(bundle.shape.width)] if bundle.shape.rule == "square" else []
        return "    " + shlex.join(["flukeprint", "bundles", "make", "--timm", made["timm"], *file, *side, *named])
    if "projection_data" in made:
        tables = [f"{kind['name'].upper()}/TABLE.csv" for kind in made["projection_data"]]
        lines = shlex.join(["python", "-m", "training.starter", "DIR", *tables])
        return f"    {lines}\n\n`training/starter.py` says how the drawn table is made."
    return "How it was made is not known here."


def _repeat_run(bundle: Bundle, named: list[str]) -> str:
    """The runs, each beginning with the one before it, and the making of the bundle, which measures it as it ships."""
    made = bundle.training
    data = ["--data", "TABLE", "--images", "DIR"]
    lines, files = _repeat_teaching(made, "RUN", "training")
    run = lines[-1][lines[-1].index("--out") + 1]
    mixed = []
    if "beside" in made:
        more, its_files = _repeat_teaching(made["beside"], "BESIDE", "training.beside")
        lines, files = [*lines, *more], [*files, *its_files]
        mixed += ["--beside", more[-1][more[-1].index("--out") + 1]]
    sides = [f"{side:g}" for side in made["sides"]]
    mixed += [] if made["taught_share"] == 1 else ["--taught", f"{made['taught_share']:g}"]
    mixed += [] if sides == ["1"] else ["--sides", *sides]
    mixed += ["--first-side", f"{made['first_side']:g}"] if "first_side" in made else []
    mixed += ["--bands", str(made["bands"])] if "bands" in made else []
    mixed += ["--dimension", str(made["discriminant_dimension"])] if "discriminant_dimension" in made else []
    mixed += ["--half"] if made.get("half") else []
    of = str(bundle.metrics.get("of", ""))
    sibling = ["--sibling", of.split(",", maxsplit=1)[0]] if ", a sibling " in of else []
    said = ["--data-name", made["data"], "--weights-source", made["first_weights"]]
    said += ["--notes", made["notes"]] if made.get("notes") else []
    lines.append(["flukeprint", "bundles", "make", "--run", run, *data, *mixed, *sibling, *said, *named])
    block = "\n".join("    " + shlex.join(line) for line in lines)
    ends = (
        "the figures and the calibration are those of the sibling, whose folder `--sibling` names"
        if sibling
        else ("`bundles make` measures the encoder as it ships, and its figures stand above, not those that `train` prints")
    )
    if "encoder_of" in made:
        ends += f"; the encoder was taken out of {made['encoder_of']}, which `--run` may name in place of `{run}`"
    return f"{block}\n\nOf `{CONTRACT}`, {', '.join(files)}; {ends}."


def contract(bundle: Bundle) -> str:
    """YAML for those who run the model without Flukeprint. Every value is JSON, which YAML contains."""
    given = {
        "name": bundle.name,
        "version": bundle.version,
        "model_sha256": bundle.model_sha256,
        "input": {
            "name": "pixels",
            "shape": ["n", 3, "height", "width"],
            "type": "float32",
            "rule": bundle.shape.as_json(),
            "normalisation": {"formula": "(rgb / 255 - mean) / std", "mean": list(bundle.mean), "std": list(bundle.std)},
        },
        "outputs": [
            {"name": "vector", "shape": ["n", bundle.dimension], "type": "float32", "meaning": "unit norm; compare by cosine"},
            {"name": "norm", "shape": ["n"], "type": "float32", "meaning": "before normalisation"},
        ],
        "examples": [
            {"input": f"golden_photo({g.photo})", "vector_begins": list(g.vector[:8]), "norm": g.norm} for g in bundle.golden
        ],
    }
    return "".join(f"{name}: {json.dumps(value)}\n" for name, value in given.items())


def main() -> None:
    asked = argparse.ArgumentParser(prog="python -m training.card", description=(__doc__ or "").split("\n")[0])
    asked.add_argument("bundles", type=Path, nargs="+", help="folders of bundles, whose card and contract are written anew")
    for folder in asked.parse_args().bundles:
        write_words(load_bundle(folder))


if __name__ == "__main__":
    main()


def _repeat_teaching(made: Mapping[str, Any], name: str, where: str) -> tuple[list[list[str]], list[str]]:
    """A command for each run, and where in the contract its configuration is."""
    runs = [*made.get("before", []), {"config": made["config"], "everything": made.get("everything", False)}]
    lines, files = [], []
    for number, run in enumerate(runs, 1):
        begin = ["--begin", f"{name}-{number - 1}"] if number > 1 else []
        all_of_it = ["--everything"] if run["everything"] else []
        config = f"config-{number}.json" if name == "RUN" else f"beside-{number}.json"
        taught = ["flukeprint", "train", "--data", "TABLE", "--images", "DIR"]
        lines.append([*taught, "--out", f"{name}-{number}", "--config", config, *begin, *all_of_it])
        files.append(f"`{config}` is `{where}.{'config' if number == len(runs) else f'before[{number - 1}].config'}`")
    return lines, files
