"""What the verbs that correct the catalogue do, and the log of what they did. Each is one event that `undo` takes back.

As in `verbs.py`, each function is named like its verb. They need SQL alone, and work beside a process that holds the index.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import asdict

import terminal
from arguments import CommandWrong
from catalog.catalogue import Catalogue
from catalog.names import clean_label, clean_place
from catalog.values import EventRow
from indexer import edits
from indexer.edits import Done
from indexer.given import day
from verbs import DONE, books, command


def rename(args: argparse.Namespace) -> int:
    return edited(args, lambda catalogue, who: edits.rename(catalogue, args.individual, args.name, who=who))


def species(args: argparse.Namespace) -> int:
    return edited(args, lambda catalogue, who: edits.set_species(catalogue, args.individual, args.species, who=who))


def merge(args: argparse.Namespace) -> int:
    return edited(args, lambda catalogue, who: edits.merge(catalogue, args.individual, args.other, who=who))


def split(args: argparse.Namespace) -> int:
    return edited(args, lambda catalogue, who: edits.split(catalogue, args.individual, args.sightings, args.name, who=who))


def reassign(args: argparse.Namespace) -> int:
    return edited(args, lambda catalogue, who: edits.reassign(catalogue, args.sightings, args.to, who=who))


def amend(args: argparse.Namespace) -> int:
    said: dict[str, object] = {}
    if args.encounter is not None:
        said["encounter"] = args.encounter
    if args.viewpoint is not None:
        said["viewpoint"] = clean_label(args.viewpoint, "viewpoint")
    if args.date is not None:
        said["taken_on"] = day(args.date)
    if args.lat is not None or args.lon is not None:
        said["lat"], said["lon"] = clean_place(args.lat, args.lon)
    if not said:
        raise CommandWrong("Say what to set right: --date, --lat and --lon, --viewpoint or --encounter.")
    return edited(args, lambda catalogue, who: edits.amend_sighting(catalogue, args.sighting, said, who=who))


def delete(args: argparse.Namespace) -> int:
    if (args.individual is None) == (args.sighting is None):
        raise CommandWrong("Say what to delete: an individual, or --sighting ID, and not both.")
    if args.sighting is not None:
        return edited(args, lambda catalogue, who: edits.delete_sightings(catalogue, args.sighting, who=who))
    return edited(args, lambda catalogue, who: edits.delete_individual(catalogue, args.individual, who=who))


def undo(args: argparse.Namespace) -> int:
    from indexer.undo import undo as undo_event
    from indexer.undo import undo_import

    if (args.event is None) == (args.import_id is None):
        raise CommandWrong("Say what to take back: an event of the log, or --import N, and not both.")
    if args.import_id is None:
        return edited(args, lambda catalogue, who: undo_event(catalogue, args.event, who=who))
    with books(args) as (catalogue, who):
        done = undo_import(catalogue, args.import_id, who=who)
    if args.json:
        terminal.put_json(asdict(done))
    else:
        terminal.say(f"{done.what} To have it again, import it again.")
    return DONE


def history(args: argparse.Namespace) -> int:
    if args.individual is not None and args.sighting is not None:
        raise CommandWrong("Say whose history: an individual's, or --sighting ID, and not both.")
    with books(args) as (catalogue, _):
        if args.sighting is not None:
            events = catalogue.history("sighting", catalogue.sighting(args.sighting).id, limit=args.limit)
        elif args.individual is not None:
            events = catalogue.history("individual", catalogue.find_any_individual(args.individual).id, limit=args.limit)
        else:
            events = catalogue.history(limit=args.limit)
    if args.json:
        terminal.put_json({"events": [event_json(event) for event in events]})
    else:
        rows = [(e.id, f"{e.at:%Y-%m-%d %H:%M}", e.who, e.verb, e.what + (" (undone)" if e.undone else "")) for e in events]
        terminal.put_table(rows, ("event", "when (UTC)", "who", "verb", "what"))
    return DONE


# What they share.


def edited(args: argparse.Namespace, edit: Callable[[Catalogue, str], Done]) -> int:
    with books(args) as (catalogue, who):
        done = edit(catalogue, who)
    if args.json:
        terminal.put_json({"event_id": done.event_id, "what": done.what, "individual_id": done.individual_id})
    else:
        said = f"{done.what.removesuffix('.')}."  # of an enrolment it has no full stop, which stands in tables
        print(f"{said} To take it back: {command(args, 'undo', done.event_id)}")
    return DONE


def event_json(event: EventRow) -> dict[str, object]:
    return asdict(event) | {"at": event.at.isoformat()}
