"""The bundles of a data folder: what is added works, a damaged copy is named, mended and removed, and nothing is claimed."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from encoder.bundle import load_bundle
from encoder.errors import BundleRefused
from indexer import registry
from indexer.errors import BundleNotUsed
from settings import Settings


@pytest.fixture
def given(root: Path, tmp_path: Path) -> Path:
    """A bundle of one's own, beside the data folder."""
    folder = Path(shutil.copytree(root / "bundles" / "starter-lite0", tmp_path / "given"))
    return changed(folder, lambda contract: contract.update(name="own"))


def changed(folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    contract = json.loads((folder / "bundle.json").read_text("utf-8"))
    change(contract)
    (folder / "bundle.json").write_text(json.dumps(contract), "utf-8")
    return folder


def names(settings: Settings) -> list[str]:
    return [one.bundle.name for one in registry.held(settings, None) if not one.shipped]


def test_damaged_copy_is_named_and_mended_by_the_sound_original(settings: Settings, given: Path) -> None:
    bundle = registry.add(settings, given).bundle
    bundle.model.write_bytes(bundle.model.read_bytes()[:-1])
    assert names(settings) == []
    assert list(registry.unsound(settings)) == [bundle.id]
    assert "has sha256" in registry.unsound(settings)[bundle.id]
    with pytest.raises(BundleNotUsed, match=r"has sha256 .* add the sound original: flukeprint bundles add FOLDER"):
        registry.find(settings, None, bundle.id)
    assert registry.add(settings, given).replaced == "a copy that was damaged"
    assert (names(settings), registry.unsound(settings)) == (["own"], {})
    assert registry.add(settings, given).replaced == ""
    assert [path.name for path in bundle.folder.parent.iterdir()] == [bundle.id]


def test_damaged_copy_can_be_removed(settings: Settings, given: Path) -> None:
    bundle = registry.add(settings, given).bundle
    (bundle.folder / "bundle.json").write_text("{")
    assert registry.remove(settings, None, bundle.id) == registry.Removed(bundle.id, 0)
    assert not bundle.folder.exists()
    with pytest.raises(BundleNotUsed, match="There is no bundle called"):
        registry.remove(settings, None, bundle.id)


def test_bundle_that_was_placed_by_hand_is_removed_where_it_is(settings: Settings, given: Path) -> None:
    registry.add(settings, given)
    for name in ("mine", "yours"):
        shutil.copytree(given, settings.data_dir / "bundles" / name)
    registry.remove(settings, None, "own")
    assert list((settings.data_dir / "bundles").iterdir()) == []
    assert names(settings) == []


def test_link_to_a_bundle_elsewhere_is_removed_and_not_the_bundle(settings: Settings, given: Path) -> None:
    (settings.data_dir / "bundles").mkdir(parents=True)
    (settings.data_dir / "bundles" / "mine").symlink_to(given)
    registry.remove(settings, None, "own")
    assert names(settings) == []
    assert load_bundle(given)


def test_shipped_bundle_of_which_nothing_is_in_the_data_folder_is_not_removed(settings: Settings) -> None:
    with pytest.raises(BundleNotUsed, match="comes with Flukeprint: there is nothing of it"):
        registry.remove(settings, None, "starter-lite0")


def test_same_model_with_other_figures_takes_the_copy_s_place_and_says_so(settings: Settings, given: Path) -> None:
    first = registry.add(settings, given)
    changed(given, lambda contract: contract.update(metrics={"top1": 0.5}))
    (given / "MODEL_CARD.md").write_text("newer")
    second = registry.add(settings, given)
    assert (second.bundle.id, second.replaced) == (first.bundle.id, "a copy with another metrics")
    assert load_bundle(second.bundle.folder).metrics == {"top1": 0.5}
    assert (second.bundle.folder / "MODEL_CARD.md").read_text() == "newer"


def test_what_cannot_be_used_is_not_added(settings: Settings, given: Path) -> None:
    changed(given, lambda contract: contract.update(calibration=5))
    with pytest.raises(BundleNotUsed, match=r"calibration is '5', and an object was expected.* Nothing was added"):
        registry.add(settings, given)
    (given / "model.onnx").write_bytes(b"junk")
    digest = hashlib.sha256(b"junk").hexdigest()
    changed(given, lambda contract: contract.update(calibration=None, model_sha256=digest))
    with pytest.raises(BundleRefused, match="does not load"):
        registry.add(settings, given)
    assert not (settings.data_dir / "bundles").exists()


def test_bundle_that_states_no_vectors_is_not_added_and_takes_no_sound_copy_s_place(settings: Settings, given: Path) -> None:
    kept = registry.add(settings, given).bundle
    changed(given, lambda contract: contract.update(golden=[]))
    with pytest.raises(BundleNotUsed, match=r"states no golden vectors.* Nothing was added"):
        registry.add(settings, given)
    assert load_bundle(kept.folder).golden == kept.golden


def test_damaged_copy_is_named_by_its_name_too(settings: Settings, given: Path) -> None:
    bundle = registry.add(settings, given).bundle
    (bundle.folder / "bundle.json").write_text("{")
    for wanted in (bundle.id, "own"):
        with pytest.raises(BundleNotUsed, match=f"To mend it.*remove {bundle.id}"):
            registry.find(settings, None, wanted)
    with pytest.raises(BundleNotUsed, match="There is no bundle called 'ow'"):
        registry.find(settings, None, "ow")


def test_copy_has_the_mode_of_any_new_folder(settings: Settings, given: Path, tmp_path: Path) -> None:
    """A service that runs as another user reads it."""
    (tmp_path / "new").mkdir()
    bundle = registry.add(settings, given).bundle
    wanted = (tmp_path / "new").stat().st_mode
    assert bundle.folder.stat().st_mode == wanted
    bundle.folder.chmod(0o700)
    bundle.model.write_bytes(b"damaged")
    registry.add(settings, given)
    assert bundle.folder.stat().st_mode == wanted
