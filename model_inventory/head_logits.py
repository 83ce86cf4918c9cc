"""Decides how the scores of a user's model are read, and completes its graph with logits."""

from collections.abc import Sequence
from dataclasses import dataclass

import tensorflow as tf

from diamond_cutter.model_inventory.card import ClassLabel, ImageSpec
from diamond_cutter.model_inventory.graph.graph_def import run_inside
from diamond_cutter.model_inventory.graph.layer_discovery import Structure
from diamond_cutter.model_inventory.graph.logit_nodes import LogitTensors, add_logits
from diamond_cutter.model_inventory.heads import Head, HeadKind, Output, choice_in_words

_Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class HeadRequest:
    """What the user says about the head, and what the file does.

    labels: the names of the classes, or of the values of a regression.
    outputs: all outputs; empty if the file has one only.
    output: the chosen one.
    named: whether the user chose it.
    regression: whether the scores are values, not classes.
    """

    labels: tuple[ClassLabel, ...] = ()
    outputs: tuple[Output, ...] = ()
    output: Output | None = None
    named: bool = False
    regression: bool = False


@dataclass(frozen=True)
class HeadedGraph:
    """A graph with its logits.

    logits: their tensors, or None if the output shows where they are, or there are none.
    guesses: a clause about each guess.
    """

    graph: tf.compat.v1.GraphDef
    logits: LogitTensors | None
    labels: tuple[ClassLabel, ...]
    head: Head | None
    guesses: tuple[str, ...]


@dataclass(frozen=True)
class _Scores:
    """The values before the last softmax or sigmoid.

    plain: whether `Structure.logits` finds them: a vector that is not the average of features.
    linear: whether a layer without activation function makes them.
    picture: whether they look like a picture, as of an autoencoder.
    activation: the operation that is applied to them, or None.
    """

    tensor: str
    shape: _Shape
    plain: bool
    linear: bool
    picture: bool
    activation: str | None


def with_head(
    graph: tf.compat.v1.GraphDef,
    input_tensor: str,
    output_tensor: str,
    image: ImageSpec,
    asked: HeadRequest = HeadRequest(),
) -> HeadedGraph:
    """Return a graph with one vector of logits, if its scores can be read as such.

    One score with a sigmoid or two labels becomes the logits of two classes. One score without
    them is a value. Scores at many positions are averaged, if a softmax, a sigmoid or the user says
    that they are scores.

    Args:
        graph: constants, operations and the placeholder `input_tensor`.
        input_tensor: the placeholder.
        output_tensor: the chosen output.
        image: the format of its images.
        asked: what is known of the head.
    """
    scores = _scores(graph, input_tensor, output_tensor, image)
    kind = _kind(scores, asked) if scores else None
    guesses = []
    if asked.output and len(asked.outputs) > 1 and not asked.named:
        guesses.append(choice_in_words(asked.output, asked.outputs))
    if scores is None or kind is None:
        head = _head("classes", averaged=False, asked=asked)
        return HeadedGraph(graph, None, asked.labels, head, tuple(guesses))
    averaged = any(side != 1 for side in scores.shape[:-1])
    guesses += _guesses(kind, averaged, asked)
    logits = None if scores.plain else LogitTensors(scores.tensor, output_tensor)
    if kind == "two classes" or len(scores.shape) > 1:
        two_classes = kind == "two classes"
        activation = "Softmax" if two_classes else scores.activation
        graph, logits = add_logits(
            graph, scores.tensor, scores.shape, two_classes=two_classes, activation=activation
        )
    return HeadedGraph(
        graph,
        logits,
        _labels(kind, asked.labels),
        _head(kind, averaged=averaged, asked=asked),
        tuple(guesses),
    )


def _kind(scores: _Scores, asked: HeadRequest) -> HeadKind | None:
    """Return how the scores are read, or None if they look like features, not scores."""
    if asked.regression:
        return "values"
    classifies = scores.activation is not None and not scores.picture
    told = classifies or asked.named or bool(asked.labels)
    # A convolution of one position, as of fully convolutional classifiers.
    alone = scores.linear and set(scores.shape[:-1]) == {1}
    if not (scores.plain or told or alone):
        return None
    if scores.shape[-1] != 1:
        return "classes"
    two_classes = scores.activation is not None or len(asked.labels) == 2
    return "two classes" if two_classes else "values"


def _labels(kind: HeadKind, labels: tuple[ClassLabel, ...]) -> tuple[ClassLabel, ...]:
    if kind == "two classes" and len(labels) == 1:
        return (ClassLabel(name=f"not {labels[0].name}"), *labels)
    return labels


def _head(kind: HeadKind, *, averaged: bool, asked: HeadRequest) -> Head | None:
    several = len(asked.outputs) > 1
    if kind == "classes" and not averaged and not several:
        return None
    return Head(
        kind=kind,
        averaged=averaged,
        output=asked.output.name if asked.output and several else None,
        outputs=asked.outputs if several else (),
    )


def _guesses(kind: HeadKind, averaged: bool, asked: HeadRequest) -> list[str]:
    guesses = []
    if averaged:
        guesses.append(
            "that its scores at each position are those of classes; a class is explained by its "
            "mean score over the picture"
        )
    if kind == "two classes":
        names = [label.name for label in _labels(kind, asked.labels)]
        first, second = names if len(names) == 2 else ("0", "1")  # other numbers are refused later
        guesses.append(
            f"that its one score counts for class {second} and against class {first}"
            + ("" if asked.labels else "; give --labels to name them")
        )
    if kind == "values" and not asked.regression:
        guesses.append(
            "that its one output is a value, not a choice of two classes; if it is a choice, "
            "remove the model and add it again with two names in --labels"
        )
    return guesses


def _scores(
    graph: tf.compat.v1.GraphDef, input_tensor: str, output_tensor: str, image: ImageSpec
) -> _Scores | None:
    """Return the scores of a graph, or None if their number is unknown."""
    structure = Structure(graph, input_tensor, output_tensor)
    ending = structure.ending()
    shapes = dict(
        zip(
            ending,
            _shapes(graph, input_tensor, image, [f"{node}:0" for node in ending]),
            strict=True,
        )
    )
    nodes, activation = structure.scores()
    known = [node for node in nodes if shapes[node] and shapes[node][-1]]
    if not known:
        return None
    vectors = [node for node in known if len(shapes[node]) == 1]
    node = (vectors or known)[0]
    ranks = {name: len(shape) + 1 for name, shape in shapes.items()}
    plain = structure.logits(ranks) == f"{node}:0"
    # A log-softmax of logits has the softmax of their mean.
    applied = "Softmax" if activation == "LogSoftmax" else activation
    picture = (
        activation == "Sigmoid"
        and len(shapes[node]) == 3
        and shapes[node][-1] == image.channels > 1
    )
    return _Scores(f"{node}:0", shapes[node], plain, structure.ends_linearly(), picture, applied)


def _shapes(
    graph: tf.compat.v1.GraphDef, input_tensor: str, image: ImageSpec, tensors: Sequence[str]
) -> list[_Shape]:
    """Return the shapes of tensors for one image; empty where the rank is unknown."""
    with tf.Graph().as_default():
        images = tf.compat.v1.placeholder(tf.float32, [None, *image.shape])
        try:
            found = run_inside(graph, input_tensor, images, tensors)
        except (ValueError, tf.errors.OpError):  # the bundle's own checks say why
            return [() for _ in tensors]
    return [tuple(tensor.shape.as_list()[1:]) if tensor.shape.rank else () for tensor in found]
