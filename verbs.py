"""What each verb of the command line does: read the arguments, call the room that does it, show the answer.

Each function is named like its verb, takes the parsed arguments and gives the exit code.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import terminal
from arguments import CommandWrong
from catalog.catalogue import Catalogue
from catalog.errors import ValueRefused
from catalog.names import clean_label, clean_place, shown
from catalog.values import Sighting
from encoder.errors import PhotoRefused
from encoder.values import Box
from indexer.commands import to_paste
from indexer.given import bound, crop
from indexer.species import lacking
from indexer.station import beginning, open_books, open_station
from settings import Settings, read_settings
from vector_db.port import Filter, Place, Radius

DONE, REFUSED = 0, 1
NAMED = 5  # rows and photos that are told on the screen


def identify(args: argparse.Namespace) -> int:
    from indexer.asking import identify_and_keep, query_photo
    from matching.identify import Options

    settings = settings_for(args)
    options = Options(top=args.top, max_false_match=args.max_false_match, where=filter_of(args))
    boxes = boxes_of(args, len(args.photos))
    with open_station(settings, create=False) as station, naming(args.photos[0]):  # it is the first that is told of
        photos = [query_photo(station, Path(path), box) for path, box in zip(args.photos, boxes, strict=True)]
        answer = identify_and_keep(station, photos, options, who=settings.user, second_opinion=args.second_opinion)
        lacks = None if answer.candidates else lacking(station.catalogue, options.where.species)
    if args.json:
        terminal.put_json(answer.to_json())
    else:
        terminal.put_answer(answer)
    say_lacking(lacks)
    return DONE


def similar(args: argparse.Namespace) -> int:
    from indexer.asking import similar_to_photo, similar_to_sighting

    if (args.photo is None) == (args.sighting is None):
        raise CommandWrong("Say what to compare: a photo, or --sighting ID, and not both.")
    if args.sighting is not None and args.box:
        raise CommandWrong("A --box is of a photo; a sighting was cut out when it was enrolled. Leave one of them out.")
    where, boxes = filter_of(args), boxes_of(args, 1)
    with open_station(settings_for(args), create=False) as station:
        if args.sighting is not None:
            found = similar_to_sighting(station, args.sighting, top=args.top, where=where)
        else:
            with naming(args.photo):
                found = similar_to_photo(station, Path(args.photo), boxes[0], top=args.top, where=where)
        lacks = None if found else lacking(station.catalogue, where.species) or "No sighting is as you asked for."
    if args.json:
        terminal.put_json({"similar": [{"rank": rank} | asdict(one) for rank, one in enumerate(found, start=1)]})
    else:
        rows = [(rank, f"{s.score:.3f}", s.sighting_id, s.name, s.species, s.photo) for rank, s in enumerate(found, start=1)]
        terminal.put_table(rows, ("rank", "cosine", "sighting", "individual", "species", "photo"))
    say_lacking(lacks)
    return DONE


def enrol(args: argparse.Namespace) -> int:
    from indexer.alike import looks_like
    from indexer.enrol import enrol as enrol_photos
    from indexer.given import given
    from indexer.sightings import Source

    settings = settings_for(args)
    boxes_of(args, len(args.photos))
    sources = [
        Source(
            name=Path(path).name,
            given=given(
                species=args.species,
                encounter=args.encounter,
                taken_on=args.date,
                lat=args.lat,
                lon=args.lon,
                viewpoint=args.viewpoint,
                box=box,
            ),
            path=Path(path),
        )
        for path, box in zip(args.photos, args.box or [None] * len(args.photos), strict=True)
    ]
    with beginning(settings) as refused_all:
        with open_station(settings) as station:
            done = enrol_photos(station, args.name, sources, who=settings.user)
            alike = looks_like(station, done)
        if all(photo.state == "refused" for photo in done.photos):
            refused_all()
    if args.json:
        terminal.put_json(asdict(done) | {"looks_like": asdict(alike) if alike is not None else None})
    else:
        for photo in done.photos:
            if photo.state != "refused":
                became = "enrolled as" if photo.state == "enrolled" else "is already"
                unlike = f"; {photo.reason}" if photo.reason else ""
                terminal.say(f"{photo.photo}: {became} sighting {photo.sighting_id}{unlike}")
        if any(photo.state == "already" and photo.reason for photo in done.photos):
            print(set_right(args))
        if done.event_id is not None:
            new = "New individual" if done.created else "Individual"
            undo = f"to take it back: {command(args, 'undo', done.event_id)}"
            print(f'{new} {done.individual_id}, "{done.name}" (event {done.event_id}; {undo})')
    if alike is not None:
        merge = command(args, "merge", alike.individual_id, done.individual_id)
        looks = f"looks like {shown(alike.name)} (individual {alike.individual_id}), right with {alike.probability:.0%}"
        terminal.say(f"flukeprint: {shown(done.name)} {looks}. If it is that animal: {merge}", stream=sys.stderr)
    refused = [photo for photo in done.photos if photo.state == "refused"]
    for photo in refused:
        reason = str(photo.reason)
        said = reason if photo.photo in reason else f"{photo.photo}: {reason}"
        terminal.say(f"flukeprint: {said}", stream=sys.stderr)
    return REFUSED if refused else DONE


def import_(args: argparse.Namespace) -> int:
    from indexer.aside import put_aside, refuse_source
    from indexer.bulk import Progressed, import_rows
    from indexer.headings import may_be_called

    settings = settings_for(args)
    if args.images is not None and args.source.is_dir():
        raise CommandWrong(
            f"--images is for a table, and {args.source} is a folder, whose own photos are imported. Leave --images out, or "
            "give the CSV table that names the photos."
        )
    if args.set_aside is not None:
        refuse_source(args.source, args.set_aside)
    with (
        beginning(settings),
        open_station(settings, streams=settings.streams) as station,
        terminal.Bar("photos") as bar,
    ):

        def progress(now: Progressed) -> None:
            bar.at(now.done, now.total, note=f"{now.set_aside} set aside" if now.set_aside else "")

        done = import_rows(station, args.source, images=args.images, who=settings.user, on_progress=progress)
        wanted = args.set_aside or settings.data_dir / "set-aside" / f"import-{done.import_id}.csv"
        try:
            csv, failed = put_aside(station, done.import_id, wanted, done.separator), None
        except OSError as error:  # what was enrolled is told all the same
            csv, failed = None, error
    if args.json:
        terminal.put_json(asdict(done) | {"set_aside_csv": csv and str(csv)})
    else:
        rate = f", {done.enrolled / done.seconds:.1f} a second" if done.enrolled else ""
        aside = f"{done.set_aside} set aside" + (f", {done.repeated} repeated" if done.repeated else "")
        print(f"{done.rows} rows: {done.enrolled} enrolled{rate}, {done.already} known already, {aside}.")
        if done.put_back:
            print(f"Photos that were lost and are there again: {done.put_back}.")
        print(f"The catalogue now has {done.individuals} individuals.")
        if done.enrolled:
            print(f"To take this import back: {command(args, 'undo', '--import', done.import_id)}")
    if done.columns_left_out:
        lacking = f" Of what none says: {may_be_called(done.columns_lacking)}." if done.columns_lacking else ""
        said = f"flukeprint: Columns that were not read: {', '.join(done.columns_left_out)}.{lacking}"
        terminal.say(said, stream=sys.stderr)
    if str(done.left_out):
        terminal.say(f"flukeprint: Left out of {args.source}: {done.left_out}.", stream=sys.stderr)
    for one in done.unlike[:NAMED]:
        said = f"flukeprint: {one.photo} is already sighting {one.sighting_id}; {one.reason}"
        terminal.say(said, stream=sys.stderr)
    if done.unlike:
        more = f"{len(done.unlike) - NAMED} more rows are told with --json. " if len(done.unlike) > NAMED else ""
        print(f"flukeprint: {more}{set_right(args)}", file=sys.stderr)
    _say_set_aside(args, done.set_aside, csv, wanted, failed)
    if done.not_laid_out is not None:
        terminal.say(f"flukeprint: {done.not_laid_out}", stream=sys.stderr)
    return REFUSED if done.set_aside else DONE


def _say_set_aside(args: argparse.Namespace, rows: int, csv: Path | None, wanted: Path, failed: OSError | None) -> None:
    """Where they are to be mended."""
    if failed is not None:
        said = f"flukeprint: the rows set aside could not be written to {wanted}: {failed.strerror}. What was enrolled stays; "
        terminal.say(f"{said}for the others run the same import again with another --set-aside.", stream=sys.stderr)
    if csv is not None:
        root = args.images or (args.source if args.source.is_dir() else args.source.parent)
        mended = command(args, "import", csv, "--images", root)
        kept = "" if csv == wanted else f" ({wanted} was changed since it was written, and stays as it is)"
        said = f"flukeprint: rows set aside: {rows}; mend them in {csv}{kept}, then: {mended}"
        terminal.say(said, stream=sys.stderr)


def individuals(args: argparse.Namespace) -> int:
    species = clean_label(args.species, "species")
    with books(args) as (catalogue, _):
        found = catalogue.individuals(args.search, species)
        lacks = None if found else lacking(catalogue, species) or "No individual is as you asked for."
    if args.json:
        terminal.put_json({"individuals": [asdict(one) for one in found]})
    else:
        rows = [(one.id, one.name, one.species, one.sightings, one.encounters) for one in found]
        terminal.put_table(rows, ("id", "name", "species", "sightings", "encounters"))
    say_lacking(lacks)
    return DONE


def show(args: argparse.Namespace) -> int:
    with books(args) as (catalogue, _):
        individual = catalogue.find_individual(args.individual)
        sightings = catalogue.sightings_of(individual.id)
        summary = catalogue.individual_summary(individual.id)
    if args.json:
        terminal.put_json(asdict(summary) | {"sightings": [sighting_json(one) for one in sightings]})
    else:
        print(f'Individual {individual.id}, "{individual.name}"' + (f", {individual.species}" if individual.species else ""))
        rows = [(one.id, one.taken_on, one.encounter, one.viewpoint, place_text(one), one.photo) for one in sightings]
        terminal.put_table(rows, ("sighting", "date", "encounter", "viewpoint", "place", "photo"))
    return DONE


def second_opinion(args: argparse.Namespace) -> int:
    with open_station(settings_for(args), create=False) as station, terminal.Bar("occasions") as bar:
        opinion = station.measure_opinion(bar.at)
    if args.json:
        terminal.put_json(opinion.to_json())
    else:
        print(f"{opinion.reason[0].upper()}{opinion.reason[1:]}.")
        print("It is followed from now on." if opinion.earned else "It is not followed here.")
    return DONE


def reindex(args: argparse.Namespace) -> int:
    from indexer.reconcile import rebuild

    with open_station(settings_for(args), create=False) as station, terminal.Bar("points") as bar:
        count = rebuild(station.index, station.catalogue, station.bundle_id, on_progress=bar.at)
    if args.json:
        terminal.put_json({"points": count})
    else:
        print(f"The index holds {count} points, made anew from the catalogue.")
    return DONE


def doctor(args: argparse.Namespace) -> int:
    from indexer.doctor import examine, is_well

    findings = examine(settings_for(args), deep=args.deep)
    if args.json:
        terminal.put_json({"well": is_well(findings), "findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            terminal.say(f"{finding.level:5}  {finding.subject}: {finding.found}")
            if finding.do:
                terminal.say(f"       → {finding.do}")
        print("All is well." if is_well(findings) else "Not all is well: see what is marked wrong.")
    return DONE if is_well(findings) else REFUSED


def backup(args: argparse.Namespace) -> int:
    from indexer.backup import back_up

    with terminal.Bar("files") as bar:
        done = back_up(settings_for(args), args.file, photos=not args.no_photos, on_progress=bar.at)
    size = args.file.stat().st_size
    if args.json:
        flaws = {"missing_photos": done.missing, "photos_left_out": done.left_out, "damaged_bundle": done.bundle_flaw}
        terminal.put_json(asdict(done.manifest) | {"file": str(args.file), "bytes": size} | flaws)
    else:
        left_out = "" if done.manifest.photos else ", without the photos"
        terminal.say(f"{args.file}: {size / 1e6:.1f} MB{left_out}.")
        if done.left_out:
            said = f"Not in it are photos that this catalogue was restored without: {done.left_out}. "
            terminal.say(said + "They are in the next backup once they are imported or enrolled again from where they came.")
    if done.missing:
        some = ", ".join(done.missing[:NAMED]) + (" and others" if len(done.missing) > NAMED else "")
        said = f"flukeprint: gone or cut short, here and in {args.file}, photos: {len(done.missing)} ({some}). "
        terminal.say(said + f"What to do about it: {command(args, 'doctor')}", stream=sys.stderr)
    if done.bundle_flaw is not None:
        mended = command(args, "bundles", "add", "FOLDER")
        said = f"flukeprint: The bundle in {args.file} is damaged: {done.bundle_flaw} With a sound original: {mended}"
        terminal.say(said, stream=sys.stderr)
    return REFUSED if done.missing or done.bundle_flaw else DONE


def restore(args: argparse.Namespace) -> int:
    from indexer.backup import restore as restore_file
    from indexer.tending import lay_out

    settings = settings_for(args)
    with terminal.Bar("files") as bar:
        restore_file(settings, args.file, on_progress=bar.at)
    own = settings.model_copy(update={"bundle": None})  # a backup brings its bundle, whatever FLUKEPRINT_BUNDLE says
    with open_station(own) as station:  # makes the index, and shows that it opens
        counts = station.catalogue.counts()
        not_laid_out = lay_out(station.index)
    if args.json:
        terminal.put_json(
            {"data_dir": str(settings.data_dir), "individuals": counts.individuals, "sightings": counts.sightings}
        )
    else:
        terminal.say(f"{settings.data_dir}: {counts.individuals} individuals, {counts.sightings} sightings, ready.")
    if not_laid_out is not None:
        terminal.say(f"flukeprint: {not_laid_out}", stream=sys.stderr)
    return DONE


# What verbs share: reading arguments, and how rows look as JSON.


def settings_for(args: argparse.Namespace) -> Settings:
    return read_settings(data_dir=args.data_dir)


def say_lacking(said: str | None) -> None:
    """Why nothing stands in the answer."""
    if said is not None:
        terminal.say(f"flukeprint: {said}", stream=sys.stderr)


@contextmanager
def naming(photo: str) -> Iterator[None]:
    """A refusal of this photo says so."""
    try:
        yield
    except PhotoRefused as refusal:
        if photo in str(refusal):
            raise
        raise type(refusal)(f"{photo}: {refusal}") from refusal


def command(args: argparse.Namespace, *words: object) -> str:
    """A command to paste, on the data folder that this one was told."""
    return to_paste(read_settings(tuned=False, data_dir=args.data_dir), *words)


def set_right(args: argparse.Namespace) -> str:
    return f"To set it right: {command(args, 'amend', 'SIGHTING')}, or {command(args, 'species', 'ID', 'SPECIES')}"


@contextmanager
def books(args: argparse.Namespace) -> Iterator[tuple[Catalogue, str]]:
    """The catalogue alone and who is asking: works beside a process that holds the index."""
    settings = settings_for(args)
    catalogue = open_books(settings)
    try:
        yield catalogue, settings.user
    finally:
        catalogue.close()


def filter_of(args: argparse.Namespace) -> Filter:
    near = None
    if args.near is not None:
        parts = args.near.split(",")
        if len(parts) != 3:
            raise ValueRefused(f'--near "{args.near}" is not LATITUDE,LONGITUDE,KILOMETRES, like 64.1,-21.9,50.')
        lat, lon = clean_place(parts[0], parts[1])
        try:
            km = float(parts[2])
        except ValueError:
            km = -1.0
        if lat is None or lon is None or not 0 < km < 20_100:
            raise ValueRefused(f'--near "{args.near}" wants a place and more than 0 kilometres, like 64.1,-21.9,50.')
        near = Radius(Place(lat, lon), km)
    after, before = bound(args.after), bound(args.before)
    if after and before and after > before:
        raise ValueRefused(f"--after {after} is later than --before {before}: nothing lies between them.")
    return Filter(clean_label(args.species, "species"), clean_label(args.viewpoint, "viewpoint"), after, before, near)


def boxes_of(args: argparse.Namespace, photos: int) -> list[Box | None]:
    if args.box is None:
        return [None] * photos
    if len(args.box) != photos:
        raise CommandWrong(
            f"{len(args.box)} boxes for {photos} photos: give one --box for each, in their order, or - for none."
        )
    return [crop(text) for text in args.box]


def sighting_json(one: Sighting) -> dict[str, object]:
    return asdict(one) | {"taken_on": one.taken_on and str(one.taken_on), "taken_at": one.taken_at and one.taken_at.isoformat()}


def place_text(one: Sighting) -> str | None:
    return None if one.lat is None or one.lon is None else f"{one.lat:.4f}, {one.lon:.4f}"
