"""Models with one planted operation, in each model format, for `tools.plant_operations`."""

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import keras
import numpy as np
import tensorflow as tf
from tensorflow.core.framework import op_def_pb2
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2
from tensorflow.python.framework import op_def_registry

from diamond_cutter.model_inventory.bundle import Bundle, load_bundle
from diamond_cutter.model_inventory.user_models import ImportOptions, import_user_model
from tools.planted_graphs import (
    IMAGE,
    Bait,
    network,
    planted_node,
    planted_operations,
    with_planted,
)

_OPTIONS = ImportOptions(value_range=(0, 1))


@dataclass(frozen=True)
class Place:
    """A place in a model format, and whether the output depends on a number planted there."""

    format: str
    place: str
    on_the_way: bool
    plant: Callable[[str, Bait, Path], None]

    @property
    def title(self) -> str:
        """Name the place."""
        return f"{self.format}, {self.place}"


def places() -> list[Place]:
    """Return all places for an operation."""
    found = [
        Place(".pb", how, how != "waited for", _frozen_graph(how))
        for how in ("alone", "function", "branch", "waited for")
    ]
    for tensorflow in (1, 2):
        for how in ("alone", "function", "branch", "waited for", "initialiser", "restorer"):
            on_the_way = how not in ("waited for", "initialiser", "restorer")
            found.append(
                Place(
                    f"SavedModel of TensorFlow {tensorflow}",
                    how,
                    on_the_way,
                    _saved_model(tensorflow, how),
                )
            )
    for suffix in (".keras", ".h5"):
        # Initialisers that Keras does not have are replaced: the file has the weights.
        found += [
            Place(suffix, how, how != "initialiser", _keras_file(suffix, how))
            for how in ("layer", "function", "initialiser")
        ]
    return [
        *found,
        *(Place("bundle", how, True, _bundle(how)) for how in ("alone", "function", "branch")),
    ]


def _frozen_graph(how: str) -> Callable[[str, Bait, Path], None]:
    def plant(op: str, bait: Bait, folder: Path) -> None:
        file = folder / "model.pb"
        file.write_bytes(with_planted(network(), op, bait, how).SerializeToString())
        import_user_model(file, "planted", (), _OPTIONS)

    return plant


def _saved_model(tensorflow: int, how: str) -> Callable[[str, Bait, Path], None]:
    def plant(op: str, bait: Bait, folder: Path) -> None:
        saved = saved_model_pb2.SavedModel(saved_model_schema_version=1)
        part = saved.meta_graphs.add()
        part.meta_info_def.tags.append("serve")
        graph = network()
        if how in ("initialiser", "restorer"):
            node, inputs = planted_node(op, bait)
            graph.node.extend([*inputs, node])
        else:
            graph = with_planted(graph, op, bait, how)
        if tensorflow == 2:
            graph = _as_function(graph, how)
            part.object_graph_def.nodes.add().user_object.SetInParent()
        part.graph_def.CopyFrom(graph)
        output = "call:0" if tensorflow == 2 else "scores:0"
        _signature(part, "serving_default", {"image": "image:0"}, {"scores": output})
        if how == "initialiser":
            _signature(part, "__saved_model_init_op", {}, {"__saved_model_init_op": "planted"})
            for collection in ("saved_model_main_op", "legacy_init_op", "table_initializer"):
                part.collection_def[collection].node_list.value.append("planted")
        elif how == "restorer":
            part.saver_def.restore_op_name, part.saver_def.filename_tensor_name = (
                "planted",
                "planted/in0:0",
            )
        (folder / "saved").mkdir()
        (folder / "saved" / "saved_model.pb").write_bytes(saved.SerializeToString())
        import_user_model(folder / "saved", "planted", (), _OPTIONS)

    return plant


def _signature(
    part: meta_graph_pb2.MetaGraphDef, name: str, inputs: dict[str, str], outputs: dict[str, str]
) -> None:
    for infos, given, shape in (
        (part.signature_def[name].inputs, inputs, IMAGE),
        (part.signature_def[name].outputs, outputs, [None, 4]),
    ):
        for key, tensor in given.items():
            infos[key].name, infos[key].dtype = tensor, tf.float32.as_datatype_enum
            infos[key].tensor_shape.CopyFrom(tf.TensorShape(shape).as_proto())


def _as_function(graph: tf.compat.v1.GraphDef, how: str) -> tf.compat.v1.GraphDef:
    """Move a graph, except image and initialisers, into a function, as TensorFlow 2 saves it."""
    outside = {"image"} | {
        node.name
        for node in graph.node
        if how in ("initialiser", "restorer") and node.name.startswith("planted")
    }
    result = tf.compat.v1.GraphDef(versions=graph.versions, library=graph.library)
    function = result.library.function.add()
    function.signature.name = "network"
    function.signature.input_arg.add(name="image", type=tf.float32.as_datatype_enum)
    function.signature.output_arg.add(name="scores", type=tf.float32.as_datatype_enum)
    function.ret["scores"] = "scores:softmax:0"
    inside = [node for node in graph.node if node.name not in outside]
    result.node.extend(node for node in graph.node if node.name in outside)
    names = {node.name: op_def_registry.get(node.op) for node in inside}
    for node in inside:
        copy = function.node_def.add()
        copy.CopyFrom(node)
        copy.input[:] = [_in_function(reference, names) for reference in node.input]
    call = result.node.add(name="call", op="StatefulPartitionedCall", input=["image"])
    call.attr["f"].func.name = "network"
    for attr in ("Tin", "Tout"):
        call.attr[attr].list.type.append(tf.float32.as_datatype_enum)
    return result


def _in_function(reference: str, names: dict[str, op_def_pb2.OpDef]) -> str:
    name, _, place = reference.partition(":")
    if name.startswith("^") or name not in names:
        return reference
    return f"{name}:{names[name].output_arg[int(place or 0)].name}:0"


def _keras_config(op: str, how: str) -> dict[str, object]:
    """Return a Keras configuration that names an operation as layer, function or initialiser."""
    model = keras.Sequential(
        [keras.Input((16, 16, 3)), keras.layers.Conv2D(4, 3, activation="relu", name="conv")]
    )
    config = json.loads(model.to_json())
    layer = next(each for each in config["config"]["layers"] if each["class_name"] == "Conv2D")
    if how == "layer":
        layer |= {"class_name": op, "module": "tensorflow.raw_ops", "registered_name": None}
    else:
        named = {
            "module": "tensorflow.raw_ops",
            "class_name": "function",
            "config": op,
            "registered_name": op,
        }
        layer["config"]["activation" if how == "function" else "kernel_initializer"] = named
    return dict(config)


def _keras_file(suffix: str, how: str) -> Callable[[str, Bait, Path], None]:
    def plant(op: str, bait: Bait, folder: Path) -> None:
        file, config = folder / f"model{suffix}", json.dumps(_keras_config(op, how))
        weights = io.BytesIO()
        with h5py.File(weights, "w") as opened:
            opened.create_group("model_weights" if suffix == ".h5" else "layers")
            if suffix == ".h5":
                opened.attrs["model_config"] = config
        if suffix == ".h5":
            file.write_bytes(weights.getvalue())
        else:
            with zipfile.ZipFile(file, "w") as archive:
                archive.writestr("config.json", config)
                archive.writestr("metadata.json", "{}")
                archive.writestr("model.weights.h5", weights.getvalue())
        import_user_model(file, "planted", (), _OPTIONS)

    return plant


def _bundle(how: str) -> Callable[[str, Bait, Path], None]:
    sound: list[Bundle] = []

    def plant(op: str, bait: Bait, folder: Path) -> None:
        if not sound:
            (folder / "sound.pb").write_bytes(network().SerializeToString())
            sound.append(import_user_model(folder / "sound.pb", "sound", (), _OPTIONS).bundle)
        data = with_planted(network(), op, bait, how).SerializeToString()
        card = sound[0].card.model_copy(update={"graph_sha256": hashlib.sha256(data).hexdigest()})
        load_bundle(card.model_dump_json().encode(), data)

    return plant


def cases(seed: int, sample: int | None) -> Iterator[tuple[str, Place]]:
    """Yield pairs of operation and place: all pairs, or a sample that covers every place."""
    every = [(op, place) for place in places() for op in planted_operations()]
    if sample is None:
        yield from every
        return
    order = np.random.default_rng(seed).permutation(len(every))
    by_place: dict[str, int] = {}
    share = max(sample // len(places()), 1)
    for number in order:
        op, place = every[number]
        if by_place.setdefault(place.title, 0) < share:
            by_place[place.title] += 1
            yield op, place
