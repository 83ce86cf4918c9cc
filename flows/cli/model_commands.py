"""The commands of `diamond-cutter models`; each imports its modules when it runs."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from cyclopts.validators import Number

from diamond_cutter.flows.cli.options import BucketUrl, Json
from diamond_cutter.model_inventory.user_models import ImportOptions

Options = Annotated[ImportOptions, Parameter(name="*")]

models_app = App(
    name="models",
    help="List the available models, show, export or remove one, add your own, or fetch weights.",
)


@models_app.default
def models(*, bucket: BucketUrl = "./bucket", json: Json = False) -> None:
    """List the available models."""
    from diamond_cutter.flows.cli.model_output import print_models
    from diamond_cutter.flows.cli.models import all_models
    from diamond_cutter.storage import open_bucket

    print_models(all_models(open_bucket(bucket)), as_json=json)


@models_app.command
def show(model: str, *, bucket: BucketUrl = "./bucket", json: Json = False) -> None:
    """Show the input and accuracy of a model, and its layers in forward order."""
    from diamond_cutter.flows.cli.model_output import print_card
    from diamond_cutter.flows.cli.models import describe

    print_card(describe(bucket, model), as_json=json)


@models_app.command
def add(
    path: Path,
    *,
    name: str,
    labels: Path | None = None,
    options: Options = ImportOptions(),  # noqa: B008
    bucket: BucketUrl = "./bucket",
    json: Json = False,
) -> None:
    """Add your own model: a Keras file, an ONNX file, a SavedModel folder, or a frozen graph (.pb).

    Parameters
    ----------
    path
        The file or folder; also a zip archive or a folder of versions.
    name
        A new name for the model.
    labels
        A text file with one class name per line, in the order of the model's output.
    """
    from diamond_cutter.flows.cli.model_output import print_added
    from diamond_cutter.flows.cli.models import add as add_model
    from diamond_cutter.flows.events.display import shown

    with shown("models add"):
        added = add_model(bucket, path, name, labels, options)
    print_added(added, as_json=json)


@models_app.command
def check(
    model: str,
    folder: str,
    *,
    most_images: Annotated[int, Parameter(validator=Number(gte=1))] = 200,
    seed: int = 0,
    bucket: BucketUrl = "./bucket",
    json: Json = False,
) -> int:
    """Check on labelled images whether a model gets its images as in its training.

    The exit code is 1 if another preprocessing is much better, or if the accuracy is near chance.

    Parameters
    ----------
    folder
        A folder of images in folders named after the model's classes, or gs://bucket/folder.
    most_images
        Images to draw.
    seed
        The seed of the draw.
    """
    from diamond_cutter.flows.cli.model_output import print_check
    from diamond_cutter.flows.events.display import shown
    from diamond_cutter.flows.model_check import check_model

    with shown("models check"):
        found = check_model(bucket, model, folder, most_images, seed)
    print_check(found, as_json=json)
    return 0 if found.check.is_fine else 1


@models_app.command
def export(
    model: str,
    folder: Path,
    *,
    source: Path | None = None,
    bucket: BucketUrl = "./bucket",
    json: Json = False,
) -> None:
    """Export a model for use elsewhere: as a SavedModel, and as a Keras file if it is from Keras.

    Both take images with values from 0 to 255, and return the logits.

    Parameters
    ----------
    folder
        A new folder for the files.
    source
        The Keras file that you added; without it, your own model gets no new Keras file.
    """
    from diamond_cutter.flows.cli.model_output import print_exported
    from diamond_cutter.flows.cli.models import export as export_model
    from diamond_cutter.flows.events.display import shown

    with shown("models export"):
        exported = export_model(bucket, model, folder, source)
    print_exported(exported, as_json=json)


@models_app.command
def fetch(model: str, *, weights: tuple[str, ...] = ()) -> None:
    """Download the weights of a model to this machine.

    Parameters
    ----------
    weights
        A path or URL of weights that are no longer published; lucid's models also need the labels.
    """
    from diamond_cutter.flows.cli.models import fetch as fetch_model
    from diamond_cutter.flows.cli.transfers import fetching

    with fetching(model) as on_progress:
        files = fetch_model(model, weights, on_progress)
    for file in files:
        print(file)  # noqa: T201  for scripts


@models_app.command
def remove(model: str, *, bucket: BucketUrl = "./bucket", json: Json = False) -> None:
    """Remove a model from the bucket, but keep its sprites."""
    from diamond_cutter.flows.cli.model_output import print_removed
    from diamond_cutter.flows.cli.models import remove as remove_model

    print_removed(remove_model(bucket, model), as_json=json)
