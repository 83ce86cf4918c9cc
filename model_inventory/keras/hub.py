"""Classes of KerasHub in Keras files: those of image classifiers, if the package is installed.

To import KerasHub registers all of its classes, also those that read files, such as tokenizers. So
its classes are checked by name, whether they are registered or not.
"""

import importlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from diamond_cutter.errors import first_line
from diamond_cutter.model_inventory.errors import BadModel

_PACKAGE = "keras_hub"
# Files of its earlier name have the same classes, which KerasHub registers under both names.
_PACKAGES = (_PACKAGE, "keras_nlp")
_OF_IMAGES = re.compile(
    r"[A-Za-z0-9]{1,80}(Backbone|ImageClassifier|ImageClassifierPreprocessor|ImageConverter)"
)


def is_of_hub(described: Mapping[str, Any]) -> bool:
    """Tell whether an object in a description claims to be of KerasHub."""
    names = (described.get(key) for key in ("module", "registered_name", "class_name"))
    return any(isinstance(name, str) and re.split(r"[.>]", name)[0] in _PACKAGES for name in names)


def check_hub_class(path: Path, described: Mapping[str, Any], layer: str) -> None:
    """Check that a class of KerasHub is one of image classifiers, and import the package.

    Args:
        path: the file, for errors.
        described: the object in the description of the layers.
        layer: its name in brackets, for errors.

    Raises:
        BadModel: it is another class, or the package is not installed.
    """
    name, registered = described["class_name"], described.get("registered_name")
    module = described.get("module")
    sound = any(
        isinstance(module, str)
        and module.startswith(f"{package}.src.models.")
        and registered == f"{package}>{name}"
        for package in _PACKAGES
    )
    if not sound or not _OF_IMAGES.fullmatch(name):
        whose = f"{module}.{name}" if isinstance(module, str) else name
        raise BadModel(
            f"{path} needs the class {whose[:160]}{layer}: expected only classes of Keras, or of "
            "KerasHub's image classifiers. Save the classifier without it."
        )
    try:
        importlib.import_module(_PACKAGE)
    except ImportError as error:
        raise BadModel(
            f"{path} needs the package keras-hub, for the class {name}{layer} "
            f"({first_line(error)}). Run `pip install 'diamond-cutter[hub]'`."
        ) from error
