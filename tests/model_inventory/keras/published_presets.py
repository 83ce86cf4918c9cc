"""Writes a small preset of KerasHub and a small network of timm, and serves them as Kaggle and
Hugging Face do.
"""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np

SIDE = 24
SCALE, OFFSET = (0.01, 0.02, 0.03), (-0.5, -0.25, 0.125)
TIMM = {
    "architecture": "resnet18",
    "num_classes": 10,
    "pretrained_cfg": {
        "input_size": [3, 32, 32],
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
        "interpolation": "bicubic",
    },
}


def write_preset(folder: Path, classes: int = 3) -> Any:
    """Write a preset of a ResNet with one block, and return its model."""
    import keras_hub

    converter = keras_hub.layers.ResNetImageConverter(
        image_size=(SIDE, SIDE), scale=list(SCALE), offset=list(OFFSET)
    )
    model = small_resnet((None, None, 3), converter, classes)
    model.save_to_preset(str(folder))
    return model


def small_resnet(
    image_shape: tuple[int | None, int | None, int], converter: Any, classes: int
) -> Any:
    """Return an image classifier of KerasHub with one block; the converter prepares images."""
    import keras_hub

    backbone = keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[3],
        stackwise_num_filters=[64],
        stackwise_num_blocks=[1],
        stackwise_num_strides=[1],
        block_type="basic_block",
        use_pre_activation=False,
        image_shape=image_shape,
    )
    return keras_hub.models.ResNetImageClassifier(
        backbone=backbone,
        num_classes=classes,
        preprocessor=keras_hub.models.ResNetImageClassifierPreprocessor(converter),
    )


def write_timm_network(folder: Path) -> Any:
    """Write a network as timm publishes it, with random weights, and return KerasHub's model."""
    import keras_hub
    from keras_hub.src.utils.timm import convert_resnet
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(TIMM))
    backbone = keras_hub.models.Backbone.from_preset(str(folder), load_weights=False)
    model = keras_hub.models.ResNetImageClassifier(backbone, TIMM["num_classes"])
    drawn = _DrawnWeights()
    convert_resnet.convert_weights(backbone, drawn, TIMM)
    convert_resnet.convert_head(model, drawn, TIMM)
    save_file(drawn.arrays, folder / "model.safetensors")
    return model


class _DrawnWeights:
    """Stands for the file that KerasHub converts: draws each array that is read from it."""

    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}
        self._stream = np.random.default_rng(0)

    def port_weight(
        self,
        keras_variable: Any,
        hf_weight_key: str,
        hook_fn: Callable[..., Any] = lambda drawn, shape: drawn,
    ) -> None:
        *sides, last = keras_variable.shape
        shape = (last, *sides[-1:], *sides[:-1])  # the channels first, as in PyTorch
        drawn = self._stream.uniform(-0.1, 0.1, shape).astype(np.float32)
        if hf_weight_key.endswith("running_var"):
            drawn += 1
        self.arrays[hf_weight_key] = drawn
        keras_variable.assign(hook_fn(drawn, list(keras_variable.shape)))


@contextmanager
def serving_presets(folder: Path) -> Iterator[str]:
    """Serve `folder/FILE` to kagglehub and `folder/timm/NAME/FILE` to huggingface_hub; yield the
    address.
    """

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self._answer(folder / body["path"])

        def do_GET(self) -> None:
            path = self.path.partition("?")[0].replace("/resolve/main", "")
            self._answer(folder / path.strip("/"))

        do_HEAD = do_GET

        def _answer(self, file: Path) -> None:
            found = file.is_file()
            content = file.read_bytes() if found else b""
            self.send_response(200 if found else 404)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("ETag", f'"{len(content)}"')
            self.send_header("X-Repo-Commit", "0" * 40)
            if not found:
                known = file.parent.is_dir()
                self.send_header("X-Error-Code", "EntryNotFound" if known else "RepoNotFound")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
