"""The model in a folder of versions or in an archive is found, and unsafe archives are refused."""

import shutil
import zipfile
from pathlib import Path

import pytest

from diamond_cutter.model_inventory.errors import BadModel
from diamond_cutter.model_inventory.packed_models import model_inside

MIB = 1 << 20


def saved_model(folder: Path) -> Path:
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"graph")
    (folder / "variables" / "variables.index").write_bytes(b"index")
    return folder


def archive(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def test_the_highest_version_of_those_that_are_served(tmp_path: Path) -> None:
    for version in ("2", "10", "draft"):
        saved_model(tmp_path / "birds" / version)
    with model_inside(tmp_path / "birds") as found:
        assert found == tmp_path / "birds" / "10"


def test_a_folder_with_one_model_and_folders_that_stand_for_themselves(tmp_path: Path) -> None:
    one = saved_model(tmp_path / "one" / "export")
    (tmp_path / "one" / "logs").mkdir()
    saved_model(tmp_path / "two" / "a")
    saved_model(tmp_path / "two" / "b")
    for path, model in ((tmp_path / "one", one), (one, one), (tmp_path / "two",) * 2):
        with model_inside(path) as found:
            assert found == model


def test_the_only_model_of_an_archive_is_there_while_it_is_needed(tmp_path: Path) -> None:
    members = {"keras_model.h5": b"weights", "labels.txt": b"0 Cat\n", "__MACOSX/._a.h5": b"mac"}
    with model_inside(archive(tmp_path / "converted_keras.zip", members)) as found:
        assert (found.name, found.read_bytes()) == ("keras_model.h5", b"weights")
        beside = sorted(path.name for path in found.parent.iterdir())
        assert beside == ["keras_model.h5", "labels.txt"]
    assert not found.exists()


@pytest.mark.parametrize("inner", ["", "birds/1"])
def test_a_zipped_saved_model(tmp_path: Path, inner: str) -> None:
    saved_model(tmp_path / "root" / inner)
    shutil.make_archive(str(tmp_path / "birds"), "zip", tmp_path / "root")
    with model_inside(tmp_path / "birds.zip") as found:
        assert (found / "variables" / "variables.index").read_bytes() == b"index"


def test_files_that_are_no_archives_of_models_stand_for_themselves(tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_bytes(b"PK\x03\x04 cut short")
    archive(tmp_path / "a.keras", {"config.json": b"{}", "model.weights.h5": b""})
    archive(tmp_path / "a.pt", {"a/data.pkl": b"", "a/data/0": b""})
    for name in ("a.h5", "a.keras", "a.pt", "absent.zip"):
        with model_inside(tmp_path / name) as found:
            assert found == tmp_path / name


def refusal(path: Path) -> str:
    with pytest.raises(BadModel) as refused, model_inside(path):
        pass
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_an_archive_of_several_models_and_unsafe_ones(tmp_path: Path) -> None:
    two = archive(tmp_path / "two.zip", {"a.h5": b"1", "b/c.keras": b"2"})
    assert refusal(two) == (
        f"{two} holds several models: expected one, found a.h5, b/c.keras. Unpack it, and give one."
    )
    outside = archive(tmp_path / "outside.zip", {"../a.h5": b"1"})
    assert "found the file '../a.h5' outside of it. Do not use it." in refusal(outside)
    bomb = archive(tmp_path / "bomb.zip", {"a.h5": bytes(100 * MIB)})
    assert "found a.h5, which grows from " in refusal(bomb)
    damaged = archive(tmp_path / "damaged.zip", {"a.h5": bytes(range(256)) * 8})
    content = bytearray(damaged.read_bytes())
    content[60] ^= 255
    damaged.write_bytes(content)
    assert "damaged zip archive" in refusal(damaged)


def test_an_error_about_an_unpacked_model_names_the_archive(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", {"b/c.h5": b"1"})
    with pytest.raises(BadModel, match=rf"^{path}/b/c.h5 is damaged$"), model_inside(path) as found:
        raise BadModel(f"{found} is damaged")
