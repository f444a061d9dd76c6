"""The verbs of the service: serving, the keys that open it, how it does in use. Each is named like its verb."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time
from importlib.util import find_spec

import terminal
from catalog.desk import Desk
from catalog.errors import CatalogueMissing, ValueRefused
from catalog.keys import new_key
from catalog.values import ApiKey, KeptDrift
from catalog.watch import Watch
from indexer.drifting import measure_drift
from indexer.station import beginning, bundle_for, open_books
from matching.drift import MEASURES
from settings import read_settings
from verbs import DONE, settings_for
from verbs_bundles import books_if_any

MISSED = 1
MOMENTS = ("created_at", "expires_at", "revoked_at", "used_at")


def serve(args: argparse.Namespace) -> int:
    from service.serve import serve as serve_until_stopped

    settings = read_settings(data_dir=args.data_dir, host=args.host, port=args.port)
    with beginning(settings):
        serve_until_stopped(settings)
    return DONE


def keys_create(args: argparse.Namespace) -> int:
    secret, until = new_key(), _end_of(args.expires)
    with _desk(args, create=True) as desk:
        made = desk.add_key(secret, args.role, args.name, expires_at=until)
        is_first = len(desk.keys()) == 1
    if args.json:
        terminal.put_json({"id": made.id, "key": secret, "role": made.role})
    else:
        print(secret)
        print(f'Key {made.id}, "{made.name}", {made.role}. It is shown this once; only its hash is kept.', file=sys.stderr)
    if is_first:
        print("It is the first key: from now on every request to the service needs one.", file=sys.stderr)
        if made.role == "viewer":
            print("This one opens no change. For changes make one more: flukeprint keys create --role editor", file=sys.stderr)
    return DONE


def keys_list(args: argparse.Namespace) -> int:
    with _desk(args) as desk:
        found = desk.keys()
    if args.json:
        terminal.put_json({"keys": [_key_json(one) for one in found]})
    else:
        rows = [tuple(_key_json(one).values()) for one in found]
        terminal.put_table(rows, ("id", "name", "role", "created", "expires", "revoked", "last used"))
    return DONE


def keys_revoke(args: argparse.Namespace) -> int:
    with _desk(args) as desk:
        revoked = desk.revoke_key(args.key)
    if args.json:
        terminal.put_json(_key_json(revoked))
    else:
        print(f'Key {revoked.id}, "{revoked.name}", opens nothing now.')
    return DONE


def tune(args: argparse.Namespace) -> int:
    from indexer.tuning import tuned, write_tuned

    settings = read_settings(data_dir=args.data_dir, tuned=False)
    if not args.show:  # a data folder that the file can go to
        open_books(settings, create=True).close()
    with books_if_any(args, settings) as (_, catalogue):
        bundle = bundle_for(settings, catalogue)
    with terminal.Bar("measurements") as bar:
        found = tuned(bundle, settings, bar.at)
    if not args.show:
        write_tuned(found, settings.data_dir)
    if args.json:
        terminal.put_json(found.to_json())
        return DONE
    rows = [(one.way.streams, one.way.threads, one.way.batch, f"{one.per_s:.1f}", f"{one.ratio:.2f}") for one in found.tried]
    terminal.put_table(rows, ("streams", "threads", "batch", "photos/s", "against one a core"))
    print(f"\n{found.reason}\n\n{found.as_toml()}", end="")
    return DONE


def drift(args: argparse.Namespace) -> int:
    """Works beside a running service. What it finds is kept, as the service keeps it."""
    settings = settings_for(args)
    with open_books(settings) as catalogue:
        bundle_id, watch = bundle_for(settings, catalogue).id, Watch(catalogue)
        if args.history:
            _put_history(watch.drifts(bundle_id, args.history), json=args.json)
            return DONE
        found = measure_drift(catalogue, bundle_id)
        if found.photos:
            watch.keep_drift(bundle_id, photos=found.photos, measured=found.to_json())
    if args.json:
        terminal.put_json(found.to_json())
    else:
        terminal.put_drift(found)
    return DONE


def _put_history(kept: list[KeptDrift], *, json: bool) -> None:
    if json:
        terminal.put_json({"kept": [{"at": one.at.isoformat(), "photos": one.photos} | one.measured for one in kept]})
        return
    rows = []
    for one in kept:
        shifts = (one.measured["shifts"][measure]["psi"] for measure in MEASURES)
        gap = one.measured["in_use"]["gap"]
        rows.append((one.at.isoformat(timespec="minutes"), one.photos, *map(terminal.figure, shifts), terminal.figure(gap)))
    terminal.put_table(rows, ("at", "photos", *MEASURES, "stated - right"))


def loadtest(args: argparse.Namespace) -> int:
    from loadtests.errors import LoadtestRefused

    if None in map(find_spec, ("locust", "psutil")):  # before what imports them
        raise LoadtestRefused("Load tests need the extra `load`, which is not installed: make setup EXTRAS=load")
    from loadtests.levels import LEVELS
    from loadtests.report import table
    from loadtests.run import Wanted, run

    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # what it has started is ended, as by Ctrl-C
    scenario = args.scenario or ("mix" if args.url is None else "closed")
    wanted = Wanted(scenario, args.seconds, args.users, args.url, args.key, args.levels or LEVELS, args.out.absolute())
    made = run(wanted, settings_for(args), lambda said: print(said, file=sys.stderr, flush=True))
    if args.json:
        terminal.put_json(json.loads((wanted.out / "figures.json").read_text("utf-8")))
    else:
        print("\n".join(table(made)))
        print(f"\nThe report: {args.out / 'index.html'}", file=sys.stderr)
    return DONE if made.kept else MISSED


@contextmanager
def _desk(args: argparse.Namespace, *, create: bool = False) -> Iterator[Desk]:
    """Works beside a running service, which sees the change within a second."""
    settings = settings_for(args)
    try:
        catalogue = open_books(settings, create=create)
    except CatalogueMissing as missing:
        raise CatalogueMissing(
            f"There is no catalogue yet, and so no key. Check the data folder, {settings.data_dir}; to begin both: "
            "flukeprint keys create --role admin"
        ) from missing
    with catalogue:
        yield Desk(catalogue)


def _key_json(key: ApiKey) -> dict[str, object]:
    moments: dict[str, datetime | None] = {name: getattr(key, name) for name in MOMENTS}
    told: dict[str, object] = {"id": key.id, "name": key.name, "role": key.role}
    return told | {name: at and at.isoformat(timespec="minutes") for name, at in moments.items()}


def _end_of(text: str | None) -> datetime | None:
    """The last moment of a day."""
    if text is None:
        return None
    try:
        last = date.fromisoformat(text)
    except ValueError:
        raise ValueRefused(f'--expires "{text[:40]}" is not a day; give it like 2027-03-31.') from None
    return datetime.combine(last, time.max, UTC)
