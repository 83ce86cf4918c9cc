"""Archives that are damaged, swollen, or lead to other files are refused before Keras sees them."""

import struct
import zipfile
from pathlib import Path

import h5py
import pytest

from diamond_cutter.model_inventory.keras.archives import check_keras_archive
from tests.model_inventory.keras.saved_models import WARNINGS, members_of, refusal, small, write_zip

pytestmark = WARNINGS
MIB = 1 << 20


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"<html>not found</html>", bytes(1000)])
def test_what_is_neither_zip_nor_hdf5(tmp_path: Path, content: bytes) -> None:
    for name, sentence in {
        "model.keras": "is truncated or not a .keras file: expected a zip archive.",
        "model.h5": "is truncated or not an HDF5 file.",
    }.items():
        (tmp_path / name).write_bytes(content)
        assert sentence in refusal(tmp_path / name)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_what_is_cut_short(keras_file: Path, h5_file: Path, share: float) -> None:
    for path in (keras_file, h5_file):
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * share)])
        assert any(word in refusal(path) for word in ("truncated", "damaged"))


def test_a_flipped_bit_is_seen(keras_file: Path) -> None:
    content = bytearray(keras_file.read_bytes())
    content[content.index(b"model.weights.h5") + 3000] ^= 1
    keras_file.write_bytes(content)
    assert "is damaged at model.weights.h5. Save or download it again." in refusal(keras_file)


def test_a_zip_bomb_that_says_so(keras_file: Path) -> None:
    members = members_of(keras_file) | {"assets/zeros": bytes(100 * MIB)}
    write_zip(keras_file, members, zipfile.ZIP_DEFLATED)
    assert "found assets/zeros, which grows from " in refusal(keras_file)
    assert f" to {100 * MIB} bytes. Do not use it." in refusal(keras_file)


def test_a_zip_bomb_that_lies_about_its_size(keras_file: Path) -> None:
    members = members_of(keras_file) | {"assets/zeros": bytes(100 * MIB)}
    write_zip(keras_file, members, zipfile.ZIP_DEFLATED)
    true_size, lie = struct.pack("<I", 100 * MIB), struct.pack("<I", 1 * MIB)
    keras_file.write_bytes(keras_file.read_bytes().replace(true_size, lie))
    assert "damaged" in refusal(keras_file)


def test_a_bomb_inside_the_weights(keras_file: Path, h5_file: Path, tmp_path: Path) -> None:
    with h5py.File(h5_file, "r+") as file:
        file["model_weights/conv"].create_dataset(
            "zeros", shape=(1 << 30,), dtype="f4", chunks=(1 << 20,), compression="gzip"
        )
    assert "found /model_weights/conv/zeros, which grows from 0 to 4294967296 bytes" in refusal(
        h5_file
    )
    members = members_of(keras_file)
    (tmp_path / "weights.h5").write_bytes(members["model.weights.h5"])
    with h5py.File(tmp_path / "weights.h5", "r+") as file:
        file.create_dataset("zeros", shape=(1 << 34,), dtype="f4", chunks=(1 << 20,))
    write_zip(keras_file, members | {"model.weights.h5": (tmp_path / "weights.h5").read_bytes()})
    assert "found /zeros, which grows from 0 to 68719476736 bytes" in refusal(keras_file)


@pytest.mark.parametrize(
    "name",
    ["../outside", "/etc/outside", "assets/../../outside", "C:\\outside", "assets\\..\\outside"],
)
def test_names_that_lead_out_of_the_archive(keras_file: Path, name: str) -> None:
    with zipfile.ZipFile(keras_file, "a") as archive:
        archive.writestr(zipfile.ZipInfo(name), b"content")
    assert f"is not a safe archive: found the file {name!r} outside of it" in refusal(keras_file)


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_two_files_of_one_name(keras_file: Path) -> None:
    with zipfile.ZipFile(keras_file, "a") as archive:
        archive.writestr("config.json", b"{}")
    assert "found two files of one name" in refusal(keras_file)


def test_a_zip_archive_of_something_else(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "model.keras", {"readme.txt": b"hello"})
    assert "is not a .keras file: expected config.json and weights." in refusal(path)
    for config in (b"{", b"[]", b"{}", b'{"class_name": "Sequential"}', b"[" * 100_000):
        write_zip(path, {"config.json": config, "model.weights.h5": b"none"})
        assert refusal(path)


def test_references_to_other_files_in_hdf5(h5_file: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(400))
    with h5py.File(h5_file, "r+") as file:
        file["model_weights/conv/out"] = h5py.ExternalLink("other.h5", "/x")
    assert "refers to data outside itself (/model_weights/conv/out)" in refusal(h5_file)
    with h5py.File(h5_file, "r+") as file:
        del file["model_weights/conv/out"]
        file.create_dataset(
            "out", shape=(100,), dtype="f4", external=[(str(tmp_path / "secret"), 0, 400)]
        )
    assert "refers to data outside itself (/out)" in refusal(h5_file)


def test_weights_alone(tmp_path: Path) -> None:
    model = small()
    model.save_weights(tmp_path / "model.weights.h5")
    assert "has only weights: expected a whole model. Save it with model.save, or " in refusal(
        tmp_path / "model.weights.h5"
    )


def test_a_description_of_the_layers_may_be_as_large_as_the_bound(
    keras_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound = "diamond_cutter.model_inventory.keras.archives._LARGEST_CONFIG_BYTES"
    size = len(members_of(keras_file)["config.json"])
    monkeypatch.setattr(bound, size)
    assert check_keras_archive(keras_file).text
    monkeypatch.setattr(bound, size - 1)
    assert f"expected at most {size - 1} bytes, found {size}." in refusal(keras_file)
