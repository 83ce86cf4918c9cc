"""Write model_inventory/lucid/lucid_zoo.json from the classes of lucid 0.3.10.

uv run python -m tools.lucid_zoo_rows
"""

import importlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import lucid_reference

ROWS = Path(__file__).parents[1] / "model_inventory" / "lucid" / "lucid_zoo.json"

# Lucid does not name the logits. These names come from the code that built the graphs: slim's nets,
# caffe-tensorflow, and the graph of InceptionV1. `{scope}` is the first part of the output's name.
LOGITS = {
    r"InceptionV[123]_slim|MobilenetV1.*_slim": "{scope}/Logits/SpatialSqueeze",
    r"MobilenetV2.*_slim": "{scope}/Logits/Squeeze",
    r"InceptionV4_slim|InceptionResnetV2_slim": "{scope}/Logits/Logits/BiasAdd",
    r"ResnetV[12]_.*_slim": "{scope}/SpatialSqueeze",
    r"P?[Nn]asnet.*_slim": "{scope}/FC/BiasAdd",
    r"CaffeNet_caffe|VGG1[69]_caffe|AlexNet_caffe_Places365": "fc8/fc8",
    r"InceptionV1_caffe": "loss3_classifier/loss3_classifier",
    r"InceptionV1(_adv_finetuned)?": "softmax2_pre_activation",
}


def lucid_classes() -> dict[str, Any]:
    """Return the models that lucid exports, by name."""
    lucid_reference.import_lucid()
    with lucid_reference.tensorflow_1():
        models = importlib.import_module("lucid.modelzoo.vision_models")
    return {name: getattr(models, name) for name in models.__all__ if name != "Model"}


def row(name: str, lucid_class: Any) -> dict[str, Any]:
    """Return the row of a class in `lucid_zoo.json`."""
    model = lucid_class()
    height, width, channels = model.image_shape
    names = [layer.name for layer in model.layers]
    output = names[-1] if names else None
    return {
        "name": f"lucid/{name}",
        "weights": model.model_path,
        "labels": model.labels_path,
        "synsets": getattr(model, "synsets_path", None),
        "dataset": getattr(model, "dataset", None),
        "input_name": model.input_name,
        "image": {
            "height": height,
            "width": width,
            "channels": channels,
            "value_range": list(value_range(model)),
            "channel_order": "bgr" if getattr(model, "is_BGR", False) else "rgb",
        },
        "output_layer": output,
        "logits_layer": logits(name, output),
        "pre_relu_layers": lucid_class.post_import
        is not lucid_reference.import_lucid().vision_base.Model.post_import,
        "layers": [
            {
                "name": layer.name,
                "channels": layer.depth,
                "tags": sorted(layer.tags),
                "main": is_main(model.layers, place),
            }
            for place, layer in enumerate(model.layers)
        ],
    }


def value_range(model: Any) -> Iterator[list[float]]:
    """Yield the graph's inputs for 0 and 1, once or per channel, as in `Model.create_input`."""
    low, high = (
        list(end) if hasattr(end, "__iter__") else [end] for end in model.image_value_range
    )
    for ends in zip(low, high, strict=True):
        yield [round(float(end), 6) for end in ends]


def logits(name: str, output: str | None) -> str | None:
    """Return the layer before the softmax of the output, or None if it is unknown."""
    found = next((layer for pattern, layer in LOGITS.items() if re.fullmatch(pattern, name)), None)
    return found.format(scope=output.partition("/")[0]) if found and output else None


def is_main(layers: Any, place: int) -> bool:
    """Tell whether a layer is a main layer."""
    layer = layers[place]
    following = layers[place + 1] if place + 1 < len(layers) else None
    scope = layer.name.rpartition("/")[0]
    # `block35_1/add` is `block35_1/Relu` before its ReLU, and `conv5/concat` is `conv5/conv5`.
    is_before_relu = bool(
        scope
        and following
        and following.name.rpartition("/")[0] == scope
        and following.depth == layer.depth
    )
    # ResNetV2's blocks begin with a ReLU of the last block's output, which is already a layer.
    is_again = "/preact/" in layer.name and place > 0
    is_auxiliary = layer.name.startswith("head")
    return "conv" in layer.tags and not (is_before_relu or is_again or is_auxiliary)


def as_text(rows: list[dict[str, Any]]) -> str:
    """Return the rows as JSON with one field or layer on each line."""
    return "[\n" + ",\n".join(map(_row_as_text, rows)) + "\n]\n"


def _row_as_text(row: dict[str, Any]) -> str:
    fields = [
        f"  {json.dumps(name)}: {json.dumps(value)}"
        for name, value in row.items()
        if name != "layers"
    ]
    layers = ",".join(f"\n   {json.dumps(layer)}" for layer in row["layers"])
    return " {\n" + ",\n".join([*fields, f'  "layers": [{layers}]']) + "\n }"


if __name__ == "__main__":
    ROWS.write_text(
        as_text([row(name, lucid_class) for name, lucid_class in lucid_classes().items()]),
        encoding="utf-8",
    )
