"""Finds the layers of a frozen graph, their kinds, the main layers and the logits.

A *unit* is an operation that mixes or moves values (a convolution, a pool, a sum of branches) with
the element-wise operations after it: bias, normalisation, activation function. A *cut* is a value
that every path from the image to the output passes, such as the output of a block.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import tensorflow as tf

from diamond_cutter.model_inventory.card import LayerKind, NamedLayer
from diamond_cutter.model_inventory.graph.graph_def import in_forward_order, node_name
from diamond_cutter.model_inventory.graph.operation_sets import (
    ACTIVATIONS,
    BATCH_NORMS,
    PASS_THROUGH,
    PROBABILITIES,
)

_KINDS: Mapping[str, LayerKind] = {
    "Conv2D": "convolution",
    "Conv2DBackpropInput": "convolution",
    "DepthwiseConv2dNative": "depthwise",
    "MatMul": "dense",
    "MaxPool": "pooling",
    "MaxPoolV2": "pooling",
    "AvgPool": "pooling",
    "Mean": "pooling",
    "Max": "pooling",
    "ConcatV2": "block",
}
_SUMS_AND_PRODUCTS = {
    "Add",
    "AddV2",
    "AddN",
    "Sub",
    "Mul",
    "RealDiv",
    "Maximum",
    "Minimum",
    "SquaredDifference",
    "BiasAdd",
}
# Element-wise operations, also with constants for each channel.
_ONE_BY_ONE = (
    _SUMS_AND_PRODUCTS
    | ACTIVATIONS
    | BATCH_NORMS
    | frozenset(
        (
            "Identity StopGradient Cast Neg Exp Erf Erfc Square Sqrt Rsqrt Pow ClipByValue LRN"
        ).split()
    )
)
# Endings of names that are dropped if the rest is unique.
_PLAIN_ENDINGS = re.compile(
    r"/(Relu6?|BiasAdd|Identity|Conv2D|convolution|concat|FusedBatchNorm(V\d)?|batchnorm/add_1|MaxPool|AvgPool|MatMul)$"
)
_FEW_CUTS = 3


class Structure:
    """The structure of a frozen graph between its image and its output."""

    def __init__(self, graph: tf.compat.v1.GraphDef, input_tensor: str, output_tensor: str) -> None:
        self._nodes = {node.name: node for node in in_forward_order(graph)}
        self._output = node_name(output_tensor)
        computed = {node_name(input_tensor)}
        for name, node in self._nodes.items():
            if any(node_name(reference) in computed for reference in node.input):
                computed.add(name)
        self._inputs = {
            name: [source for source in map(node_name, node.input) if source in computed]
            for name, node in self._nodes.items()
        }
        needed = computed & self._ancestors(self._output)
        self._on_the_way = [name for name in self._nodes if name in needed]
        self._users: dict[str, list[str]] = defaultdict(list)
        for name in self._on_the_way:
            for source in set(self._inputs[name]):
                self._users[source].append(name)
        self._units = self._find_units()

    def layers(self) -> list[NamedLayer]:
        """Return a layer for each unit, with the last value and the name of its operations."""
        last: dict[str, str] = {}
        for name in self._on_the_way:
            unit = self._units[name]
            # A side branch does not count, such as one of many normalisations of a concatenation.
            if name == unit or last.get(unit) in self._inputs[name]:
                last[unit] = name
        made = [
            unit
            for unit in last
            if self._nodes[unit].op not in PROBABILITIES
            and self._kind(unit) not in ("other", "pooling")
        ]
        found = [last[unit] for unit in made]
        short = {name: _PLAIN_ENDINGS.sub("", name) for name in found}
        times = Counter(short.values())
        return [
            NamedLayer(short[name] if times[short[name]] == 1 else name, f"{name}:0")
            for name in found
        ]

    def described(
        self, layers: Sequence[NamedLayer], spatial: Mapping[str, bool]
    ) -> list[NamedLayer]:
        """Return layers with their kinds, and with the main layers marked.

        Args:
            layers: in forward order. If the importer marked main layers, they are kept.
            spatial: by layers' names, whether a layer has rows and columns.
        """
        kinds = [
            layer.kind or self._kind(self._units.get(self.value(layer), "")) for layer in layers
        ]
        known = any(layer.main is not None for layer in layers)
        main = set() if known else self._main([layer for layer in layers if spatial[layer.name]])
        return [
            replace(layer, kind=kind, main=bool(layer.main) if known else layer.name in main)
            for layer, kind in zip(layers, kinds, strict=True)
        ]

    def ending(self) -> list[str]:
        """Return the nodes from the output back to the scores, through softmax and reshapes."""
        found = [self._output]
        skipped = PROBABILITIES | PASS_THROUGH
        while self._nodes[found[-1]].op in skipped and self._inputs[found[-1]]:
            found.append(self._inputs[found[-1]][0])
        return found

    def scores(self) -> tuple[list[str], str | None]:
        """Return the nodes of the scores, from the output back, and what is applied to them last.

        The latter is an operation such as `Softmax`, or None.
        """
        ending = self.ending()
        operations = [self._nodes[name].op for name in ending]
        applied = [place for place, op in enumerate(operations) if op in PROBABILITIES]
        if not applied:
            return ending, None
        return ending[applied[-1] + 1 :], str(operations[applied[-1]])

    def logits(self, ranks: Mapping[str, int]) -> str | None:
        """Return the tensor of the logits, or None if the output is not a vector of scores.

        Args:
            ranks: of the nodes of `ending`: 2 for `[batch, class]`.
        """
        scores, _activation = self.scores()
        vectors = [name for name in scores if ranks[name] == 2]
        return (
            f"{vectors[0]}:0"
            if vectors and self._kind(self._units[self.ending()[-1]]) != "pooling"
            else None
        )

    def kind(self, tensor: str) -> LayerKind:
        """Return the kind of the operation that makes a tensor."""
        return self._kind(self._units.get(node_name(tensor), ""))

    def ends_linearly(self) -> bool:
        """Tell whether a convolution or dense layer makes the scores, without a ReLU or such."""
        last = self.ending()[-1]
        return (
            self._kind(self._units[last]) in ("convolution", "dense")
            and self._nodes[last].op not in ACTIVATIONS
        )

    def forward_path(self, tensor: str | None = None) -> list[tf.compat.v1.NodeDef]:
        """Return the nodes from the image to a tensor, or the output, without constants."""
        ancestors = self._ancestors(node_name(tensor) if tensor else self._output)
        return [self._nodes[name] for name in self._on_the_way if name in ancestors]

    def value(self, layer: NamedLayer) -> str:
        """Return the node that computes a layer, behind identities that only name it."""
        name = node_name(layer.tensor)
        while (
            name not in self._users
            and name != self._output
            and self._nodes[name].op == "Identity"
            and self._inputs[name]
        ):
            name = self._inputs[name][0]
        return name

    def inputs(self, node: str) -> list[str]:
        """Return the names of the inputs of a node that depend on the image."""
        return self._inputs[node]

    def _ancestors(self, name: str) -> set[str]:
        found: set[str] = set()
        pending = [name]
        while pending:
            current = pending.pop()
            if current not in found:
                found.add(current)
                pending.extend(self._inputs[current])
        return found

    def _find_units(self) -> dict[str, str]:
        """Return, for each node, the node that begins its unit."""
        units: dict[str, str] = {}
        for name in self._on_the_way:
            before = {units[source] for source in self._inputs[name] if source in units}
            units[name] = (
                before.pop() if len(before) == 1 and self._nodes[name].op in _ONE_BY_ONE else name
            )
        return units

    def _kind(self, unit: str) -> LayerKind:
        if unit not in self._nodes:
            return "other"
        op = self._nodes[unit].op
        if op in _SUMS_AND_PRODUCTS:
            return "block"
        if op in PROBABILITIES:
            return self._kind(self._units[self._inputs[unit][0]])
        return _KINDS.get(op, "other")

    def _cuts(self) -> set[str]:
        """Return the nodes that no edge bypasses."""
        place = {name: index for index, name in enumerate(self._on_the_way)}
        cuts, furthest = set(), 0
        for index, name in enumerate(self._on_the_way):
            if furthest <= index:
                cuts.add(name)
            furthest = max([furthest, *(place[user] for user in self._users[name])])
        return cuts

    def _main(self, layers: Sequence[NamedLayer]) -> set[str]:
        """Return the names of the main layers: outputs of blocks, and layers outside of blocks."""
        made = [(layer, self.value(layer)) for layer in layers]
        made = [
            (layer, value)
            for layer, value in made
            if self._kind(self._units.get(value, "")) in ("convolution", "depthwise", "block")
        ]
        cuts = self._cuts()
        chosen = [
            (layer, value)
            for layer, value in made
            if value in cuts and not self._is_added_to(value)
        ]
        if len({self._units[value] for _, value in chosen}) <= _FEW_CUTS:
            # Blocks that also read the block before the last, as in NASNet, leave no cuts.
            blocks = [
                (layer, value)
                for layer, value in made
                if self._nodes[value].op == "ConcatV2" and not self._is_added_to(value)
            ]
            ordered = {
                layer.name: (layer, value)
                for layer, value in made
                if (layer, value) in chosen + blocks
            }
            chosen = list(ordered.values())
        last_of_unit = {self._units[value]: layer.name for layer, value in chosen}
        return set(last_of_unit.values())

    def _is_added_to(self, value: str) -> bool:
        """Tell whether a concatenation is an inner one of a dense block."""
        if self._nodes[self._units[value]].op != "ConcatV2":
            return False
        return any(self._nodes[user].op == "ConcatV2" for user in self._users[value])
