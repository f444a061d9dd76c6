"""A backup restored elsewhere answers the same; a file that is damaged restores nothing."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest

from demo import animals
from indexer.backup import MANIFEST, back_up, restore
from indexer.bulk import import_rows
from indexer.doctor import examine, is_well
from indexer.errors import BackupRefused
from indexer.registry import SHIPPED, add
from indexer.station import open_books, open_station
from settings import Settings


@pytest.fixture(scope="module")
def kept(whales: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, Path]:
    """A catalogue and its backup."""
    from settings import read_settings

    folder = tmp_path_factory.mktemp("kept")
    settings = read_settings({}, data_dir=folder / "data", user="the tests")
    with open_station(settings) as station:
        import_rows(station, whales, who="me")
    back_up(settings, folder / "all.flukeprint")
    return settings, folder / "all.flukeprint"


def elsewhere(settings: Settings, folder: Path) -> Settings:
    return settings.model_copy(update={"data_dir": folder})


def test_a_restored_catalogue_answers_the_same_and_all_is_well(kept: tuple[Settings, Path], tmp_path: Path) -> None:
    settings, file = kept
    other = elsewhere(settings, tmp_path / "new" / "data")
    restore(other, file)
    with open_station(settings) as here, open_station(other) as there:
        assert here.bundle_id == there.bundle_id
        for _, matrix in here.catalogue.vectors(here.bundle_id):
            for vector in matrix:
                mine, theirs = here.index.search(vector, 10), there.index.search(vector, 10)
                assert [n.id for n in mine] == [n.id for n in theirs]
                assert np.allclose([n.score for n in mine], [n.score for n in theirs], atol=1e-6)
    assert is_well(examine(other, deep=True))


def test_without_photos_the_answers_stay_and_doctor_says_what_is_missing(kept: tuple[Settings, Path], tmp_path: Path) -> None:
    settings, whole = kept
    small = tmp_path / "small.flukeprint"
    back_up(settings, small, photos=False)
    assert small.stat().st_size < whole.stat().st_size
    other = elsewhere(settings, tmp_path / "data")
    restore(other, small)
    findings = examine(other)
    assert is_well(findings)
    (note,) = (finding for finding in findings if (finding.subject, finding.level) == ("photos", "note"))
    assert note.do.startswith("import or enrol them again")


def test_after_a_restore_without_photos_doctor_sees_those_that_are_lost_later(
    kept: tuple[Settings, Path], tmp_path: Path
) -> None:
    back_up(kept[0], tmp_path / "small.flukeprint", photos=False)
    other = elsewhere(kept[0], tmp_path / "data")
    restore(other, tmp_path / "small.flukeprint")
    (tmp_path / "new" / "W9").mkdir(parents=True)
    (tmp_path / "new" / "W9" / "0.jpg").write_bytes(animals.photo(9, 0, size=(320, 240)))
    with open_station(other) as station:
        import_rows(station, tmp_path / "new", who="me")
    assert is_well(examine(other))
    (photo,) = (other.data_dir / "photos").glob("??/*.jpg")
    photo.unlink()
    (found,) = (finding for finding in examine(other) if finding.level == "wrong")
    assert found.found.startswith("1 of 25 are missing or damaged: 0.jpg")


def test_what_is_being_written_beside_a_backup_is_not_in_it(kept: tuple[Settings, Path], tmp_path: Path) -> None:
    coming = kept[0].data_dir / "photos" / "incoming" / "ab.jpg.1.2"
    coming.write_bytes(b"half of a ph")
    file = tmp_path / "beside.flukeprint"
    back_up(kept[0], file)
    coming.unlink()
    with tarfile.open(file) as tar:
        assert not [name for name in tar.getnames() if "incoming" in name]


def test_a_backup_never_overwrites_and_a_restore_never_mixes(kept: tuple[Settings, Path]) -> None:
    settings, file = kept
    with pytest.raises(BackupRefused, match="exists already"):
        back_up(settings, file)
    with pytest.raises(BackupRefused, match="holds something already"):
        restore(settings, file)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_backup_that_was_cut_short_restores_nothing(kept: tuple[Settings, Path], tmp_path: Path, share: float) -> None:
    settings, file = kept
    cut = tmp_path / "cut.flukeprint"
    data = file.read_bytes()
    cut.write_bytes(data[: int(len(data.rstrip(b"\0")) * share)])
    with pytest.raises(BackupRefused):
        restore(elsewhere(settings, tmp_path / "data"), cut)
    assert not (tmp_path / "data").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["cut.flukeprint"]


def test_a_backup_cut_between_two_photos_is_noticed(kept: tuple[Settings, Path], tmp_path: Path) -> None:
    settings, file = kept
    with tarfile.open(file) as tar:
        last = tar.getmembers()[-1]
    cut = tmp_path / "cut.flukeprint"
    cut.write_bytes(file.read_bytes()[: last.offset] + b"\0" * 1024)
    with pytest.raises(BackupRefused, match="cut short"):
        restore(elsewhere(settings, tmp_path / "data"), cut)


def test_a_changed_catalogue_inside_is_noticed(kept: tuple[Settings, Path], tmp_path: Path) -> None:
    settings, file = kept
    with tarfile.open(file) as tar:
        member = tar.getmember("catalogue.db")
    data = bytearray(file.read_bytes())
    data[member.offset_data + 5000] ^= 0xFF
    changed = tmp_path / "changed.flukeprint"
    changed.write_bytes(data)
    with pytest.raises(BackupRefused, match="not the one that was written"):
        restore(elsewhere(settings, tmp_path / "data"), changed)


@pytest.mark.parametrize("name", ["../outside.txt", "/etc/outside.txt", "photos/../../outside.txt", "settings.py"])
def test_a_backup_that_reaches_outside_is_refused(kept: tuple[Settings, Path], tmp_path: Path, name: str) -> None:
    settings, file = kept
    hostile = tmp_path / "hostile.flukeprint"
    with tarfile.open(file) as tar, tarfile.open(hostile, "w") as out:
        first = tar.getmember(MANIFEST)
        out.addfile(first, tar.extractfile(first))
        info = tarfile.TarInfo(name)
        info.size = 4
        out.addfile(info, io.BytesIO(b"gone"))
    with pytest.raises(BackupRefused):
        restore(elsewhere(settings, tmp_path / "data"), hostile)
    assert not list(tmp_path.glob("**/outside.txt"))


@pytest.mark.parametrize("name", ["", "."])
def test_a_member_without_a_name_is_refused(kept: tuple[Settings, Path], tmp_path: Path, name: str) -> None:
    hostile = tmp_path / "hostile.flukeprint"
    with tarfile.open(kept[1]) as tar, tarfile.open(hostile, "w") as out:
        first = tar.getmember(MANIFEST)
        out.addfile(first, tar.extractfile(first))
        out.addfile(tarfile.TarInfo(name))
    with pytest.raises(BackupRefused, match="which no backup of ours does"):
        restore(elsewhere(kept[0], tmp_path / "data"), hostile)


def test_a_manifest_that_is_nested_without_end_is_refused(settings: Settings, tmp_path: Path) -> None:
    hostile, nested = tmp_path / "hostile.flukeprint", b"[" * 200_000
    with tarfile.open(hostile, "w") as out:
        info = tarfile.TarInfo(MANIFEST)
        info.size = len(nested)
        out.addfile(info, io.BytesIO(nested))
    with pytest.raises(BackupRefused, match="manifest that cannot be read"):
        restore(elsewhere(settings, tmp_path / "data"), hostile)


def test_what_is_no_backup_is_refused(tmp_path: Path, kept: tuple[Settings, Path]) -> None:
    settings, _ = kept
    other = tmp_path / "photo.jpg"
    other.write_bytes(b"\xff\xd8\xff" * 1000)
    for wrong in (other, tmp_path / "missing.flukeprint", tmp_path):
        words = "no whole backup file" if wrong == other else "there is no such file to restore from"
        with pytest.raises(BackupRefused, match=words):
            restore(elsewhere(settings, tmp_path / "data"), wrong)


def test_a_backup_into_a_folder_that_is_not_there_is_refused_and_leaves_nothing(
    kept: tuple[Settings, Path], tmp_path: Path
) -> None:
    settings, _ = kept
    with pytest.raises(BackupRefused, match=r"cannot be written.*Look at the path"):
        back_up(settings, tmp_path / "none" / "x.flukeprint")
    shutil.rmtree(tmp_path / "none", ignore_errors=True)
    assert list(tmp_path.iterdir()) == []


def test_photos_that_are_gone_are_named_and_the_backup_is_made_and_restores_to_the_same(
    kept: tuple[Settings, Path], tmp_path: Path
) -> None:
    here = elsewhere(kept[0], tmp_path / "here")
    shutil.copytree(kept[0].data_dir, here.data_dir)
    assert back_up(here, tmp_path / "whole").missing == ()
    gone, cut = sorted((here.data_dir / "photos").glob("??/*.jpg"))[:2]
    gone.unlink()
    cut.write_bytes(cut.read_bytes()[:10])
    with open_books(here) as catalogue:
        names = {photo.name for photo in catalogue.photos() if photo.sha256 in (gone.stem, cut.stem)}
    done = back_up(here, tmp_path / "flawed")
    assert (len(done.missing), set(done.missing), done.bundle_flaw) == (2, names, None)
    assert back_up(here, tmp_path / "small", photos=False).missing == ()
    there = elsewhere(kept[0], tmp_path / "there")
    restore(there, tmp_path / "flawed")
    mine, theirs = ({f.subject: f.found.replace(str(s.data_dir), "") for f in examine(s)} for s in (here, there))
    assert mine["photos"] == theirs["photos"]
    restore(elsewhere(kept[0], tmp_path / "left out"), tmp_path / "small")
    assert back_up(elsewhere(kept[0], tmp_path / "left out"), tmp_path / "again").missing == ()


def harm(bundle: Path) -> None:
    model = bundle / "model.onnx"
    model.write_bytes(model.read_bytes()[:-1])


def test_a_damaged_bundle_is_told_and_replaced_by_the_same_that_ships(kept: tuple[Settings, Path], tmp_path: Path) -> None:
    here, there = elsewhere(kept[0], tmp_path / "here"), elsewhere(kept[0], tmp_path / "there")
    shutil.copytree(kept[0].data_dir, here.data_dir)
    harm(next((here.data_dir / "bundles").iterdir()))
    assert "model.onnx" in (back_up(here, tmp_path / "flawed").bundle_flaw or "")
    restore(there, tmp_path / "flawed")
    assert is_well(examine(there, deep=True))


def test_a_damaged_bundle_that_nobody_else_has_is_not_restored_and_its_tar_can_be_mended_by_hand(
    settings: Settings, whales: Path, tmp_path: Path
) -> None:
    original = tmp_path / "original"
    shutil.copytree(SHIPPED / "starter-lite0", original)
    contract = json.loads((original / "bundle.json").read_text()) | {"name": "ours"}
    (original / "bundle.json").write_text(json.dumps(contract))
    with open_station(settings.model_copy(update={"bundle": original})) as station:
        import_rows(station, whales, who="me")
    harm(next((settings.data_dir / "bundles").iterdir()))
    back_up(settings, tmp_path / "flawed")
    there = elsewhere(settings, tmp_path / "there")
    with pytest.raises(BackupRefused, match=r"bundle ours\S* .*nothing was restored.*plain tar"):
        restore(there, tmp_path / "flawed")
    assert not there.data_dir.exists()
    with tarfile.open(tmp_path / "flawed") as tar:
        tar.extractall(there.data_dir, filter="data")
    add(there, original)
    assert is_well(examine(there))


def test_links_are_packed_as_what_they_lead_to(kept: tuple[Settings, Path], tmp_path: Path) -> None:
    settings, _ = kept
    here = elsewhere(settings, tmp_path / "here")
    shutil.copytree(settings.data_dir, here.data_dir)
    photo = next(path for path in sorted((here.data_dir / "photos").rglob("*")) if path.is_file())
    (tmp_path / "disk").mkdir()
    shutil.move(photo.parent, tmp_path / "disk" / "folder")
    photo.parent.symlink_to(tmp_path / "disk" / "folder")
    shutil.move(tmp_path / "disk" / "folder" / photo.name, tmp_path / "disk" / "file")
    photo.symlink_to(tmp_path / "disk" / "file")
    back_up(here, tmp_path / "b.flukeprint")
    there = elsewhere(settings, tmp_path / "there")
    restore(there, tmp_path / "b.flukeprint")
    assert is_well(examine(there, deep=True))


def test_an_empty_folder_that_is_there_is_filled_and_not_replaced(
    kept: tuple[Settings, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, file = kept
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    before, moved = (tmp_path / "disk").stat().st_ino, list[str]()
    rename = Path.rename

    def told(path: Path, target: Path) -> Path:
        moved.append(path.name)
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", told)
    restore(elsewhere(settings, tmp_path / "link"), file)
    assert moved[-1] == "catalogue.db"  # which names the others
    assert (tmp_path / "disk").stat().st_ino == before
    assert is_well(examine(elsewhere(settings, tmp_path / "disk")))
    (tmp_path / "cut").write_bytes(file.read_bytes()[:5000])
    (tmp_path / "empty").mkdir()
    with pytest.raises(BackupRefused):
        restore(elsewhere(settings, tmp_path / "empty"), tmp_path / "cut")
    assert not list((tmp_path / "empty").iterdir())


def test_photos_that_were_left_out_once_are_known_to_be_after_the_next_backup(
    kept: tuple[Settings, Path], tmp_path: Path
) -> None:
    settings, _ = kept
    back_up(settings, tmp_path / "small", photos=False)
    restore(elsewhere(settings, tmp_path / "one"), tmp_path / "small")
    assert back_up(settings, tmp_path / "whole").left_out == 0
    assert back_up(elsewhere(settings, tmp_path / "one"), tmp_path / "again").left_out == 24
    restore(elsewhere(settings, tmp_path / "two"), tmp_path / "again")
    assert is_well(examine(elsewhere(settings, tmp_path / "two")))
