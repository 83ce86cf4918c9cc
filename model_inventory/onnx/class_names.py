"""The names of the classes that an ONNX file holds.

Exporters keep them in three places: in the operator ZipMap, which makes a map of scores; in a
constant of strings, from which the highest class is taken; and as text in the metadata.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from diamond_cutter.model_inventory.onnx.outputs import is_map_of_scores, nodes_before

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

_MOST_CHARACTERS = 1 << 20
_METADATA = "names"
# An entry of `{0: 'ant', 1: "bird's eye"}` or `["ant", "bee"]`, as Python and JSON write them. It
# has no other escapes, which stand for characters that cannot be printed.
_ENTRY = re.compile(
    r"""\s*(?:["']?(\d{1,7})["']?\s*:\s*)?('(?:[^'\\]|\\['"\\])*'|"(?:[^"\\]|\\['"\\])*")\s*(,|$)"""
)


def class_names(model: "ModelProto") -> tuple[str, ...]:
    """Return the names of the classes in a file, in order; none if they are missing or not valid.

    The names are not trusted: text is matched and never evaluated, and names that cannot be printed
    are not valid.
    """
    for names in (_of_maps(model.graph), _of_constants(model.graph), _of_metadata(model)):
        if names and all(name.strip() and name.isprintable() for name in names):
            return tuple(name.strip() for name in names)
    return ()


def _of_maps(graph: "GraphProto") -> list[str]:
    for node in graph.node:
        for attribute in node.attribute:
            if is_map_of_scores(node) and attribute.name == "classlabels_strings":
                return _decoded(attribute.strings)
    return []


def _of_constants(graph: "GraphProto") -> list[str]:
    """Return the only strings that lead to an output."""
    nodes = nodes_before(graph.node, [output.name for output in graph.output])
    read = {name for node in nodes for name in node.input}
    found = [tensor.string_data for tensor in graph.initializer if tensor.name in read]
    found += _strings_of_nodes(nodes)
    lists = [_decoded(strings) for strings in found if strings]
    return lists[0] if len(lists) == 1 else []


def _strings_of_nodes(nodes: Sequence["NodeProto"]) -> Iterator[Sequence[bytes]]:
    for node in nodes:
        if node.op_type == "Constant":
            for attribute in node.attribute:
                yield attribute.strings or attribute.t.string_data


def _decoded(strings: Iterable[bytes]) -> list[str]:
    # Bytes that are no text become characters that cannot be printed.
    return [string.decode("utf-8", "surrogateescape") for string in strings]


def _of_metadata(model: "ModelProto") -> list[str]:
    """Return the names that Ultralytics writes as a dictionary of Python."""
    text = next((entry.value for entry in model.metadata_props if entry.key == _METADATA), "")
    if not isinstance(text, str) or len(text) > _MOST_CHARACTERS:
        return []
    text = text.strip()
    if (text[:1], text[-1:]) not in (("{", "}"), ("[", "]")):
        return []
    names: list[tuple[int, str]] = []
    place, end = 1, len(text) - 1
    while place < end:
        entry = _ENTRY.match(text, place, end)
        if entry is None:
            return []
        number = len(names) if entry[1] is None else int(entry[1])
        names.append((number, re.sub(r"\\(.)", r"\1", entry[2][1:-1])))
        place = entry.end()
    names.sort()
    complete = [number for number, _name in names] == list(range(len(names)))
    return [name for _number, name in names] if complete else []
