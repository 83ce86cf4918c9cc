"""What Keras saves is loaded; what is damaged, swollen, needs foreign classes or would run code is
refused before Keras sees it.
"""

import json
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from diamond_cutter.model_inventory.errors import BadModel
from diamond_cutter.model_inventory.keras.files import load_keras_model

pytestmark = [
    # Keras turns a variable into an array in a way that NumPy will drop, and warns of what the
    # tests save on purpose.
    pytest.mark.filterwarnings(
        "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
    ),
    pytest.mark.filterwarnings(
        "ignore:The object being serialized includes a `lambda`:UserWarning"
    ),
]
MIB = 1 << 20


def small(*extra: layers.Layer) -> keras.Model:
    keras.backend.clear_session()
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(4, 3, activation="relu", name="conv"),
            *extra,
            layers.Flatten(),
            layers.Dense(2),
        ]
    )


@pytest.fixture
def keras_file(tmp_path: Path) -> Path:
    small().save(tmp_path / "model.keras")
    return tmp_path / "model.keras"


@pytest.fixture
def h5_file(tmp_path: Path) -> Path:
    small().save(tmp_path / "model.h5")
    return tmp_path / "model.h5"


def refusal(path: Path) -> str:
    """Return the sentence that a file is refused with."""
    with pytest.raises(BadModel) as refused:
        load_keras_model(path)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def edit_config(path: Path, edit: Callable[[dict[str, Any]], None]) -> Path:
    """Change the description of the layers in a file."""
    if path.suffix == ".h5":
        with h5py.File(path, "r+") as file:
            config = json.loads(file.attrs["model_config"])
            edit(config)
            file.attrs["model_config"] = json.dumps(config)
        return path
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    edit(config)
    members["config.json"] = json.dumps(config).encode()
    return write_zip(path, members)


def write_zip(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def members_of(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def replace_conv(layer: dict[str, Any]) -> Callable[[dict[str, Any]], None]:
    """Return an edit that puts something in the place of the second layer."""

    def edit(config: dict[str, Any]) -> None:
        config["config"]["layers"][1] = layer

    return edit


@pytest.mark.parametrize("suffix", [".keras", ".h5", ".hdf5"])
def test_a_saved_model_comes_back(tmp_path: Path, suffix: str) -> None:
    model = small()
    model.compile("adam", loss="mse")
    model.fit(np.zeros([2, 8, 8, 3]), np.zeros([2, 2]), verbose=0)
    model.save(tmp_path / f"model{suffix}")
    loaded = load_keras_model(tmp_path / f"model{suffix}")
    image = np.random.default_rng(0).random((1, 8, 8, 3), np.float32)
    np.testing.assert_allclose(loaded(image), model(image), rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_nested_model_with_all_kinds_of_built_in_classes_comes_back(
    tmp_path: Path, suffix: str
) -> None:
    keras.backend.clear_session()
    image = keras.Input((32, 32, 3))
    backbone = keras.applications.MobileNetV2(
        weights=None, input_shape=(32, 32, 3), include_top=False, alpha=0.35
    )
    x = layers.Rescaling(1 / 127.5, offset=-1)(layers.RandomFlip("horizontal")(image))
    x = layers.GlobalAveragePooling2D()(backbone(x))
    x = layers.Dense(
        4,
        activation="silu",
        kernel_initializer=keras.initializers.HeNormal(seed=1),
        kernel_regularizer=keras.regularizers.L2(1e-4),
        kernel_constraint=keras.constraints.MaxNorm(3),
    )(x)
    keras.Model(image, layers.Activation(keras.activations.gelu)(layers.Dropout(0.2)(x))).save(
        tmp_path / f"model{suffix}"
    )
    assert load_keras_model(tmp_path / f"model{suffix}").count_params() > 400_000


def test_a_custom_loss_does_no_harm_since_it_is_not_loaded(tmp_path: Path) -> None:
    def own_loss(expected: tf.Tensor, found: tf.Tensor) -> tf.Tensor:
        return tf.reduce_mean(expected - found)

    model = small()
    model.compile("sgd", loss=own_loss)
    model.save(tmp_path / "model.keras")
    assert load_keras_model(tmp_path / "model.keras").name == model.name


def test_no_such_file_a_folder_and_another_name(tmp_path: Path) -> None:
    assert (
        refusal(tmp_path / "absent.keras")
        == f"file {tmp_path / 'absent.keras'} does not exist. Give a .keras or .h5 file."
    )
    assert "is a folder: expected a .keras or .h5 file." in refusal(tmp_path)
    (tmp_path / "model.onnx").touch()
    assert (
        "is not a Keras file: expected a zip archive or HDF5. Give a .keras or .h5 file."
        in refusal(tmp_path / "model.onnx")
    )


def test_files_are_known_by_their_content(keras_file: Path, h5_file: Path, tmp_path: Path) -> None:
    for source, name in (
        (keras_file, "a.h5"),
        (keras_file, "without"),
        (h5_file, "b.keras"),
        (h5_file, "c.bin"),
    ):
        shutil.copy(source, tmp_path / name)
        assert load_keras_model(tmp_path / name).get_layer("conv").filters == 4


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


def test_weights_of_other_shapes_than_the_layers(keras_file: Path) -> None:
    def more_filters(config: dict[str, Any]) -> None:
        config["config"]["layers"][1]["config"]["filters"] = 5

    assert "cannot be loaded by Keras" in refusal(edit_config(keras_file, more_filters))


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


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_lambda_is_refused_and_does_not_run(tmp_path: Path, suffix: str) -> None:
    small(layers.Lambda(lambda x: x * 2, name="twice")).save(tmp_path / f"model{suffix}")
    path = tmp_path / f"model{suffix}"
    assert refusal(path) == (
        f"{path} has a Lambda (layer twice), which would run code from the file. Replace it by "
        "layers of Keras and save the model again, or export the model with model.export(FOLDER) "
        "and give that folder."
    )


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_lambda_deep_inside_and_one_of_a_function_by_name(tmp_path: Path, suffix: str) -> None:
    inner = keras.Sequential(
        [
            keras.Input((6, 6, 4)),
            layers.TimeDistributed(layers.Lambda(keras.ops.relu, name="by_name")),
        ]
    )
    small(inner).save(tmp_path / f"model{suffix}")
    assert "has a Lambda (layer by_name), which would run code" in refusal(
        tmp_path / f"model{suffix}"
    )


def test_a_lambda_as_keras_2_wrote_it(h5_file: Path) -> None:
    code = [
        "4wEAAAAAAAAAAAAAAAEAAAACAAAAQwAAAHMIAAAAfABkARQAUwApAk7pAgAAAKkAKQHaAXhyAgAAAA==",
        None,
        None,
    ]
    config = {
        "name": "lambda",
        "function": code,
        "function_type": "lambda",
        "output_shape": None,
        "arguments": {},
    }
    assert "has a Lambda (layer lambda)" in refusal(
        edit_config(h5_file, replace_conv({"class_name": "Lambda", "config": config}))
    )


def keras_layer(class_name: str, **config: Any) -> dict[str, Any]:
    return {"class_name": class_name, "module": "keras.layers", "config": config}


def activation(module: str, name: str) -> dict[str, Any]:
    return keras_layer(
        "Activation", activation={"class_name": "function", "module": module, "config": name}
    )


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize(
    ("layer", "sentence"),
    [
        (
            {
                "class_name": "system",
                "module": "os",
                "config": {"command": "true"},
                "registered_name": None,
            },
            "needs the class os.system",
        ),
        (
            {
                "class_name": "Evil",
                "module": "evil",
                "config": {},
                "registered_name": "Custom>Evil",
            },
            "needs the class evil.Evil",
        ),
        (
            {"class_name": "Custom>Evil", "config": {"name": "evil"}},
            "needs the class Custom>Evil (layer evil)",
        ),
        ({"class_name": "Evil", "config": {"name": "evil"}}, "needs the class Evil (layer evil)"),
        (
            {"class_name": "Evil", "module": None, "config": {}, "registered_name": "Evil"},
            "needs the class Evil",
        ),
        (
            {"class_name": "KerasHubThing", "module": "keras_hub.layers", "config": {}},
            "needs the class keras_hub.layers.KerasHubThing",
        ),
        (
            {"class_name": "get_file", "module": "keras.utils", "config": {"origin": "x"}},
            "needs the class keras.utils.get_file",
        ),
        (
            {"class_name": "TFOpLambda", "config": {"name": "tf.math.add"}},
            "was saved by Keras 2 with TensorFlow's operations as layers",
        ),
        (
            keras_layer("TorchModuleWrapper", module="x"),
            "has a TorchModuleWrapper, which would run code",
        ),
        (
            keras_layer("TFSMLayer", name="saved"),
            "has a TFSMLayer (layer saved), which would run code",
        ),
        (keras_layer("StringLookup", vocabulary="/etc/passwd"), "found a StringLookup"),
        (
            keras_layer(
                "Dense", kernel_initializer={"class_name": "__lambda__", "config": {"value": "x"}}
            ),
            "has a Lambda",
        ),
        (
            keras_layer(
                "Dense",
                units={
                    "class_name": "__typespec__",
                    "spec_name": "Popen",
                    "module": "subprocess",
                    "config": [["true"]],
                },
            ),
            "__typespec__",
        ),
        (
            keras_layer("Dense", units={"class_name": "__unheard_of__", "config": {}}),
            "needs the class __unheard_of__",
        ),
        (activation("os", "system"), "needs the function os.system"),
        (activation("keras.utils", "get_file"), "needs the function keras.utils.get_file"),
        (activation("builtins", "my_own"), "needs the function my_own"),
    ],
)
def test_what_would_bring_code_or_needs_it(
    tmp_path: Path, suffix: str, layer: dict[str, Any], sentence: str
) -> None:
    path = tmp_path / f"model{suffix}"
    small().save(path)
    assert sentence in refusal(edit_config(path, replace_conv(layer)))


class Doubled(layers.Layer):
    def call(self, x: tf.Tensor) -> tf.Tensor:
        return x * 2


def test_a_class_of_ones_own_is_named_and_loads_once_it_is_registered(tmp_path: Path) -> None:
    small(Doubled(name="doubled")).save(tmp_path / "model.keras")
    assert refusal(tmp_path / "model.keras").endswith(
        f"needs the class {Doubled.__module__}.Doubled (layer doubled): expected only classes of "
        "Keras, because a file must not bring code. In the program that made the model, export it "
        "with model.export(FOLDER) and give that folder."
    )
    with keras.saving.custom_object_scope({"Doubled": Doubled}):
        assert load_keras_model(tmp_path / "model.keras").get_layer("doubled").name == "doubled"


def test_a_file_is_only_read(keras_file: Path, h5_file: Path, tmp_path: Path) -> None:
    for path in (keras_file, h5_file):
        before = path.read_bytes()
        shutil.copy(path, tmp_path / f"copy{path.suffix}")
        load_keras_model(path)
        assert path.read_bytes() == before
