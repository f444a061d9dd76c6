"""`tuned.toml` in the data folder: it is used, the environment wins, and what is wrong with it is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from indexer.station import open_station
from settings import SettingsRefused, cores, read_settings

WHOLE = f"cores = {cores()}\nstreams = 3\nthreads = 2\nbatch = 3\nqueue = 7\nhnsw_above = 123000\n"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "tuned.toml").write_text(WHOLE)
    return tmp_path


def test_what_stands_in_it_is_used(data: Path) -> None:
    read = read_settings({}, data_dir=data)
    assert (read.streams, read.threads, read.batch, read.queue, read.hnsw_above) == (3, 2, 3, 7, 123_000)
    assert read_settings({"FLUKEPRINT_DATA_DIR": str(data)}).queue == 7


def test_a_station_opens_with_it(data: Path) -> None:
    settings = read_settings({}, data_dir=data)
    with open_station(settings, streams=settings.streams) as station:
        assert type(station.encoder._session).__name__ == "Batching"


def test_the_environment_and_the_command_line_win(data: Path) -> None:
    read = read_settings({"FLUKEPRINT_QUEUE": "9", "FLUKEPRINT_BATCH": "1"}, data_dir=data, streams=5)
    assert (read.queue, read.batch, read.streams, read.threads) == (9, 1, 5, 2)


def test_it_is_left_alone_where_it_was_made_for_another_machine_or_is_not_wanted(data: Path) -> None:
    assert read_settings({}, tuned=False, data_dir=data).queue == 3 * cores()
    (data / "tuned.toml").write_text(WHOLE.replace(f"cores = {cores()}", f"cores = {cores() + 1}"))
    assert read_settings({}, data_dir=data).queue == 3 * cores()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("streams = ", r"tuned\.toml cannot be read: .*"),
        ("\xff\xfe", r"tuned\.toml cannot be read: .*"),
        (f"cores = {cores()}\nqueue = -1", r"tuned\.toml sets queue = -1: .*greater than or equal to 0.*"),
        (f"cores = {cores()}\nqueue = 'many'", r"tuned\.toml sets queue = 'many': .*"),
        ("host = '0.0.0.0'", r'tuned\.toml sets "host"; expected are only streams, threads, batch, queue, hnsw_above.*'),
    ],
)
def test_a_damaged_one_is_refused_with_what_to_do(data: Path, text: str, says: str) -> None:
    (data / "tuned.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(SettingsRefused, match=says + r"Mend it, remove it, or write it anew: flukeprint tune --data-dir "):
        read_settings({}, data_dir=data)


def test_a_folder_in_its_place_is_refused_too(tmp_path: Path) -> None:
    (tmp_path / "tuned.toml").mkdir()
    with pytest.raises(SettingsRefused, match="cannot be read"):
        read_settings({}, data_dir=tmp_path)
