"""Replaces calls by the bodies of functions in the protocol buffer; nothing is imported or run."""

from collections.abc import Callable, Iterable, Sequence

import tensorflow as tf
from tensorflow.core.framework import function_pb2
from tensorflow.python.framework import op_def_registry

from diamond_cutter.model_inventory.errors import BadModel
from diamond_cutter.model_inventory.graph.graph_def import attribute, node_name, tensor_name
from diamond_cutter.model_inventory.graph.operation_sets import CALLS

# Functions that call others twice, repeatedly, make graphs of any size.
_MOST_NODES, _DEEPEST = 200_000, 100


def inlined(
    graph: tf.compat.v1.GraphDef, tensors: Sequence[str], operations: Sequence[str] = ()
) -> tuple[tf.compat.v1.GraphDef, list[str]]:
    """Return the part of a graph that computes some tensors, without calls, and their new names.

    A node of a function is named by its call and its own name: `call/conv`. The part also contains
    nodes that are only control inputs, but no control inputs.

    Args:
        graph: a graph with its library of functions.
        tensors: such as `call:1`.
        operations: nodes to keep, even without a tensor.

    Raises:
        BadModel: a node is missing, a function calls itself, or there are too many nodes.
    """
    inliner = _Inliner({function.signature.name: function for function in graph.library.function})
    inliner.add_nodes("", _needed(graph, [*map(node_name, tensors), *operations]), tensor_name, ())
    return inliner.result(graph), [inliner.behind(tensor_name(tensor)) for tensor in tensors]


class _Inliner:
    """The nodes so far, and the tensors behind arguments and calls."""

    def __init__(self, functions: dict[str, function_pb2.FunctionDef]) -> None:
        self._functions = functions
        self._nodes: list[tf.compat.v1.NodeDef] = []
        self._passed_on: dict[str, str] = {}
        self._count = 0

    def add_nodes(
        self,
        prefix: str,
        nodes: Iterable[tf.compat.v1.NodeDef],
        flat: Callable[[str], str],
        calling: tuple[str, ...],
    ) -> None:
        """Add nodes and those of called functions; `flat` converts references to tensor names."""
        for node in nodes:
            inputs = [flat(reference) for reference in node.input if not reference.startswith("^")]
            called = attribute(node, "f").func.name if node.op in CALLS else node.op
            self._count += 1
            if self._count > _MOST_NODES:
                raise BadModel(
                    f"its functions are too large: expected at most {_MOST_NODES:,} operations"
                )
            if called in self._functions:
                self._add_call(f"{prefix}{node.name}", self._functions[called], inputs, calling)
                continue
            if node.op in CALLS:
                raise BadModel(f"it calls the missing function {called[:80]!r}")
            if any(value.placeholder for value in node.attr.values()):
                raise BadModel(
                    "it calls a function whose types are not fixed "
                    f"({calling[-1] if calling else node.name})"
                )
            copy = tf.compat.v1.NodeDef()
            copy.CopyFrom(node)
            copy.name, copy.input[:] = f"{prefix}{node.name}", inputs
            self._nodes.append(copy)

    def _add_call(
        self,
        call: str,
        function: function_pb2.FunctionDef,
        inputs: Sequence[str],
        calling: tuple[str, ...],
    ) -> None:
        signature = function.signature
        if signature.name in calling or len(calling) == _DEEPEST:
            raise BadModel(
                "its functions call themselves or are nested too deeply: expected at most "
                f"{_DEEPEST} levels ({signature.name[:80]})"
            )
        if len(inputs) != len(signature.input_arg):
            raise BadModel(
                f"it calls {signature.name[:80]!r} with the wrong number of arguments: expected "
                f"{len(signature.input_arg)}, found {len(inputs)}"
            )
        nodes = {node.name: node for node in function.node_def}

        def flat(reference: str) -> str:
            name, _, output = reference.partition(":")
            if not output:
                return f"{call}/{name}:0"  # an argument
            if name not in nodes:
                raise BadModel(
                    f"the function {signature.name[:80]!r} reads the missing node "
                    f"{reference[:80]!r}"
                )
            return f"{call}/{name}:{self._place(nodes[name], output)}"

        for argument, given in zip(signature.input_arg, inputs, strict=True):
            self._passed_on[f"{call}/{argument.name}:0"] = given
        for place, returned in enumerate(signature.output_arg):
            self._passed_on[f"{call}:{place}"] = flat(function.ret[returned.name])
        self.add_nodes(f"{call}/", function.node_def, flat, (*calling, signature.name))

    def _place(self, node: tf.compat.v1.NodeDef, output: str) -> int:
        """Return the index among a node's tensors of an output such as `y:1`, the second of y."""
        name, _, index = output.partition(":")
        known = (
            self._functions[node.op].signature
            if node.op in self._functions
            else op_def_registry.get(node.op)
        )
        place = 0
        for argument in known.output_arg if known else ():
            if argument.name == name:
                break
            if argument.number_attr:
                place += max(attribute(node, argument.number_attr).i, 0)
            else:
                place += (
                    len(attribute(node, argument.type_list_attr).list.type)
                    if argument.type_list_attr
                    else 1
                )
        return place + (int(index) if index.isdecimal() else 0)

    def behind(self, tensor: str) -> str:
        """Return the computed tensor behind arguments and calls."""
        for _ in range(len(self._passed_on) + 1):
            if tensor not in self._passed_on:
                return tensor
            tensor = self._passed_on[tensor]
        raise BadModel(f"its functions only return their arguments ({node_name(tensor)[:80]})")

    def result(self, graph: tf.compat.v1.GraphDef) -> tf.compat.v1.GraphDef:
        """Return the nodes as a graph."""
        flat = tf.compat.v1.GraphDef(versions=graph.versions)
        flat.node.extend(self._nodes)
        names = {node.name for node in flat.node}
        if len(names) < len(flat.node):
            raise BadModel("it has two operations of the same name")
        for node in flat.node:
            node.input[:] = [self.behind(reference).removesuffix(":0") for reference in node.input]
            missing = [reference for reference in node.input if node_name(reference) not in names]
            if missing:
                raise BadModel(f"{node.name[:80]!r} reads the missing node {missing[0][:80]!r}")
        return flat


def _needed(graph: tf.compat.v1.GraphDef, names: Iterable[str]) -> list[tf.compat.v1.NodeDef]:
    """Return the named nodes and all their inputs, in the order of the graph."""
    nodes = {node.name: node for node in graph.node}
    wanted: set[str] = set()
    pending = list(names)
    while pending:
        name = pending.pop()
        if name not in nodes:
            raise BadModel(f"it reads the missing node {name[:80]!r}")
        if name not in wanted:
            wanted.add(name)
            pending.extend(map(node_name, nodes[name].input))
    return [node for node in graph.node if node.name in wanted]
