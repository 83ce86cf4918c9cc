"""The commands that plan, render, explain, cut, train, compare and tune."""

import sys
from contextlib import AbstractContextManager
from typing import Annotated

from cyclopts import App, Parameter
from cyclopts.validators import Number

from diamond_cutter.flows.attach_request import AttachRequest
from diamond_cutter.flows.attribution_request import AttributionRequest
from diamond_cutter.flows.cli.bucket_commands import FAILED
from diamond_cutter.flows.cli.options import HELP_FLAGS, Json, LogJson
from diamond_cutter.flows.compare_request import CompareRequest
from diamond_cutter.flows.cut_request import CutRequest
from diamond_cutter.flows.errors import print_error
from diamond_cutter.flows.left_over import LeftOver
from diamond_cutter.flows.mix_expressions import MixOptions, read_mixes
from diamond_cutter.flows.request_fields import LOCAL
from diamond_cutter.flows.sprites_request import SpritesRequest, TuneRequest

Request = Annotated[SpritesRequest, Parameter(name="*")]
Tuning = Annotated[TuneRequest, Parameter(name="*")]
Attribution = Annotated[AttributionRequest, Parameter(name="*")]
Cutting = Annotated[CutRequest, Parameter(name="*")]
Comparing = Annotated[CompareRequest, Parameter(name="*")]
Attaching = Annotated[AttachRequest, Parameter(name="*")]
Mixing = Annotated[MixOptions, Parameter(name="*")]
NO_MIXES = MixOptions()
# So that `plan` says within two seconds what it is doing.
_PLAN_SAYS_S = 0.5


def plan(
    request: Request,
    *,
    all_models: bool = False,
    workers: Annotated[int | None, Parameter(validator=Number(gte=1))] = None,
    price_per_hour: Annotated[float | None, Parameter(validator=Number(gte=0))] = None,
    mixing: Mixing = NO_MIXES,
    json: Json = False,
) -> None:
    """Show what `sprites` would render, and estimate time, requests, disk space and price.

    Parameters
    ----------
    all_models
        Plan for all models of the bucket.
    workers
        The number of machines like this one; if omitted, the workers of the cluster, or one.
    price_per_hour
        The price of one machine per hour.
    """
    from diamond_cutter.flows.events.display import shown
    from diamond_cutter.flows.events.progress import doing

    with shown("plan", first_after_s=_PLAN_SAYS_S):
        with doing("looking for the models in the bucket"):
            from diamond_cutter.flows.cli.estimates import estimate_models
            from diamond_cutter.flows.cli.run_output import print_estimates
        found, skipped = estimate_models(with_mixes(request, mixing), workers, price_per_hour)
    print_estimates(found, as_json=json)
    for sentence in skipped:
        print_error(sentence)


def sprites(
    request: Request,
    *,
    all_models: bool = False,
    mixing: Mixing = NO_MIXES,
    json: Json = False,
    log_json: LogJson = False,
) -> int:
    """Render sprites of models' channels, or of mixes of channels, and a spritemap per layer.

    Parameters
    ----------
    all_models
        Render all models of the bucket.
    """
    from diamond_cutter.flows.cli.run_output import print_summary
    from diamond_cutter.flows.sprites_summary import SpritesFailed

    try:
        with _shown("sprites"):
            from diamond_cutter.flows.runs import run_sprites

            summary = run_sprites(with_mixes(request, mixing))
        print_summary(summary, as_json=json)
    except SpritesFailed as failure:
        print_summary(failure.summary, as_json=json)
        print_error(str(failure))
        return FAILED
    return 0


def attribute(
    request: Attribution, *, open: bool = False, json: Json = False, log_json: LogJson = False
) -> int:
    """Explain a model's decisions on a folder of images, and publish a report in the bucket.

    diamond-cutter attribute efficientnet-lite0 holiday --layers block_10 head --open

    Parameters
    ----------
    open
        Open the report in a browser at the end.
    """
    from diamond_cutter.flows.cli.run_output import print_left_over, print_report

    with _shown("attribute"):
        from diamond_cutter.flows.runs import run_attribution

        summary = run_attribution(request)
    if isinstance(summary, LeftOver):
        print_left_over(summary, as_json=json)
        return 0
    print_report(summary, as_json=json)
    _open_if(open, request.bucket, summary.key)
    return FAILED if summary.lacks else 0


def cut(
    request: Cutting, *, open: bool = False, json: Json = False, log_json: LogJson = False
) -> int:
    """Find the model and layer whose features classify your labelled images best.

    diamond-cutter cut scans --models efficientnet-lite0 efficientnet-lite1 --open

    Parameters
    ----------
    open
        Open the report in a browser at the end.
    """
    from diamond_cutter.flows.cli.run_output import print_cut, print_left_over

    with _shown("cut"):
        from diamond_cutter.flows.runs import run_cut

        summary = run_cut(request)
    if isinstance(summary, LeftOver):
        print_left_over(summary, as_json=json)
        return 0
    print_cut(summary, as_json=json)
    _open_if(open, request.bucket, summary.key)
    return 0 if summary.is_complete else FAILED


def attach(request: Attaching, *, json: Json = False, log_json: LogJson = False) -> None:
    """Cut a network, train new layers for your labelled images, and add the result as a model.

    diamond-cutter attach efficientnet-lite0 scans --at block_12 --name scans-lite0 --conv 128
    """
    from diamond_cutter.flows.cli.run_output import print_training

    with _shown("attach"):
        from diamond_cutter.flows.runs import run_attach

        summary = run_attach(request)
    print_training(summary, as_json=json)


def compare(
    request: Comparing, *, open: bool = False, json: Json = False, log_json: LogJson = False
) -> int:
    """Compare two models on the same images: accuracy, layers and channels.

    diamond-cutter compare birds-before birds-after birds --open

    Parameters
    ----------
    open
        Open the report in a browser at the end.
    """
    from diamond_cutter.flows.cli.run_output import print_compare

    with _shown("compare"):
        from diamond_cutter.flows.runs import run_compare

        summary = run_compare(request)
    print_compare(summary, as_json=json)
    _open_if(open, request.bucket, summary.key)
    return 0 if summary.is_complete else FAILED


def spectrum(photos: str) -> None:
    """Measure the spectrum of your own images, and print the recipe maco with it as JSON.

    diamond-cutter spectrum holiday > holiday.json

    Parameters
    ----------
    photos
        A folder of images, or gs://bucket/folder.
    """
    from diamond_cutter.flows.cli.spectrum import maco_of_photos
    from diamond_cutter.flows.events.progress import doing

    with _shown("spectrum"), doing("measuring the spectrum of the images"):
        recipe = maco_of_photos(photos)
    sys.stdout.write(recipe.to_bytes().decode())


def tune(request: Tuning, *, json: Json = False, log_json: LogJson = False) -> None:
    """Find the best settings for each layer of a model, and store them as its preset recipe."""
    from diamond_cutter.flows.cli.run_output import print_layer_tuning, print_preset

    with _shown("tune"):
        if request.runner == LOCAL:
            from diamond_cutter.flows.tuning import tune as tune_model

            preset = tune_model(request, print_layer_tuning, print_error)
        else:
            from diamond_cutter.flows.runs import run_tune

            preset = run_tune(request)
    print_preset(preset, as_json=json)


def _shown(command: str) -> AbstractContextManager[object]:
    """Show how far a command is in the block; its modules are best imported there."""
    from diamond_cutter.flows.events.display import shown

    return shown(command)


def _open_if(wanted: bool, bucket: str, key: str) -> None:
    """Open a report in a browser, if that is wanted."""
    if wanted:
        from diamond_cutter.flows.cli.viewer import open_key
        from diamond_cutter.storage import open_bucket

        open_key(open_bucket(bucket), key)


def with_mixes(request: SpritesRequest, mixing: MixOptions) -> SpritesRequest:
    """Return the request with the requested mixes."""
    if not mixing.given:
        return request
    from diamond_cutter.flows.cli.models import describe

    # The width of directions is checked now, because weights of 0 are dropped later.
    card = describe(request.bucket, request.model) if mixing.directions else None
    return SpritesRequest.model_validate({**dict(request), "mixes": read_mixes(mixing, card)})


RUN_COMMANDS = App(help_flags=HELP_FLAGS)
for command in (plan, sprites, attribute, cut, attach, compare, spectrum, tune):
    RUN_COMMANDS.command(command)
