"""Whatever the shape of a model's scores, the bundle has a vector of logits that means the same."""

import numpy as np
import pytest
import tensorflow as tf

from diamond_cutter.model_inventory.bundle import Bundle, activation_function
from diamond_cutter.model_inventory.card import ClassLabel
from diamond_cutter.model_inventory.head_logits import HeadRequest
from diamond_cutter.model_inventory.heads import Output
from tests.headed_bundle import Ending, convolved, dense, imported, one_position, pooled

CAT, DOG = ClassLabel(name="cat"), ClassLabel(name="dog")


def logits_and_output(ending: Ending, bundle: Bundle) -> tuple[np.ndarray, np.ndarray]:
    """Return the logits of the bundle and the output of the network, on the same images."""
    images = np.random.default_rng(1).random((2, 16, 16, 3), np.float32)
    logits = activation_function(bundle, bundle.card.check_logits().name)(images)
    return logits.numpy(), ending(tf.nn.relu(convolved(tf.constant(images), 4, side=3))).numpy()


@pytest.mark.parametrize(
    "ending",
    [
        lambda x: tf.sigmoid(dense(x, 1)),
        lambda x: tf.sigmoid(tf.reshape(dense(x, 1), [-1, 1])),
        lambda x: tf.sigmoid(convolved(tf.reduce_mean(x, [1, 2], keepdims=True), 1)),
    ],
    ids=["dense", "reshaped", "one position"],
)
def test_one_score_becomes_the_logits_of_two_classes(ending: Ending) -> None:
    bundle, guesses = imported(ending)
    assert bundle.card.head_kind == "two classes"
    assert guesses == (
        "that its one score counts for class 1 and against class 0; give --labels to name them",
    )
    logits, probability = logits_and_output(ending, bundle)
    assert logits.shape == (2, 2)
    np.testing.assert_allclose(tf.nn.softmax(logits)[:, 1], probability.reshape(-1), atol=1e-6)
    np.testing.assert_allclose(logits[:, 0], -logits[:, 1])


@pytest.mark.parametrize(
    ("ending", "labels", "kind", "names"),
    [
        (lambda x: dense(x, 1), (CAT, DOG), "two classes", ("cat", "dog")),
        (lambda x: tf.sigmoid(dense(x, 1)), (CAT,), "two classes", ("not cat", "cat")),
        (lambda x: dense(x, 1), (CAT,), "values", ("cat",)),
        (lambda x: dense(x, 1), (), "values", ()),
    ],
)
def test_labels_tell_a_choice_from_a_value(
    ending: Ending, labels: tuple[ClassLabel, ...], kind: str, names: tuple[str, ...]
) -> None:
    card = imported(ending, HeadRequest(labels=labels))[0].card
    assert (card.head_kind, card.class_names) == (kind, names)


def test_a_regression_keeps_its_values() -> None:
    def ending(x: tf.Tensor) -> tf.Tensor:
        return dense(x, 3)

    bundle, guesses = imported(ending, HeadRequest(regression=True))
    assert bundle.card.head_kind == "values" and guesses == ()
    assert [bundle.card.class_label(number).name for number in range(2)] == ["value 0", "value 1"]
    np.testing.assert_allclose(*logits_and_output(ending, bundle), atol=1e-6)


def test_one_value_is_called_the_value() -> None:
    bundle, _guesses = imported(lambda x: dense(x, 1))
    assert bundle.card.class_label(0).name == "the value"


@pytest.mark.parametrize(
    "ending",
    [
        lambda x: one_position(x),
        lambda x: tf.nn.softmax(one_position(x)),
        lambda x: tf.nn.softmax(tf.reshape(one_position(x), [-1, 3])),
        lambda x: tf.nn.softmax(pooled(convolved(x, 3))),
    ],
    ids=["scores", "probabilities", "flattened", "pooled"],
)
def test_classifiers_that_end_in_a_convolution_have_logits(ending: Ending) -> None:
    bundle, _guesses = imported(ending)
    assert bundle.card.head is None
    logits, output = logits_and_output(ending, bundle)
    found = logits if output.min() < 0 else tf.nn.softmax(logits).numpy()
    np.testing.assert_allclose(found, output.reshape(2, 3), atol=1e-6)


@pytest.mark.parametrize(
    ("ending", "classes"),
    [
        (lambda x: tf.nn.softmax(convolved(x, 3)), 3),
        (lambda x: tf.nn.softmax(tf.reshape(convolved(x, 3), [-1, 256, 3])), 3),
        (lambda x: tf.sigmoid(convolved(x, 1)), 2),
    ],
    ids=["segmentation", "flattened", "mask"],
)
def test_scores_at_all_positions_are_averaged(ending: Ending, classes: int) -> None:
    bundle, guesses = imported(ending)
    head = bundle.card.head
    assert head is not None and head.averaged and "its mean score over the picture" in guesses[0]
    logits, output = logits_and_output(ending, bundle)
    scores = np.log(output / (1 - output)) if classes == 2 else np.log(output)
    means = scores.reshape(2, -1, scores.shape[-1]).mean(1)
    wanted = means if classes == 2 else means - means[:, :1]
    np.testing.assert_allclose(
        logits[:, 1:] - logits[:, :1], wanted[:, -(classes - 1) :], atol=1e-4
    )


@pytest.mark.parametrize(
    "ending",
    [lambda x: convolved(x, 3), lambda x: tf.sigmoid(convolved(x, 3)), pooled],
    ids=["map", "picture", "average"],
)
def test_features_are_no_scores_unless_the_user_says_so(ending: Ending) -> None:
    assert imported(ending)[0].card.logits is None
    classes = int(ending(tf.zeros([1, 16, 16, 4])).shape[-1])
    labels = tuple(ClassLabel(name=f"{number}") for number in range(classes))
    for asked in (HeadRequest(labels=labels), HeadRequest(named=True)):
        assert imported(ending, asked)[0].card.check_logits().channels == classes


@pytest.mark.parametrize(
    "ending",
    [
        lambda x: tf.nn.softmax(dense(x, 3), name="logits"),
        lambda x: tf.nn.softmax(tf.reshape(tf.identity(one_position(x), name="logits"), [-1, 3])),
    ],
    ids=["softmax", "convolution"],
)
def test_a_layer_that_is_named_logits_does_not_hide_the_logits(ending: Ending) -> None:
    card = imported(ending)[0].card
    assert card.check_logits().tensor == card.logits_tensor
    assert card.check_logits().height is None


def test_the_choice_among_outputs_is_kept_and_said() -> None:
    outputs = (Output(name="boxes", shape=(4,)), Output(name="classes", shape=(3,)))
    asked = HeadRequest(outputs=outputs, output=outputs[1])
    bundle, guesses = imported(lambda x: tf.nn.softmax(dense(x, 3)), asked)
    head = bundle.card.head
    assert head is not None
    assert (head.kind, head.output, head.outputs) == ("classes", "classes", outputs)
    assert guesses[0].startswith("that the output classes [3] is its head, not boxes [4]")
