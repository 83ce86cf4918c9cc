"""Reads a `.pb` file as a GraphDef, or names what the file holds instead."""

import os
from pathlib import Path

import tensorflow as tf

from diamond_cutter.model_inventory.errors import BadModel
from diamond_cutter.regular_files import open_regular

_MAX_BYTES = 2**31 - 1


def read_graph_file(path: Path) -> tf.compat.v1.GraphDef:
    """Return the graph in a file, without any change.

    Raises:
        BadModel: the file is missing, unreadable or not a graph; the text says what it is instead.
    """
    if path.is_dir():
        raise BadModel(
            f"{path} is a folder: expected the .pb file of a frozen graph. Give that file."
        )
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size > _MAX_BYTES:
                raise BadModel(
                    f"{path} is too large: expected at most {_MAX_BYTES} bytes, found {size}. "
                    "Give a smaller graph."
                )
            data = file.read()
    except FileNotFoundError as error:
        raise BadModel(
            f"file {path} does not exist. Give the .pb file of a frozen graph."
        ) from error
    except OSError as error:
        raise BadModel(
            f"{path} cannot be read ({error.strerror or error}). Give a readable regular file."
        ) from error
    graph = tf.compat.v1.GraphDef()
    try:
        graph.ParseFromString(data)
    except Exception as error:  # protobuf's own, whose package is Google's
        raise BadModel(f"{path} {_what_else(data)}") from error
    if not graph.node:
        raise BadModel(f"{path} {_what_else(data)}")
    return graph


def _what_else(data: bytes) -> str:
    """Return the problem and remedy of bytes that are not a graph."""
    if not data:
        return "is empty. Download it again."
    if data[:2] == b"\x1f\x8b":
        return "is packed by gzip. Unpack it first."
    if data.lstrip()[:6] == b"node {":
        return "is a graph as text: expected a binary graph. Give the binary .pb file."
    if data[:100].lstrip().lower().startswith((b"<!doctype", b"<html")):
        return "is a web page: expected a frozen graph. Download the file itself."
    if data.startswith(b"version https://git-lfs"):
        return (
            "is a pointer of Git LFS: expected the file itself. Run `git lfs pull` to download it."
        )
    if _is_saved_model(data):
        return (
            "is a part of a SavedModel: expected a frozen graph. Give the folder of the SavedModel."
        )
    return (
        "is truncated or not a frozen graph: expected a binary GraphDef. Download it again, or "
        "give another .pb file."
    )


def _is_saved_model(data: bytes) -> bool:
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel()
    try:
        saved.ParseFromString(data)
    except Exception:  # whatever else it is
        return False
    return any(part.graph_def.node for part in saved.meta_graphs)
