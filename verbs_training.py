"""What the verbs of training do: encoders taught and judged, and the public data for both.

As in `verbs.py`, each function is named like its verb. Teaching needs the extra `train`; the others do not.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import terminal
from arguments import CommandWrong
from catalog.errors import ValueRefused
from encoder.bundle import is_label
from indexer import registry
from settings import Settings
from verbs import DONE, command, settings_for
from verbs_bundles import CHECKPOINT, books_if_any, extra, figure, images_of, refuse_no_run, tell

if TYPE_CHECKING:
    from training.config import Config
    from training.datasets import Fetched
    from training.judge import Judged
    from training.rows import Finding, Table
    from training.run import Progress


def train(args: argparse.Namespace) -> int:
    from training.table import open_table

    if args.begin is not None:
        refuse_no_run("--begin", args.begin)
    elif args.second:
        raise CommandWrong("--second is of the bundle that --begin names: say which one.")
    if not args.resume and (args.out / CHECKPOINT).exists():  # before its findings are written over
        raise ValueRefused(f"{args.out} holds a run already. Go on with it by --resume, or choose another folder.")
    config, everything = _run_settings(args)
    table, images = open_table(args.data), images_of(args.images, args.data)
    found = () if args.resume else _looked_at(table, images, args.out)
    with extra(), ExitStack() as open_things:
        from training.tracking import Tracked, is_installed
        from training.train import Report
        from training.train import train as teach

        bar = open_things.enter_context(terminal.Bar("steps"))
        written = (
            Tracked(args.out, config.as_json(), resume=args.resume, tell=lambda said: tell([said], ""))
            if is_installed()
            else None
        )
        tracked = open_things.enter_context(written) if written is not None else None
        shown = _epochs(bar, config.batch * config.accumulate)

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
            config,
            table,
            images,
            args.out,
            resume=args.resume,
            everything=everything,
            begin=args.begin,
            second=args.second,
            report=told,
        )
    if args.json:
        terminal.put_json({"run": str(args.out), "figures": made, "findings": [asdict(finding) for finding in found]})
    else:
        terminal.say(f"{args.out} holds the run: config, split, manifest, checkpoint, figures.")
        terminal.say(f"To make a bundle of it, put its data's licence for LICENCE: {_making(args, images, everything)}")
    return DONE


def _run_settings(args: argparse.Namespace) -> tuple[Config, bool]:
    """The configuration, and whether nothing is held back: as given, and of a run that is resumed as they were."""
    from training.config import Config, preset, read_config

    everything = args.everything
    if args.resume:
        with extra():
            from training.checkpoint import load_checkpoint

            state = load_checkpoint(args.out)
        everything = everything or state["everything"]
        if args.config is None and args.preset is None:
            return Config.from_json(json.loads(state["config"])), everything
    base = preset(args.preset or "lite0")
    return read_config(args.config, base) if args.config else base, everything


def _looked_at(table: Table, images: Path, out: Path) -> tuple[Finding, ...]:
    """What a person should know of the photos before hours are spent on them; refused where some would poison the run."""
    from training.validate import refuse_errors, save_findings, validate

    with terminal.Bar("photos looked at") as bar:
        looked = iter(range(1, len(table.rows) + 1))
        tomorrow = date.today() + timedelta(days=1)  # somewhere it is that day already
        found = validate(table, images, today=tomorrow, tick=lambda: bar.at(next(looked), len(table.rows)))
    saved = save_findings(found, out / "findings.csv")
    worst_first = sorted(found, key=lambda finding: finding.severity)
    tell([f"{finding.severity}: {finding}" for finding in worst_first], f" findings; all stand in {saved}")
    refuse_errors(found, saved)
    return found


def _making(args: argparse.Namespace, images: Path, everything: bool) -> str:
    """The command that makes a bundle of the run, to paste."""
    words = ["--run", args.out, "--data", args.data, "--images", images, "--licence", "LICENCE", "--out", args.out / "bundle"]
    if not is_label(args.out.name):
        words += ["--name", re.sub(r"[^A-Za-z0-9]+", "-", args.out.name).strip("-")[:48] or "run"]
    if everything:
        words += ["--sibling", "BUNDLE_OF_THE_JUDGED_RUN"]  # what was taught everything has no figures of its own
    return command(args, "bundles", "make", *words)


def evaluate(args: argparse.Namespace) -> int:
    from encoder.encode import open_encoder
    from indexer.station import limits
    from training.judge import judge
    from training.report import write_report

    settings = settings_for(args)
    gallery, query, images = _asked(args)
    if args.report is not None:  # now, and not when all the work is done
        try:
            args.report.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            said = f"--report {args.report} cannot be a folder: {error.strerror}. Name one that is there, or none yet."
            raise ValueRefused(said) from error
    folder = _bundle_folder(args, settings)
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
    left_out = _left_out(gallery, query, judged)
    if args.json:
        terminal.put_json(judged.figures | {"left_out": left_out})
    else:
        _put_figures(judged.figures)
    tell(
        [f"{one['path']} ({one['table']}, line {one['line']}) was left out: {one['reason']}" for one in left_out],
        "; see --json",
    )
    if page:
        terminal.say(f"flukeprint: the report is {page}", stream=sys.stderr)
    return DONE


def _asked(args: argparse.Namespace) -> tuple[Table, Table, Path]:
    """The gallery, the queries, and the one folder that the paths of both begin at."""
    from training.table import open_table

    gallery, query = open_table(args.gallery), open_table(args.query)
    images = images_of(args.images, args.gallery)
    if args.images is None and args.query.is_dir() and args.query.resolve() != images.resolve():
        # Two folders may each hold W1/a.jpg: from a folder above both they are told apart.
        folders = [images.resolve(), args.query.resolve()]
        images = Path(os.path.commonpath(folders))
        gallery, query = (_below(table, f.relative_to(images)) for table, f in zip((gallery, query), folders, strict=True))
    return gallery, query, images


def _below(table: Table, folder: Path) -> Table:
    return replace(table, rows=tuple(replace(row, path=(folder / row.path).as_posix()) for row in table.rows))


def _bundle_folder(args: argparse.Namespace, settings: Settings) -> Path:
    """The bundle that is named, or the one that would answer: the catalogue's own, where there is a catalogue."""
    from indexer.station import bundle_for

    if args.bundle is not None and args.bundle.is_dir():
        named: Path = args.bundle
        return named
    with books_if_any(args) as (_, catalogue):
        if args.bundle is not None:
            return registry.find(settings, catalogue, str(args.bundle)).bundle.folder
        return bundle_for(settings, catalogue).folder


def _left_out(gallery: Table, query: Table, judged: Judged) -> list[dict[str, Any]]:
    """Rows that the tables could not give, and photos that the encoder refused."""
    known = {id(row) for row in gallery.rows}
    unread = [(table.source, f.line, f.path, f.message) for table in (gallery, query) for f in table.findings]
    refused = [
        (gallery.source if id(one.row) in known else query.source, one.row.line, one.row.path, one.reason)
        for one in judged.set_aside
    ]
    return [dict(zip(("table", "line", "path", "reason"), one, strict=True)) for one in (*unread, *refused)]


def _put_figures(made: Mapping[str, Any]) -> None:
    print(f"{made['bundle']}: {made['n_query']} queries, {made['n_gallery']} photos in the gallery")
    rows = [("whole gallery", made["n_known"], *(figure(made[f]) for f in ("top1", "top5", "map")))]
    for name, part in (("own encounter left out", "cross_encounter"), ("own date left out", "cross_date")):
        of = made[part]
        rows.append((name, of["n"], *(figure(of[f]) for f in ("top1", "top5", "map"))))
    terminal.put_table(rows, ("gallery", "queries", "top-1", "top-5", "mAP"))
    auroc, ece = figure(made["open_set"]["auroc"]), figure(made["calibration"]["ece"])
    print(f"Known against new, AUROC: {auroc}; calibration error: {ece}")
    targets: Mapping[str, Mapping[str, Any]] = made["targets"]
    missed = [f"{name} {figure(one['value'])} ({one['target']})" for name, one in targets.items() if one["met"] is False]
    print(f"Targets missed: {', '.join(missed) or 'none of those measured'}")
    unknown = [name for name, one in targets.items() if one["met"] is None]
    damaged, strange = ([n for n in unknown if (n == "largest_drop") is is_drop] for is_drop in (True, False))
    if strange:
        print(
            f"Not measured: {', '.join(strange)}, which take queries of animals that the gallery has, and of others that it "
            "lacks, in one table: the rows of a run's closed.csv and stranger.csv, asked of its train.csv"
        )
    if damaged:
        print(f"Not measured: {', '.join(damaged)}, which takes --robustness")


def datasets(args: argparse.Namespace) -> int:
    from training.datasets import DATASETS, fetch

    if args.name is None:
        if args.fetch is not None:
            raise CommandWrong(f"--fetch wants the name of a set: flukeprint datasets NAME --fetch {args.fetch}")
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
    files: tuple[Fetched, ...] = ()
    if args.fetch is not None:
        with terminal.Bar("bytes") as bar:
            files = fetch(dataset, args.fetch, tick=lambda done, whole: bar.at(done, whole or done))
    if args.json:
        terminal.put_json(asdict(dataset) | {"files": [asdict(one) | {"file": str(one.file)} for one in files]})
    else:
        print(f"{dataset.title}: {dataset.photos} photos of {dataset.individuals} individuals, {dataset.animals}")
        print(f"{dataset.licence}; {dataset.page}")
        for one in files:
            terminal.say(_fetched(one))
        print(dataset.how)
    return DONE


def _fetched(one: Fetched) -> str:
    held = {
        "stated": "which is what its publisher states",
        "kept": "which is what it was when it was first fetched",
        None: "which could not be checked: its publisher states none. It is kept beside the file, to check against next time",
    }
    return f"Fetched: {one.file}, sha256 {one.sha256}, {held[one.against]}"


def _epochs(bar: terminal.Bar, a_step: int) -> Callable[[Progress], None]:
    """The bar at each step, and a line an epoch."""
    last = -1

    def told(now: Progress) -> None:
        nonlocal last
        bar.at(now.step, now.steps, note=f"loss {now.loss:.3f}, {now.photos_per_s:.1f} photos/s")
        epoch = now.step * a_step // now.taught
        if epoch > last >= 0:
            left = f"{now.left_s / 60:.0f} min left"
            print(f"epoch {epoch}: loss {now.loss:.3f}, {now.photos_per_s:.1f} photos/s, {left}", file=sys.stderr)
        last = epoch

    return told


def _measured(step: int, made: Mapping[str, Any]) -> None:
    for part, of in made.items():
        across = ", ".join(f"{name.replace('_', '-')} {figure(of[name]['top1'])}" for name in ("cross_encounter", "cross_date"))
        print(f"step {step}, {part}: top-1 {figure(of['top1'])}, {across}", file=sys.stderr)
