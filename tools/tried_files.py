"""Make a small file of each kind of model, import it, and write down what happened.

    uv run python -m tools.tried_files

The records are `tools/tried_files.json`; `tools.models_table` makes docs/models.md from them. The
exit code is 1 if a file is refused that should be imported, or the other way round, or if logits
differ from those of the file's writer.
"""

import importlib.metadata
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from diamond_cutter.model_inventory.bundle import Bundle, activation_function
from diamond_cutter.model_inventory.errors import BadModel
from diamond_cutter.model_inventory.user_models import import_user_model
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.rendering.sprites import layer_renderer, render_sprites
from diamond_cutter.tasks.rendering.subjects import Channels
from tools.file_kinds import FileKind, headed_kinds, special_kinds
from tools.file_makers import Array, MadeFile
from tools.refused_kinds import RefusedKind, refused_kinds
from tools.tried_files_table import TriedFile, TriedFiles, write_records

LIBRARIES = ("keras", "tf-keras", "tensorflow", "keras-hub", "onnx", "onnxruntime")
QUICK = RenderRecipe(name="quick", size_px=32, steps=2, input_sides=1, redirect_steps=0, ladder=())
# The greatest relative difference from the writer's own output: of float32, and of narrow floats.
MOST_DIFFERENCE, MOST_OF_NARROW = 1e-4, 2e-2


def main() -> None:
    """Try all kinds, and write the records."""
    tried = []
    with tempfile.TemporaryDirectory() as folder:
        for number, record in enumerate(_all_tried(Path(folder))):
            tried.append(record)
            print(number, *record.model_dump(exclude_defaults=True).values(), flush=True)
    versions = {library: importlib.metadata.version(library) for library in LIBRARIES}
    write_records(TriedFiles(versions=versions, files=tuple(tried)))
    wrong = [record for record in tried if is_wrong(record)]
    for record in wrong:
        print("wrong:", record)
    sys.exit(1 if wrong else 0)


def _all_tried(folder: Path) -> Iterator[TriedFile]:
    for number, kind in enumerate((*headed_kinds(), *special_kinds(), *refused_kinds())):
        place = folder / str(number)
        place.mkdir()
        yield try_refused(kind, place) if isinstance(kind, RefusedKind) else try_kind(kind, place)


def try_kind(kind: FileKind, folder: Path) -> TriedFile:
    """Make a file in an empty folder, import it, and compare it with its writer.

    A sprite is rendered of the softmax of each format and writer, and of all special files.
    """
    made = kind.make(folder)
    record = TriedFile(file=kind.file, writer=kind.writer, head=kind.head, special=kind.special)
    try:
        bundle = import_user_model(made.path, "tried", options=made.options).bundle
    except BadModel as error:
        return record.model_copy(update={"refusal": _first_sentence(str(error), made.path)})
    found = {"compared": compared(bundle), "difference": difference(bundle, made)}
    if kind.special or kind.head == "softmax":
        found["sprite"] = _rendered(bundle)
    return record.model_copy(update=found)


def try_refused(kind: RefusedKind, folder: Path) -> TriedFile:
    """Make a file in an empty folder, and return the sentence that it is refused with."""
    path = kind.make(folder)
    record = TriedFile(file=kind.file, writer=kind.writer)
    try:
        import_user_model(path, "tried")
    except BadModel as error:
        return record.model_copy(update={"refusal": _first_sentence(str(error), path)})
    return record


def is_wrong(record: TriedFile) -> bool:
    """Tell whether another outcome was expected."""
    if not record.head:
        return record.refusal is None
    narrow = "float16" in record.special
    most = MOST_OF_NARROW if narrow else MOST_DIFFERENCE
    return record.difference is None or not record.difference <= most


def compared(bundle: Bundle) -> str:
    """Return what `difference` compares: logits, values, or activations of the last layer."""
    if bundle.card.logits is None:
        return "activations"
    return "values" if bundle.card.head_kind == "values" else "logits"


def difference(bundle: Bundle, made: MadeFile) -> float:
    """Return the greatest difference from the writer, divided by its greatest absolute score.

    Logits are determined by probabilities except for a constant, so of a softmax, the logits minus
    their mean are compared.
    """
    card = bundle.card
    layer = card.logits or card.layers[-1]
    found = np.float64(activation_function(bundle, layer.name)(made.images))
    if card.logits is None:
        wanted = np.float64(made.output)
    else:
        wanted = _scores(made)
        if card.head_kind == "two classes":
            found = found[:, 1:] - found[:, :1]
        elif made.ending == "softmax":
            found = found - found.mean(-1, keepdims=True)
    if found.shape != wanted.shape:
        raise ValueError(f"shapes differ: expected {wanted.shape}, found {found.shape}")
    return float(f"{np.abs(found - wanted).max() / np.abs(wanted).max():.0e}")


def _scores(made: MadeFile) -> Array:
    """Return the scores `[batch, class]` before the last activation, averaged over positions."""
    output = np.float64(made.output)
    if made.ending == "softmax":
        output = np.log(output)
        output -= output.mean(-1, keepdims=True)
    elif made.ending == "sigmoid":
        output = np.log(output / (1 - output))
    return output.reshape(len(output), -1, output.shape[-1]).mean(1)


def _rendered(bundle: Bundle) -> str:
    """Render a sprite of the middle one of the main layers, and return the name of the layer."""
    main = [layer.name for layer in bundle.card.layers if layer.main]
    layer = main[len(main) // 2]
    (sprite,) = render_sprites(bundle, Channels(layer=layer), [0], QUICK, batch_size=1)
    layer_renderer.cache_clear()
    if sprite.scores.objective is None:
        raise ValueError(f"the sprite of {layer} has no score")
    return layer


def _first_sentence(text: str, path: Path) -> str:
    """Return the first sentence of an error, without the place of the file."""
    for start in (f"{path} ", f"{path.name} ", f"{path}: "):
        text = text.removeprefix(start)
    return text.replace(str(path), path.name).split(". ")[0].rstrip(".")


if __name__ == "__main__":
    main()
