"""A bundle that is not exactly what was signed for does not open."""

import hashlib
import json
import os
import pickle
from pathlib import Path

import pytest

from core.errors import ConflictError, IntegrityError, NotFoundError
from model_registry.manifest import copy_sealed, open_manifest, seal, write_sealed


def fill(folder: Path) -> None:
    (folder / "plan.json").write_text('{"a":1}')
    (folder / "model").mkdir()
    (folder / "model" / "model.txt").write_text("tree\n" * 1000)


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    write_sealed(tmp_path / "bundle", fill)
    return tmp_path / "bundle"


def test_the_manifest_holds_the_sha256_that_another_program_computes(sealed: Path) -> None:
    manifest = open_manifest(sealed)
    assert manifest.files == {
        "plan.json": hashlib.sha256(b'{"a":1}').hexdigest(),
        "model/model.txt": hashlib.sha256(b"tree\n" * 1000).hexdigest(),
    }


def test_equal_content_has_an_equal_hash_and_other_content_another(sealed: Path, tmp_path: Path) -> None:
    again = write_sealed(tmp_path / "again", fill)
    assert again.hash == open_manifest(sealed).hash

    def fill_other(folder: Path) -> None:
        fill(folder)
        (folder / "plan.json").write_text('{"a":2}')

    assert write_sealed(tmp_path / "other", fill_other).hash != again.hash


def flip_a_bit(folder: Path) -> None:
    path = folder / "model" / "model.txt"
    content = bytearray(path.read_bytes())
    content[2500] ^= 1
    path.write_bytes(content)


def truncate(folder: Path) -> None:
    os.truncate(folder / "model" / "model.txt", 4999)


def remove(folder: Path) -> None:
    (folder / "plan.json").unlink()


def add(folder: Path) -> None:
    (folder / "model" / "extra.json").write_text("{}")


def replace_by_a_link_to_equal_bytes(folder: Path) -> None:
    path = folder / "plan.json"
    path.rename(folder.parent / "outside.json")
    path.symlink_to(folder.parent / "outside.json")


def replace_a_folder_by_a_link(folder: Path) -> None:
    (folder / "model").rename(folder.parent / "model_outside")
    (folder / "model").symlink_to(folder.parent / "model_outside")


def add_a_pickle(folder: Path) -> None:
    (folder / "model.pkl").write_bytes(pickle.dumps({}))


def add_a_pickle_that_calls_itself_text(folder: Path) -> None:
    (folder / "model.txt").write_bytes(pickle.dumps({}))


def add_a_pipe(folder: Path) -> None:
    os.mkfifo(folder / "pipe.json")


def empty_the_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text("")


def remove_the_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()


def change_the_manifest_only_for_a_file(folder: Path) -> None:
    content = json.loads((folder / "manifest.json").read_text())
    content["files"]["plan.json"] = "0" * 64
    (folder / "manifest.json").write_text(json.dumps(content))


@pytest.mark.parametrize(
    "damage",
    [
        flip_a_bit,
        truncate,
        remove,
        add,
        replace_by_a_link_to_equal_bytes,
        replace_a_folder_by_a_link,
        add_a_pickle,
        add_a_pickle_that_calls_itself_text,
        add_a_pipe,
        empty_the_manifest,
        remove_the_manifest,
        change_the_manifest_only_for_a_file,
    ],
)
def test_a_damaged_bundle_is_refused(sealed: Path, damage) -> None:
    open_manifest(sealed)
    damage(sealed)
    with pytest.raises(IntegrityError) as caught:
        open_manifest(sealed)
    assert caught.value.code == "bundle_refused"


@pytest.mark.parametrize("name", ["../plan.json", "/etc/passwd", "model/../plan.json", "./plan.json", "a\\b.json", ""])
def test_a_manifest_that_names_a_path_outside_is_refused(sealed: Path, name: str) -> None:
    (sealed.parent / "plan.json").write_text("{}")
    content = json.loads((sealed / "manifest.json").read_text())
    content["files"][name] = hashlib.sha256(b"{}").hexdigest()
    (sealed / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(IntegrityError, match="malformed"):
        open_manifest(sealed)


def test_a_changed_file_with_a_manifest_made_to_fit_has_another_hash(sealed: Path) -> None:
    signed = open_manifest(sealed).hash
    flip_a_bit(sealed)
    (sealed / "manifest.json").unlink()
    assert seal(sealed).hash != signed


def test_a_writer_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        fill(folder)
        raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_sealed(tmp_path / "bundle", fail)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_bundle_is_never_written_over(sealed: Path) -> None:
    with pytest.raises(ConflictError):
        write_sealed(sealed, fill)


def test_no_folder_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        open_manifest(tmp_path / "none")


def test_copying_replaces_a_damaged_copy_and_keeps_a_good_one(sealed: Path, tmp_path: Path) -> None:
    target = tmp_path / "cache" / "copy"
    copy_sealed(sealed, target)
    before = (target / "plan.json").stat().st_ino
    copy_sealed(sealed, target)
    assert (target / "plan.json").stat().st_ino == before
    flip_a_bit(target)
    copy_sealed(sealed, target)
    assert open_manifest(target).hash == open_manifest(sealed).hash
