"""Every verb and its flags, as argparse is told them. What a verb does stands in the module that it names as its room."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Protocol

from arguments import boxes, count, filters, path, port, seconds, share, whole_share


class Add(Protocol):
    def __call__(self, name: str, says: str, example: str, room: str = "verbs") -> argparse.ArgumentParser: ...


def every_verb(add: Add) -> None:
    for some in (_ask, _enrol, _catalogue, _keep, _encoders, _training, _serve):
        some(add)


def _ask(add: Add) -> None:
    verb = add(
        "identify",
        "say which known individual the photos show, how sure that is, or that it is a new one",
        "flukeprint identify fluke.jpg\n"
        'flukeprint identify 0034.jpg 0035.jpg --species "humpback whale" --near 64.1,-21.9,50 --json',
    )
    verb.add_argument("photos", nargs="+", metavar="PHOTO", help="photos of one animal on one occasion; they get one answer")
    verb.add_argument("--top", type=count, default=5, metavar="N", help="how many candidates to show (default: 5)")
    verb.add_argument(
        "--max-false-match",
        type=share,
        default=0.05,
        metavar="SHARE",
        help="accept that this share of truly new animals is called known (default: 0.05)",
    )
    verb.add_argument(
        "--second-opinion",
        choices=["auto", "on", "off"],
        help="compare the nearest sightings point by point (default: FLUKEPRINT_SECOND_OPINION)",
    )
    boxes(verb)
    filters(verb)

    verb = add(
        "similar",
        "show the nearest known photos themselves",
        "flukeprint similar fluke.jpg\nflukeprint similar --sighting 12 --top 20",
    )
    verb.add_argument("photo", nargs="?", metavar="PHOTO", help="the photo to compare")
    verb.add_argument("--sighting", type=count, metavar="ID", help="compare a sighting of the catalogue instead of a photo")
    verb.add_argument("--top", type=count, default=10, metavar="N", help="how many to show (default: 10)")
    boxes(verb)
    filters(verb)


def _enrol(add: Add) -> None:
    verb = add(
        "enrol",
        "enrol a new individual, or further photos of a known one",
        'flukeprint enrol --name "Kelp-07" --species "humpback whale" --date 2026-07-14 a.jpg b.jpg',
    )
    verb.add_argument("--name", required=True, help="the individual's name; a known name gets further photos")
    verb.add_argument("--species", metavar="S", help="its species, a word of your choice kept alike")
    verb.add_argument("--encounter", metavar="E", help="a label for the occasion (default: individual and date)")
    verb.add_argument("--date", metavar="D", help="when they were taken, like 2026-07-14 (default: as the photos say)")
    verb.add_argument("--lat", metavar="DEGREES", help="latitude (default: as the photos say)")
    verb.add_argument("--lon", metavar="DEGREES", help="longitude (default: as the photos say)")
    verb.add_argument("--viewpoint", metavar="V", help="what side is seen, a word of your choice kept alike")
    boxes(verb)
    verb.add_argument("photos", nargs="+", metavar="PHOTO")

    verb = add(
        "import",
        "enrol many: a folder for each individual, or a CSV table with path and identity",
        "flukeprint import whales/\nflukeprint import train.csv --images train_images/",
    )
    verb.add_argument("source", type=path, metavar="FOLDER|TABLE")
    verb.add_argument("--images", type=path, metavar="DIR", help="the folder that a table's paths are relative to")
    verb.add_argument("--set-aside", type=path, metavar="CSV", help="where to write the rows that could not be enrolled")


def _catalogue(add: Add) -> None:
    verb = add("individuals", "list the known individuals", "flukeprint individuals --search kelp")
    verb.add_argument("--search", metavar="TEXT", help="only names that contain this")
    verb.add_argument("--species", metavar="S", help="only this species")

    verb = add("show", "show one individual with its sightings", "flukeprint show Kelp-07")
    verb.add_argument("individual", metavar="ID", help="its number or its name")

    room = "verbs_edits"
    verb = add("rename", "give an individual another name", "flukeprint rename 7 'Old Notch'", room)
    verb.add_argument("individual", metavar="ID")
    verb.add_argument("name", metavar="NAME")

    verb = add("species", "say what species an individual is", 'flukeprint species Kelp-07 "humpback whale"', room)
    verb.add_argument("individual", metavar="ID")
    verb.add_argument("species", metavar="SPECIES")

    verb = add("merge", "two individuals are one: B's sightings go to A", "flukeprint merge Kelp-07 Kelp-12", room)
    verb.add_argument("individual", metavar="A", help="the one that stays")
    verb.add_argument("other", metavar="B", help="the one that goes into it")

    verb = add("split", "some sightings of an individual are another animal", "flukeprint split 7 31 32 --name Kelp-40", room)
    verb.add_argument("individual", metavar="ID")
    verb.add_argument("sightings", nargs="+", type=count, metavar="SIGHTING")
    verb.add_argument("--name", help="the name of the new individual (default: Kelp-07 (2) for one of Kelp-07)")

    verb = add("reassign", "give sightings to another known individual", "flukeprint reassign 31 32 --to Kelp-12", room)
    verb.add_argument("sightings", nargs="+", type=count, metavar="SIGHTING")
    verb.add_argument("--to", required=True, metavar="ID", help="the individual that they show")

    verb = add(
        "amend",
        "set right what is known of a sighting beside its photo",
        'flukeprint amend 31 --date 2026-07-14 --lat -17.5 --lon -149.8\nflukeprint amend 31 --viewpoint ""',
        room,
    )
    verb.add_argument("sighting", type=count, metavar="SIGHTING")
    verb.add_argument("--date", metavar="D", help='when it was taken, like 2026-07-14; "" where that is not known')
    verb.add_argument("--lat", metavar="DEGREES", help='latitude, with --lon; "" for both where the place is not known')
    verb.add_argument("--lon", metavar="DEGREES", help="longitude, with --lat")
    verb.add_argument("--viewpoint", metavar="V", help='what side is seen, a word of your choice kept alike; "" for none')
    verb.add_argument("--encounter", metavar="E", help="a label for the occasion")

    verb = add(
        "delete",
        "delete an individual, or single sightings",
        "flukeprint delete Kelp-40\nflukeprint delete --sighting 31",
        room,
    )
    verb.add_argument("individual", nargs="?", metavar="ID")
    verb.add_argument("--sighting", type=count, action="append", metavar="ID", help="a sighting to delete; may be repeated")

    verb = add(
        "history",
        "the log: who did what, and when",
        "flukeprint history\nflukeprint history Kelp-07\nflukeprint history --sighting 31",
        room,
    )
    verb.add_argument(
        "individual", nargs="?", metavar="ID", help="only what concerned this individual, also a merged or deleted one"
    )
    verb.add_argument("--sighting", type=count, metavar="ID", help="only what concerned this sighting")
    verb.add_argument("--limit", type=count, default=50, metavar="N", help="how many of the newest events (default: 50)")

    verb = add(
        "undo", "take back one event of the log, or a whole import", "flukeprint undo 12\nflukeprint undo --import 3", room
    )
    verb.add_argument("event", nargs="?", type=count, metavar="EVENT")
    verb.add_argument(
        "--import", dest="import_id", type=count, metavar="N", help="every event of this import that stands, or none of them"
    )


def _keep(add: Add) -> None:
    add(
        "second-opinion",
        "measure on this catalogue whether comparing photos point by point helps, and remember it",
        "flukeprint second-opinion",
    )

    add("reindex", "build the index anew from the catalogue's vectors", "flukeprint reindex")

    verb = add("doctor", "check everything, and say what to do about what it finds", "flukeprint doctor")
    verb.add_argument("--deep", action="store_true", help="also read every photo and compare every vector")

    verb = add("backup", "write the whole catalogue into one file", "flukeprint backup whales-2026.flukeprint")
    verb.add_argument("file", type=path, metavar="FILE")
    verb.add_argument(
        "--no-photos", action="store_true", help="leave the photos out: answers stay the same, pictures are missing"
    )

    verb = add(
        "restore",
        "make a data folder from a backup",
        "flukeprint restore whales-2026.flukeprint --data-dir ~/whales",
    )
    verb.add_argument("file", type=path, metavar="FILE")


def _encoders(add: Add) -> None:
    room = "verbs_bundles"
    add("bundles list", "list the bundles that are there, and which is in use", "flukeprint bundles list", room)

    verb = add("bundles show", "show where a bundle came from and how it was measured", "flukeprint bundles show NAME", room)
    verb.add_argument("bundle", metavar="ID", help="its id, or its name where only one has it")

    verb = add("bundles compare", "put the figures of bundles side by side", "flukeprint bundles compare A B", room)
    verb.add_argument("bundles", nargs="+", metavar="ID")

    verb = add("bundles add", "copy a bundle into the data folder", "flukeprint bundles add ~/beluga-lite0", room)
    verb.add_argument("folder", type=path, metavar="FOLDER")

    verb = add(
        "bundles use",
        "encode the catalogue with another bundle, calibrate anew, and switch to it; stopped, it goes on where it was",
        "flukeprint bundles use beluga-lite0",
        room,
    )
    verb.add_argument("bundle", metavar="ID")

    verb = add("bundles remove", "remove a bundle that is not in use, and its vectors", "flukeprint bundles remove NAME", room)
    verb.add_argument("bundle", metavar="ID")

    verb = add(
        "bundles make",
        "make a bundle of any timm encoder, or of a training run",
        "flukeprint bundles make --timm hf-hub:BVRA/MegaDescriptor-T-224 --licence CC-BY-NC-4.0 --out mega-t\n"
        "flukeprint bundles make --run runs/one --data table.csv --images photos/ --licence CC0 --out bundles/one",
        room,
    )
    verb.add_argument("--timm", metavar="NAME", help="a timm encoder that others have trained")
    verb.add_argument(
        "--checkpoint", type=path, metavar="PATH", help="its weights, a file or a hub's folder (default: timm's hub)"
    )
    verb.add_argument("--side", type=count, metavar="PIXELS", help="the input's side, where the encoder takes another")
    verb.add_argument("--run", type=path, metavar="DIR", help="a folder that `flukeprint train` has made, or a bundle of one")
    verb.add_argument("--data", type=path, metavar="TABLE", help="the table that the run was taught from")
    verb.add_argument(
        "--images", type=path, metavar="DIR", help="the folder that its paths are relative to; of --timm, photos to try it on"
    )
    verb.add_argument(
        "--taught",
        type=whole_share,
        default=1.0,
        metavar="SHARE",
        help="mix the run's encoder, by this share of the cosine, with the first weights as they were (default: 1)",
    )
    verb.add_argument(
        "--sides",
        type=whole_share,
        nargs="+",
        default=[1.0],
        metavar="SHARE",
        help="look at the photo at each of these shares of its side; the first weights at the last (default: 1)",
    )
    verb.add_argument(
        "--first-side", type=whole_share, metavar="SHARE", help="of which the first weights look (default: the last of --sides)"
    )
    verb.add_argument(
        "--bands",
        type=count,
        default=1,
        metavar="N",
        help="pool what the run's encoder sees in so many bands from top to bottom, beside the whole (default: 1)",
    )
    verb.add_argument(
        "--dimension", type=count, metavar="N", help="numbers that a discriminant makes of a mixture (default: the run's)"
    )
    verb.add_argument("--half", action="store_true", help="store large weights in 16 bits, where vectors stay what they are")
    verb.add_argument(
        "--beside", type=path, metavar="DIR", help="another run of the same split, whose encoder looks at the photo too"
    )
    verb.add_argument(
        "--sibling", type=path, metavar="BUNDLE", help="for a run taught on everything: whose figures and calibration it gets"
    )
    verb.add_argument("--name", help="what it is called (default: the encoder's or the run's name)")
    verb.add_argument("--version", default="1", help="default: 1")
    verb.add_argument("--licence", required=True, help="of the data and weights that it was made from")
    verb.add_argument("--data-name", metavar="TEXT", help="what the data are called (default: the table's name)")
    verb.add_argument("--weights-source", default="not stated", metavar="TEXT", help="where the first weights came from")
    verb.add_argument("--notes", default="", metavar="TEXT", help="what else its users should know of how it was made")
    verb.add_argument("--out", required=True, type=path, metavar="DIR", help="the bundle's folder")


def _training(add: Add) -> None:
    verb = add(
        "train",
        "teach an encoder from labelled photos",
        "flukeprint train --data metadata.csv --images photos/ --out runs/one --preset lite0\n"
        "flukeprint train --data metadata.csv --images photos/ --out runs/one --resume",
        "verbs_training",
    )
    verb.add_argument(
        "--data", required=True, type=path, metavar="TABLE", help="CSV with path and identity, COCO JSON, or a folder each"
    )
    verb.add_argument("--images", type=path, metavar="DIR", help="the folder that its paths are relative to (default: its own)")
    verb.add_argument("--out", required=True, type=path, metavar="DIR", help="the run's folder")
    verb.add_argument("--preset", metavar="NAME", help="which encoder and schedule (default: lite0)")
    verb.add_argument("--config", type=path, metavar="FILE", help="TOML or JSON that changes settings of the preset")
    verb.add_argument("--resume", action="store_true", help="go on with the run in --out, with its own settings")
    verb.add_argument("--everything", action="store_true", help="hold nothing back: for the bundle that follows a judged one")
    verb.add_argument(
        "--begin", type=path, metavar="RUN", help="go on with the encoder of this finished run, or of a bundle of one"
    )
    verb.add_argument("--second", action="store_true", help="of a bundle of two encoders, begin with the second")

    verb = add(
        "evaluate",
        "measure how well a bundle tells animals apart",
        "flukeprint evaluate --gallery gallery.csv --query query.csv --images photos/ --report report/",
        "verbs_training",
    )
    verb.add_argument("--bundle", type=path, metavar="B", help="a bundle's folder or id (default: the one that would be used)")
    verb.add_argument(
        "--gallery", required=True, type=path, metavar="TABLE", help="known photos: path, identity, encounter, date"
    )
    verb.add_argument("--query", required=True, type=path, metavar="TABLE", help="photos to ask with; unknown animals are new")
    verb.add_argument("--images", type=path, metavar="DIR", help="the folder that paths begin at (default: the gallery's)")
    verb.add_argument("--report", type=path, metavar="DIR", help="write a page with curves and the worst confusions there")
    verb.add_argument("--robustness", action="store_true", help="also with noise, blur and the like: 7 times as many photos")

    verb = add(
        "datasets",
        "list public sets of labelled photos, and fetch those whose terms allow it",
        "flukeprint datasets\nflukeprint datasets beluga-id-2022 --fetch ~/data",
        "verbs_training",
    )
    verb.add_argument("name", nargs="?", metavar="NAME", help="one of the list")
    verb.add_argument(
        "--fetch", type=path, metavar="DIR", help="fetch it there; broken off, it goes on; checked, where it can be"
    )


def _serve(add: Add) -> None:
    room = "verbs_service"
    verb = add("serve", "answer over HTTP, until stopped", "flukeprint serve --port 8000", room)
    verb.add_argument("--host", metavar="H", help="the address to listen on (default: FLUKEPRINT_HOST, 127.0.0.1)")
    verb.add_argument("--port", type=port, metavar="P", help="the port to listen on (default: FLUKEPRINT_PORT, 8000)")

    verb = add(
        "keys create",
        "make a key that opens the service, and show it this once",
        'flukeprint keys create --role editor --name "the boat" --expires 2027-03-31',
        room,
    )
    verb.add_argument(
        "--role", required=True, choices=("viewer", "editor", "admin"), help="what it allows; each all of the one before"
    )
    verb.add_argument(
        "--name", metavar="NAME", help="who stands in the log, which no other key that opens does (default: role and number)"
    )
    verb.add_argument("--expires", metavar="D", help="the last day on which it opens, like 2027-03-31 (default: until revoked)")

    add("keys list", "list the keys, without the keys themselves", "flukeprint keys list", room)

    verb = add("keys revoke", "let a key open nothing any more", "flukeprint keys revoke 2", room)
    verb.add_argument("key", type=count, metavar="ID", help="its number in the list")

    verb = add(
        "tune",
        "measure what suits this machine, idle for a minute, and write it to tuned.toml in the data folder",
        "flukeprint tune",
        room,
    )
    verb.add_argument("--show", action="store_true", help="only show what would be written")

    verb = add(
        "drift",
        "compare the photos asked about lately with the catalogue's, and what answers stated with what people said of them",
        "flukeprint drift\nflukeprint drift --history 10",
        room,
    )
    verb.add_argument("--history", type=count, metavar="N", help="show the last looks that were kept instead")

    verb = add(
        "loadtest",
        "ask a service of its own, or a running one, as many would, check every answer, and write a report",
        "flukeprint loadtest --scenario overload\n"
        "flukeprint loadtest --url http://10.0.0.5:8000 --key KEY --users 8 --scenario closed",
        room,
    )
    verb.add_argument(
        "--scenario",
        metavar="NAME",
        help="closed, open, enrolling, burst, overload, mix or soak (default: mix; of a running service, closed)",
    )
    verb.add_argument("--seconds", type=seconds, metavar="S", help="how long it asks, about (default: the scenario's own)")
    verb.add_argument(
        "--url", metavar="URL", help="a running service, which is only asked: nothing is enrolled (default: one of its own)"
    )
    verb.add_argument("--key", metavar="KEY", help="a viewer's key of that service")
    verb.add_argument(
        "--users", type=count, metavar="N", help="who ask at once where the rate is not fixed (default: two a core)"
    )
    verb.add_argument("--levels", type=path, metavar="FILE", help="the service levels (default: loadtests/levels.toml)")
    verb.add_argument("--out", type=path, default=Path("report"), metavar="DIR", help="where the report goes (default: report)")
