"""Cuts Keras models at layers that are named as in their traces, also inside nested models."""

from collections.abc import Collection, Sequence
from typing import Any

import keras

from diamond_cutter.model_inventory.errors import NoKerasModel, first_few
from diamond_cutter.model_inventory.heads import Head
from diamond_cutter.model_inventory.keras.calls import LayerNames

# The activation functions that turn logits into probabilities.
_PROBABILITIES = (keras.activations.softmax, keras.activations.sigmoid)
_PROBABILITY_LAYERS = {"Softmax", "Sigmoid"}


def outputs_of_layers(
    model: keras.Model, image: keras.KerasTensor, names: Sequence[str]
) -> list[keras.KerasTensor]:
    """Call a model on a symbolic image, and return the outputs of layers of it.

    Nested models that hold one of the layers are replaced by their layers. Weights are shared.

    Args:
        model: sequential or functional, with any nesting.
        image: the symbolic input.
        names: of layers, as `tracing.trace` names them.

    Raises:
        NoKerasModel: a layer is inside a layer that is neither sequential nor functional.
    """
    calls = _Calls(names)
    calls.inside(model, "", image)
    missing = [name for name in names if name not in calls.outputs]
    if missing:
        raise NoKerasModel(
            f"Keras cannot cut {model.name} at {first_few(missing)}, which is inside a layer that "
            "is not a sequential or functional model"
        )
    return [calls.outputs[name] for name in names]


def without_probabilities(model: keras.Model, head: Head | None = None) -> keras.Model:
    """Return a model that ends before the last softmax or sigmoid of its head; it shares weights.

    An activation function of the last layer is replaced in the given model. A model without such
    an end is returned as it is.
    """
    path, last = _last_operation(model, head)
    if getattr(last, "activation", None) in _PROBABILITIES:
        last.activation = keras.activations.linear
        return model
    if type(last).__name__ not in _PROBABILITY_LAYERS:
        return model
    image = keras.Input(model.inputs[0].shape[1:])
    calls = _Calls([path])
    calls.inside(model, "", image)
    return keras.Model(image, calls.inputs[path], name=model.name)


def head_output(outputs: Any, head: Head | None) -> keras.KerasTensor:
    """Return the one of symbolic outputs that the head is; without a choice the first vector."""
    tensors = keras.tree.flatten(outputs)
    if head is not None and len(head.outputs) == len(tensors):
        names = [output.name for output in head.outputs]
        return tensors[names.index(head.output)] if head.output in names else tensors[0]
    return next((tensor for tensor in tensors if len(tensor.shape) == 2), tensors[0])


class _Calls:
    """The symbolic inputs and outputs of layers, by the names of `tracing.trace`."""

    def __init__(self, wanted: Collection[str]) -> None:
        self.inputs: dict[str, Any] = {}
        self.outputs: dict[str, keras.KerasTensor] = {}
        self._wanted = wanted
        self._names = LayerNames()

    def inside(self, model: keras.Model, prefix: str, value: Any) -> Any:
        """Call the layers of a model one by one, and return its output."""
        if isinstance(model, keras.Sequential):
            for layer in model.layers:
                value = self._called(prefix, layer, value)
            return value
        if not isinstance(model, keras.Function):
            return model(value)

        def call(operation: keras.Operation, *args: Any, **kwargs: Any) -> Any:
            return self._called(prefix, operation, *args, **kwargs)

        # Keras has no public way to call the operations of a model one by one.
        return model._run_through_graph(value, call_fn=call)

    def _called(self, prefix: str, operation: keras.Operation, *args: Any, **kwargs: Any) -> Any:
        path = f"{prefix}{operation.name}"
        if _is_open(operation) and any(name.startswith(f"{path}/") for name in self._wanted):
            value = self.inside(operation, f"{path}/", args[0])
        else:
            value = operation(*args, **kwargs)
        if _is_of_a_layer(value):
            name = self._names.next(path)
            self.inputs[name], self.outputs[name] = args[0] if args else None, value
        return value


def _last_operation(model: keras.Model, head: Head | None) -> tuple[str, keras.Operation]:
    """Return the operation that makes the output of the head, at any depth, and its path."""
    path: list[str] = []
    last: keras.Operation = model
    while _is_open(last):
        sequential = isinstance(last, keras.Sequential)
        # Keras has no public access to the origin of a tensor.
        last = (
            last.layers[-1]
            if sequential
            else head_output(last.outputs, head)._keras_history.operation
        )
        head = None  # nested models have outputs of their own
        path.append(last.name)
    return "/".join(path), last


def _is_open(operation: keras.Operation) -> bool:
    """Tell whether the calls of the layers inside are known."""
    return isinstance(operation, keras.Sequential | keras.Function)


def _is_of_a_layer(value: Any) -> bool:
    """Tell whether `calls.listening` reports the value of such a call."""
    return (
        isinstance(value, keras.KerasTensor)
        and value.dtype in ("float32", "float16", "bfloat16")
        and len(value.shape) in (2, 4)
        and value.shape[-1] is not None
    )
