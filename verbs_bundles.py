"""What the verbs of bundles do: kept, compared, used and made. Those that teach and judge stand in `verbs_training.py`.

As in `verbs.py`, each function is named like its verb. Making needs the extra `train`; the others do not.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import terminal
from arguments import CommandWrong
from catalog.catalogue import Catalogue
from catalog.errors import CatalogueMissing, ValueRefused
from encoder.bundle import CONTRACT, LABEL, is_label
from indexer import registry
from indexer.errors import BundleNotUsed
from indexer.station import beginning, open_books
from settings import Settings
from verbs import DONE, settings_for

SHOWN = 10  # findings on the screen
OF_A_RUN = {  # and what they are where they are not said
    "data": None, "taught": 1.0, "sides": [1.0], "first_side": None, "bands": 1, "dimension": None, "half": False,
    "beside": None, "sibling": None,
    "data_name": None, "weights_source": "not stated", "notes": "",
}  # fmt: skip
OF_TIMM = {"checkpoint": None, "side": None}
CHECKPOINT = "checkpoint.pt"  # as `training.checkpoint` names it, which brings torch


def bundles_list(args: argparse.Namespace) -> int:
    with books_if_any(args) as (settings, catalogue):
        found, unsound = registry.held(settings, catalogue), registry.unsound(settings)
    for name, reason in unsound.items():
        terminal.say(f"flukeprint: {name} is no sound bundle: {reason}", stream=sys.stderr)
    if args.json:
        terminal.put_json({"bundles": [one.to_json() for one in found], "unsound": unsound})
    else:
        rows = []
        for one in found:
            size = f"{one.bundle.model.stat().st_size / 1e6:.0f} MB"
            rows.append(("*" if one.in_use else "", one.bundle.id, one.bundle.dimension, size, one.encoded))
        terminal.put_table(rows, ("in use", "bundle", "dimension", "model", "sightings encoded"))
    return DONE


def bundles_show(args: argparse.Namespace) -> int:
    with books_if_any(args) as (settings, catalogue):
        one = registry.find(settings, catalogue, args.bundle)
    if args.json:
        terminal.put_json(one.to_json())
    else:
        bundle = one.bundle
        terminal.say(f"{bundle.id}{', in use' if one.in_use else ''}: {bundle.dimension} numbers, {bundle.folder}")
        print(f"input  {json.dumps(bundle.shape.as_json())}")
        for name, value in bundle.training.items():
            terminal.say(f"{name}  {value if isinstance(value, str) else json.dumps(value)}")
        print()
        terminal.put_table([(name, figure(value)) for name, value in registry.figures(bundle).items()], ("figure", "value"))
    return DONE


def bundles_compare(args: argparse.Namespace) -> int:
    with books_if_any(args) as (settings, catalogue):
        found = [registry.find(settings, catalogue, wanted).bundle for wanted in args.bundles]
    figures = [registry.figures(bundle) for bundle in found]
    names = list(dict.fromkeys(name for of in figures for name in of))
    if args.json:
        terminal.put_json(
            {"figures": {name: {b.id: f.get(name) for b, f in zip(found, figures, strict=True)} for name in names}}
        )
    else:
        rows = [(name, *(figure(of[name]) if name in of else None for of in figures)) for name in names]
        terminal.put_table(rows, ("figure", *(bundle.id for bundle in found)))
        print("\nFigures compare only where they were measured alike: see `bundles show` for how each was.")
    return DONE


def bundles_add(args: argparse.Namespace) -> int:
    added = registry.add(settings_for(args), args.folder)
    bundle = added.bundle
    if args.json:
        terminal.put_json({"id": bundle.id, "folder": str(bundle.folder), "replaced": added.replaced})
    else:
        instead = f", in place of {added.replaced}" if added.replaced else ""
        print(f"{bundle.id} is added{instead}. To encode the catalogue with it: flukeprint bundles use {bundle.id}")
    return DONE


def bundles_use(args: argparse.Namespace) -> int:
    from indexer.reembed import use

    settings = settings_for(args)
    with beginning(settings), open_books(settings, create=True) as catalogue, terminal.Bar("sightings") as bar:
        done = use(settings, catalogue, args.bundle, who=settings.user, on_progress=bar.at)
    if args.json:
        terminal.put_json(asdict(done))
    else:
        print(f"{done.bundle_id} is in use: {done.encoded} sightings encoded now, {done.sightings} in all.")
        if done.before:
            print(f"{done.before} is kept; to go back: flukeprint bundles use {done.before}")
    return DONE


def bundles_remove(args: argparse.Namespace) -> int:
    with books_if_any(args) as (settings, catalogue):
        gone = registry.remove(settings, catalogue, args.bundle)
    if args.json:
        terminal.put_json({"id": gone.id, "vectors": gone.encoded})
    else:
        print(f"{gone.id} is removed, and with it {gone.encoded} vectors.")
    return DONE


def bundles_make(args: argparse.Namespace) -> int:
    if (args.timm is None) == (args.run is None):
        raise CommandWrong("Say of what: --timm NAME, or --run DIR of a training run, and not both.")
    name = args.name or (args.timm.replace("/", "-").replace(":", "-")[:48] if args.timm is not None else args.run.name)
    for flag, given in (("--name", name), ("--version", args.version)):  # before the minutes that making takes
        if not is_label(given):
            raise ValueRefused(f"{flag} {given!r} cannot be a bundle's: expected {LABEL}. Say another with {flag}.")
    refuse_unheard(args)
    if args.run is not None:
        refuse_no_run("--run", args.run)
    if args.beside is not None:
        refuse_no_run("--beside", args.beside)
    if args.out.exists() and not (args.out.is_dir() and not any(args.out.iterdir())):
        raise ValueRefused(
            f"--out {args.out} is there already, and nothing is written over. Choose a folder that is not, or remove it."
        )
    with extra():
        if args.timm is not None:
            from training.borrowed import borrow

            bundle = borrow(
                args.timm,
                args.out,
                name=name,
                version=args.version,
                licence=args.licence,
                checkpoint=args.checkpoint,
                side=args.side,
                images=args.images,
            )
        else:
            from training.ship import Making, Source, ship

            if args.data is None:
                raise CommandWrong("--run wants --data TABLE, the photos that it was taught, and --images DIR.")
            from training.table import open_table

            table = open_table(args.data)
            tell([f"{finding.severity}: {finding}" for finding in table.findings])
            bundle = ship(
                args.run,
                args.out,
                table=table,
                images=images_of(args.images, args.data),
                name=name,
                version=args.version,
                source=Source(args.data_name or args.data.stem, args.licence, args.weights_source, args.notes),
                making=Making(args.taught, tuple(args.sides), args.first_side, args.bands, args.dimension, args.half),
                beside=args.beside,
                sibling=args.sibling,
            )
    if args.json:
        terminal.put_json({"id": bundle.id, "folder": str(args.out), "model_bytes": bundle.model.stat().st_size})
    else:
        terminal.say(f"{bundle.id}: {args.out}, {bundle.model.stat().st_size / 1e6:.1f} MB")
    return DONE


def refuse_unheard(args: argparse.Namespace) -> None:
    """What belongs to the other way of making is told, and not passed over."""
    here, there = ("--timm", OF_A_RUN) if args.timm is not None else ("--run", OF_TIMM)
    for name, unset in there.items():
        if getattr(args, name) != unset:
            raise CommandWrong(f"--{name.replace('_', '-')} says nothing beside {here}. Leave it out.")


# What the verbs of bundles and of training share.


def images_of(given: Path | None, table: Path) -> Path:
    """Where the table's paths begin, if it is not said: beside it, or in the folder that is the table."""
    return given or (table if table.is_dir() else table.parent)


def refuse_no_run(flag: str, folder: Path) -> None:
    if not any((folder / name).is_file() for name in (CHECKPOINT, CONTRACT)):
        raise ValueRefused(
            f"{flag} {folder} holds no run: expected a folder that `flukeprint train` has made, with {CHECKPOINT} in it, or a "
            "bundle of one. Check the path."
        )


def tell(said: Sequence[str], rest: str = "") -> None:
    """The first few on stderr, how many more there are, and where they can be read."""
    for line in said[:SHOWN]:
        terminal.say(f"flukeprint: {line}", stream=sys.stderr)
    if len(said) > SHOWN:
        terminal.say(f"flukeprint: and {len(said) - SHOWN} more{rest}", stream=sys.stderr)


@contextmanager
def books_if_any(args: argparse.Namespace, settings: Settings | None = None) -> Iterator[tuple[Settings, Catalogue | None]]:
    """The catalogue, where there is one: bundles can be looked at without."""
    settings = settings or settings_for(args)
    try:
        catalogue: Catalogue | None = open_books(settings)
    except CatalogueMissing:
        catalogue = None
    try:
        yield settings, catalogue
    finally:
        if catalogue is not None:
            catalogue.close()


@contextmanager
def extra() -> Iterator[None]:
    """Training's packages are an extra; where they are missing, say how they come."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name == "training":  # the room itself, in an image: `cli.py` says so
            raise
        raise BundleNotUsed(f"This needs {error.name}, of the extra `train`: make setup EXTRAS=train") from error


def figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
