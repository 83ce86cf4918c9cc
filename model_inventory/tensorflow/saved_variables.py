"""Reads the variables of a SavedModel from its checkpoint as data, without running operations."""

import re
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt
import tensorflow as tf
from tensorflow.core.protobuf import trackable_object_graph_pb2

from diamond_cutter.errors import first_line
from diamond_cutter.model_inventory.errors import BadModel
from diamond_cutter.model_inventory.graph.graph_def import constant_value, node_name, output_index
from diamond_cutter.model_inventory.graph.operation_sets import PASS_THROUGH

_ASSIGNS = {"Assign", "AssignVariableOp"}


def variable_values(
    folder: Path, restoring: tf.compat.v1.GraphDef, variables: Collection[str]
) -> dict[str, npt.NDArray[Any]]:
    """Return the values of variables, by the names of their nodes.

    Args:
        folder: of the SavedModel; its checkpoint is `variables/variables`.
        restoring: the operations that would restore the variables, which contain their names in the
            checkpoint.
        variables: names of nodes.

    Raises:
        BadModel: the checkpoint is missing, damaged, or lacks a variable.
    """
    if not variables:
        return {}
    place = folder / "variables"
    if not (place / "variables.index").is_file() or not any(place.glob("variables.data-*")):
        raise BadModel(
            f"{folder} lacks its weights: expected variables.index and variables.data-* in its "
            "folder variables. Copy the whole folder."
        )
    _check_regular_files(place)
    saved_as = _saved_as(restoring)
    if any(name not in saved_as for name in variables):
        saved_as = _saved_under_names(folder) | saved_as
    missing = [name for name in variables if name not in saved_as]
    if missing:
        raise BadModel(
            f"{folder} does not say where the values of {missing[0][:80]!r} are saved. Export it "
            "again."
        )
    return _restored(folder, {name: saved_as[name] for name in variables})


def _saved_under_names(folder: Path) -> dict[str, tuple[str, str]]:
    """Return, by the names of variables, the names in the checkpoint, and no parts.

    TensorFlow restores copies of Keras 3's variables if a module holds these in a list. Then only
    the checkpoint says whose values it has.
    """
    saved = trackable_object_graph_pb2.TrackableObjectGraph()
    try:
        reader = tf.train.load_checkpoint(str(folder / "variables" / "variables"))
        saved.ParseFromString(reader.get_tensor("_CHECKPOINTABLE_OBJECT_GRAPH"))
    except Exception:  # TensorFlow raises anything for a contradictory checkpoint
        return {}
    values = [
        attribute
        for node in saved.nodes
        for attribute in node.attributes
        if attribute.name == "VARIABLE_VALUE"
    ]
    times = Counter(value.full_name for value in values)
    return {
        value.full_name: (value.checkpoint_key, "")
        for value in values
        if times[value.full_name] == 1
    }


def _restored(folder: Path, saved_as: Mapping[str, tuple[str, str]]) -> dict[str, npt.NDArray[Any]]:
    try:
        reader = tf.train.load_checkpoint(str(folder / "variables" / "variables"))
        return {name: _part(reader.get_tensor(key), part) for name, (key, part) in saved_as.items()}
    except BadModel:
        raise
    except Exception as error:  # TensorFlow raises anything for a contradictory checkpoint
        raise BadModel(
            f"{folder} cannot be loaded ({first_line(error)}). Export or copy it again."
        ) from error


def _check_regular_files(folder: Path) -> None:
    """Refuse a folder that holds anything but folders, regular files, and links to these."""
    for path in sorted(folder.iterdir()):
        if not path.is_file() and not path.is_dir():
            raise BadModel(
                f"{folder} has an invalid file: expected regular files, found {path.name[:80]!r}, "
                "a pipe, a device or a broken link. Remove it."
            )


def _saved_as(restoring: tf.compat.v1.GraphDef) -> dict[str, tuple[str, str]]:
    """Return, by variables' nodes, the names in the checkpoint and the saved parts."""
    nodes = {node.name: node for node in restoring.node}
    found: dict[str, tuple[str, str]] = {}
    for node in restoring.node:
        if node.op in _ASSIGNS and len(node.input) == 2:
            variable, value = (_source(nodes, reference) for reference in node.input)
            restore = nodes[node_name(value)]
            if restore.op == "RestoreV2" and len(restore.input) == 3:
                names, parts = (_texts(nodes, reference) for reference in restore.input[1:])
                place = output_index(value)
                if place < min(len(names), len(parts)):
                    found.setdefault(node_name(variable), (names[place], parts[place]))
    return found


def _source(nodes: Mapping[str, tf.compat.v1.NodeDef], reference: str) -> str:
    """Return the tensor behind identities and reshapes."""
    for _ in range(len(nodes)):
        node = nodes[node_name(reference)]
        if node.op not in PASS_THROUGH or not node.input:
            break
        reference = node.input[0]
    return reference


def _texts(nodes: Mapping[str, tf.compat.v1.NodeDef], reference: str) -> list[str]:
    node = nodes[node_name(_source(nodes, reference))]
    if node.op != "Const" or node.attr["dtype"].type != tf.string.as_datatype_enum:
        return []
    return [text.decode(errors="replace") for text in constant_value(node).ravel()]


def _part(value: npt.NDArray[Any], part: str) -> npt.NDArray[Any]:
    """Return a part of a saved variable, such as `10 20 0,5:-`: its shape, then slices."""
    if not part:
        return value
    slices = part.split(" ")[-1].split(":")
    if len(slices) != value.ndim or not all(re.fullmatch(r"-|\d+,\d+", each) for each in slices):
        raise BadModel(
            "it saves a variable in an unknown form: expected slices such as '10 20 0,5:-', found "
            f"{part[:80]!r}"
        )
    ranges = [
        slice(None)
        if each == "-"
        else slice(int(each.split(",")[0]), sum(map(int, each.split(","))))
        for each in slices
    ]
    return value[tuple(ranges)]
