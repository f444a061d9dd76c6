"""What the verbs of encoders do: bundles kept, compared, used and made; encoders trained and judged; public data.

As in `verbs.py`, each function is named like its verb. Training and making need the extra `train`; the others do not.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import terminal
from catalog.catalogue import Catalogue
from catalog.errors import CatalogueMissing, ValueRefused
from indexer import registry
from indexer.errors import BundleNotUsed
from indexer.station import open_books
from settings import Settings
from verbs import DONE, settings_for

if TYPE_CHECKING:
    from training.run import Progress

SHOWN = 10  # findings on the screen; all of them are in the JSON


def bundles_list(args: argparse.Namespace) -> int:
    with _books(args) as (settings, catalogue):
        found, unsound = registry.held(settings, catalogue), registry.unsound(settings)
    for name, reason in unsound.items():
        print(f"flukeprint: {name} is no sound bundle: {reason}", file=sys.stderr)
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
    with _books(args) as (settings, catalogue):
        one = registry.find(settings, catalogue, args.bundle)
    if args.json:
        terminal.put_json(one.to_json())
    else:
        bundle = one.bundle
        print(f"{bundle.id}{', in use' if one.in_use else ''}: {bundle.dimension} numbers, {bundle.folder}")
        print(f"input  {json.dumps(bundle.shape.as_json())}")
        for name, value in bundle.training.items():
            print(f"{name}  {value if isinstance(value, str) else json.dumps(value)}")
        print()
        terminal.put_table([(name, _figure(value)) for name, value in registry.figures(bundle).items()], ("figure", "value"))
    return DONE


def bundles_compare(args: argparse.Namespace) -> int:
    with _books(args) as (settings, catalogue):
        found = [registry.find(settings, catalogue, wanted).bundle for wanted in args.bundles]
    figures = [registry.figures(bundle) for bundle in found]
    names = list(dict.fromkeys(name for of in figures for name in of))
    if args.json:
        terminal.put_json(
            {"figures": {name: {b.id: f.get(name) for b, f in zip(found, figures, strict=True)} for name in names}}
        )
    else:
        rows = [(name, *(_figure(of[name]) if name in of else None for of in figures)) for name in names]
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
    catalogue = open_books(settings, create=True)
    try:
        with terminal.Bar("sightings") as bar:
            done = use(settings, catalogue, args.bundle, who=settings.user, on_progress=bar.at)
    finally:
        catalogue.close()
    if args.json:
        terminal.put_json(asdict(done))
    else:
        print(f"{done.bundle_id} is in use: {done.encoded} sightings encoded now, {done.sightings} in all.")
        if done.before:
            print(f"{done.before} is kept; to go back: flukeprint bundles use {done.before}")
    return DONE


def bundles_remove(args: argparse.Namespace) -> int:
    with _books(args) as (settings, catalogue):
        gone = registry.remove(settings, catalogue, args.bundle)
    if args.json:
        terminal.put_json({"id": gone.id, "vectors": gone.encoded})
    else:
        print(f"{gone.id} is removed, and with it {gone.encoded} vectors.")
    return DONE


def bundles_make(args: argparse.Namespace) -> int:
    if (args.timm is None) == (args.run is None):
        raise ValueRefused("Say of what: --timm NAME, or --run DIR of a training run, and not both.")
    with _extra():
        if args.timm is not None:
            from training.borrowed import borrow

            name = args.name or args.timm.replace("/", "-").replace(":", "-")[:48]
            bundle = borrow(
                args.timm,
                args.out,
                name=name,
                version=args.version,
                licence=args.licence,
                checkpoint=args.checkpoint,
                side=args.side,
            )
        else:
            from training.ship import Source, ship

            if args.data is None:
                raise ValueRefused("--run wants --data TABLE, the photos that it was taught, and --images DIR.")
            from training.table import open_table

            bundle = ship(
                args.run,
                args.out,
                table=open_table(args.data),
                images=args.images or args.data.parent,
                name=args.name or args.run.name,
                version=args.version,
                source=Source(args.data_name or args.data.stem, args.licence, args.weights_source, args.notes),
                taught=args.taught,
                sides=args.sides,
                half=args.half,
                sibling=args.sibling,
            )
    if args.json:
        terminal.put_json({"id": bundle.id, "folder": str(args.out), "model_bytes": bundle.model.stat().st_size})
    else:
        print(f"{bundle.id}: {args.out}, {bundle.model.stat().st_size / 1e6:.1f} MB")
    return DONE


def train(args: argparse.Namespace) -> int:
    from training.config import preset, read_config
    from training.table import open_table
    from training.validate import refuse_errors, validate

    config = read_config(args.config, preset(args.preset)) if args.config else preset(args.preset)
    table = open_table(args.data)
    images = args.images or (args.data if args.data.is_dir() else args.data.parent)
    if not args.resume:
        with terminal.Bar("photos looked at") as bar:
            looked = iter(range(1, len(table.rows) + 1))
            found = validate(table, images, tick=lambda: bar.at(next(looked), len(table.rows)))
        for finding in found[:SHOWN]:
            print(f"flukeprint: {finding.severity}: {finding}", file=sys.stderr)
        if len(found) > SHOWN:
            print(f"flukeprint: and {len(found) - SHOWN} more findings", file=sys.stderr)
        refuse_errors(found)
    with _extra(), ExitStack() as open_things:
        from training.tracking import Tracked, is_installed
        from training.train import Report
        from training.train import train as teach

        bar = open_things.enter_context(terminal.Bar("steps"))
        tracked = open_things.enter_context(Tracked(args.out, config.as_json())) if is_installed() else None
        shown = _epochs(bar, len(table.rows), config.batch * config.accumulate)

        def progress(now: Progress) -> None:
            shown(now)
            if tracked is not None:
                tracked.progress(now.step, now.loss, now.photos_per_s)

        def evaluated(step: int, measured: Mapping[str, Any]) -> None:
            _measured(step, measured)
            if tracked is not None:
                tracked.evaluated(step, measured)

        told = Report(progress=progress, evaluated=evaluated)
        made = teach(
            config, table, images, args.out, resume=args.resume, everything=args.everything, begin=args.begin, report=told
        )
    if args.json:
        terminal.put_json({"run": str(args.out), "figures": made})
    else:
        print(f"{args.out} holds the run: config, split, manifest, checkpoint, figures.")
        print(f"To make a bundle of it: flukeprint bundles make --run {args.out} --data {args.data} --out BUNDLE")
    return DONE


def evaluate(args: argparse.Namespace) -> int:
    from encoder.encode import open_encoder
    from indexer.station import DEFAULT_BUNDLE, limits
    from training.judge import judge
    from training.report import write_report
    from training.table import open_table

    settings = settings_for(args)
    folder = args.bundle or settings.bundle or DEFAULT_BUNDLE
    if not folder.is_dir():
        with _books(args) as (_, catalogue):
            folder = registry.find(settings, catalogue, str(folder)).bundle.folder
    gallery, query = open_table(args.gallery), open_table(args.query)
    images = args.images or args.gallery.parent
    encoder = open_encoder(folder, runtime=settings.runtime, streams=settings.streams, limits=limits(settings))
    try:
        with terminal.Bar("photos") as bar:
            rounds = 8 if args.robustness else 1
            all_of = len(gallery.rows) + len(query.rows) * rounds
            done = iter(range(1, 2 * all_of + 2))
            judged = judge(encoder, gallery, query, images, robustness=args.robustness, tick=lambda: bar.at(next(done), all_of))
    finally:
        encoder.close()
    page = write_report(judged, images, args.report) if args.report else None
    if args.json:
        terminal.put_json(judged.figures)
    else:
        made = judged.figures
        print(f"{made['bundle']}: {made['n_query']} queries, {made['n_gallery']} photos in the gallery")
        rows = [("whole gallery", made["n_known"], *(_figure(made[f]) for f in ("top1", "top5", "map")))]
        for name, part in (("own encounter left out", "cross_encounter"), ("own date left out", "cross_date")):
            of = made[part]
            rows.append((name, of["n"], *(_figure(of[f]) for f in ("top1", "top5", "map"))))
        terminal.put_table(rows, ("gallery", "queries", "top-1", "top-5", "mAP"))
        auroc, ece = _figure(made["open_set"]["auroc"]), _figure(made["calibration"]["ece"])
        print(f"Known against new, AUROC: {auroc}; calibration error: {ece}")
        missed = [
            f"{name} {_figure(one['value'])} ({one['target']})" for name, one in made["targets"].items() if one["met"] is False
        ]
        print(f"Targets missed: {', '.join(missed) or 'none'}")
    for one in judged.set_aside[:SHOWN]:
        print(f"flukeprint: {one.row.path} was left out: {one.reason}", file=sys.stderr)
    if page:
        print(f"flukeprint: the report is {page}", file=sys.stderr)
    return DONE


def datasets(args: argparse.Namespace) -> int:
    from training.datasets import DATASETS, fetch

    if args.name is None:
        if args.json:
            terminal.put_json({"datasets": {name: asdict(one) for name, one in DATASETS.items()}})
        else:
            rows = [
                (name, one.photos, one.individuals, one.licence, "yes" if one.downloads else "by hand", one.page)
                for name, one in DATASETS.items()
            ]
            terminal.put_table(rows, ("set", "photos", "individuals", "licence", "fetched here", "page"))
        return DONE
    if args.name not in DATASETS:
        raise ValueRefused(f"There is no set {args.name!r} on the list: {', '.join(DATASETS)}.")
    dataset = DATASETS[args.name]
    files: tuple[Path, ...] = ()
    if args.fetch is not None:
        with terminal.Bar("bytes") as bar:
            files = fetch(dataset, args.fetch, tick=lambda done, whole: bar.at(done, whole or done))
    if args.json:
        terminal.put_json(asdict(dataset) | {"files": [str(file) for file in files]})
    else:
        print(f"{dataset.title}: {dataset.photos} photos of {dataset.individuals} individuals, {dataset.animals}")
        print(f"{dataset.licence}; {dataset.page}")
        print("\n".join([*(f"Fetched and checked: {file}" for file in files), dataset.how]))
    return DONE


def _epochs(bar: terminal.Bar, photos: int, a_step: int) -> Callable[[Progress], None]:
    """The bar at each step, and a line an epoch."""
    last = -1

    def told(now: Progress) -> None:
        nonlocal last
        bar.at(now.step, now.steps, note=f"loss {now.loss:.3f}, {now.photos_per_s:.1f} photos/s")
        epoch = now.step * a_step // photos
        if epoch > last >= 0:
            left = f"{now.left_s / 60:.0f} min left"
            print(f"epoch {epoch}: loss {now.loss:.3f}, {now.photos_per_s:.1f} photos/s, {left}", file=sys.stderr)
        last = epoch

    return told


def _measured(step: int, made: Mapping[str, Any]) -> None:
    for part, of in made.items():
        across = ", ".join(
            f"{name.replace('_', '-')} {_figure(of[name]['top1'])}" for name in ("cross_encounter", "cross_date")
        )
        print(f"step {step}, {part}: top-1 {_figure(of['top1'])}, {across}", file=sys.stderr)


@contextmanager
def _books(args: argparse.Namespace) -> Iterator[tuple[Settings, Catalogue | None]]:
    """The catalogue, where there is one: bundles can be looked at without."""
    settings = settings_for(args)
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
def _extra() -> Iterator[None]:
    """Training's packages are an extra; where they are missing, say how they come."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise BundleNotUsed(f"This needs {error.name}, of the extra `train`: make setup EXTRAS=train") from error


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
