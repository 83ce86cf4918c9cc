"""Refuses frozen graphs that are damaged, or hold more than constants and operations."""

from pathlib import Path

import tensorflow as tf

from diamond_cutter.model_inventory.errors import BadModel, first_few
from diamond_cutter.model_inventory.graph.allowed_operations import refuse_graph
from diamond_cutter.model_inventory.graph.graph_def import node_name
from diamond_cutter.model_inventory.graph.operation_sets import CALLS, CONTROL_FLOW, VARIABLES

_VARIABLES = VARIABLES | {"ReadVariableOp", "AutoReloadVariable", "TemporaryVariable"}
_CALLS = CALLS | {"SymbolicGradient", "RemoteCall"}


def refuse_broken(graph: tf.compat.v1.GraphDef, path: Path) -> None:
    """Refuse a graph with duplicate or missing nodes.

    Raises:
        BadModel: names the missing node.
    """
    nodes = {node.name: node for node in graph.node}
    if len(nodes) < len(graph.node):
        raise BadModel(
            f"{path} has two nodes of the same name. Give a graph as TensorFlow writes it."
        )
    for node in graph.node:
        missing = [
            node_name(reference) for reference in node.input if node_name(reference) not in nodes
        ]
        if missing:
            raise BadModel(
                f"{path} is truncated or edited: node {node.name!r} reads the missing node "
                f"{missing[0]!r}. Download it again."
            )


def refuse_what_does_not_run(graph: tf.compat.v1.GraphDef, path: Path) -> None:
    """Refuse a graph with variables, branches, calls or forbidden operations; drop its library.

    Raises:
        BadModel: names the operations and their nodes.
    """
    functions = {function.signature.name for function in graph.library.function}
    for ops, what, remedy in (
        (_VARIABLES, "variables", "Freeze it first"),
        (
            CONTROL_FLOW,
            "branches or loops",
            "Freeze it for inference, with constants for their conditions",
        ),
        (
            _CALLS | functions,
            "calls of functions",
            "Freeze it with convert_variables_to_constants_v2, which inlines them",
        ),
    ):
        found = [f"{node.op} in {node.name[:80]}" for node in graph.node if node.op in ops]
        if found:
            raise BadModel(
                f"{path} has {what}: expected only constants and operations, found "
                f"{first_few(found)}. {remedy}."
            )
    refuse_graph(graph, f"{path}")
    graph.ClearField("library")  # nothing calls its functions


def refuse_circles(graph: tf.compat.v1.GraphDef, path: Path) -> None:
    """Refuse a graph in which a node depends on itself.

    Raises:
        BadModel: names nodes of the circle or behind it.
    """
    waiting = {node.name: {node_name(reference) for reference in node.input} for node in graph.node}
    users: dict[str, list[str]] = {name: [] for name in waiting}
    for name, sources in waiting.items():
        for source in sources:
            users[source].append(name)
    ready = [name for name, sources in waiting.items() if not sources]
    done = 0
    while ready:
        done += 1
        name = ready.pop()
        for user in users[name]:
            waiting[user].discard(name)
            if not waiting[user]:
                ready.append(user)
    if done < len(waiting):
        circle = first_few(sorted(name for name, sources in waiting.items() if sources))
        raise BadModel(f"{path} has loops ({circle}). Give a graph that computes every node once.")
