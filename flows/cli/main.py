"""The command line. A command imports its modules when it runs, so that `--help` is instant."""

import logging
import os
import sys
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, CycloptsError, Parameter
from cyclopts.validators import Number
from pydantic import ValidationError

from diamond_cutter.errors import DiamondCutterError
from diamond_cutter.flows.attach_request import AttachRequest
from diamond_cutter.flows.attribution_request import AttributionRequest
from diamond_cutter.flows.cli.bucket_commands import BUCKET_COMMANDS, FAILED
from diamond_cutter.flows.cli.doctor import doctor
from diamond_cutter.flows.cli.model_commands import models_app
from diamond_cutter.flows.cli.options import (
    HelpFormatter,
    Json,
    LogJson,
    choose_log,
    shown_default,
    spell_out_models,
    spell_out_recipe,
)
from diamond_cutter.flows.compare_request import CompareRequest
from diamond_cutter.flows.cut_request import CutRequest
from diamond_cutter.flows.deploy_options import DeployOptions, OnCollision
from diamond_cutter.flows.errors import (
    RequestError,
    print_error,
    sentence,
)
from diamond_cutter.flows.exits import exit_code_of, leave
from diamond_cutter.flows.left_over import LeftOver
from diamond_cutter.flows.mix_expressions import MixOptions, read_mixes
from diamond_cutter.flows.sprites_request import LOCAL, SpritesRequest, TuneRequest
from diamond_cutter.flows.stops import fresh_stop, printing_to_whoever_is_left, terminable

if TYPE_CHECKING:
    from diamond_cutter.flows.registration import Request as AnyRequest

BAD_INPUT, INTERRUPTED, TERMINATED, HUNG_UP = 2, 130, 143, 129
_STOPPED = {INTERRUPTED: "interrupted", TERMINATED: "terminated", HUNG_UP: "hung up"}
_GOES_ON = "; finished work is kept, and the same command continues from there"
_KEPT = {
    "sprites": _GOES_ON,
    "attribute": _GOES_ON,
    "attach": _GOES_ON,
    "compare": _GOES_ON,
    "cut": _GOES_ON,
    "tune": _GOES_ON,
    "serve": "; schedules are paused, finished work is kept, and the same command serves again",
}
# Libraries that log in the process of a command. TensorFlow does not: only the processes of devices
# import it. For Prefect see flows/server/prefect_server.py.
_LIBRARIES = (
    "PIL",
    "amplitude",
    "asyncio",
    "google",
    "httpcore",
    "httpx",
    "opentelemetry",
    "requests",
    "urllib3",
    "websockets",
)

Request = Annotated[SpritesRequest, Parameter(name="*")]
Tuning = Annotated[TuneRequest, Parameter(name="*")]
Attribution = Annotated[AttributionRequest, Parameter(name="*")]
Cutting = Annotated[CutRequest, Parameter(name="*")]
Comparing = Annotated[CompareRequest, Parameter(name="*")]
Attaching = Annotated[AttachRequest, Parameter(name="*")]
Mixing = Annotated[MixOptions, Parameter(name="*")]
Command = Annotated[str, Parameter(allow_leading_hyphen=True)]
Deploying = Annotated[DeployOptions, Parameter(name="*")]
NO_MIXES, NO_OPTIONS = MixOptions(), DeployOptions()

app = App(
    name="diamond-cutter",
    help="Render what the channels of a convolutional network look for, and explain its decisions.",
    version_flags=["--version"],
    suppress_keyboard_interrupt=False,
    config=(choose_log, spell_out_recipe, spell_out_models),
    help_formatter=HelpFormatter(),
    help_format="plaintext",  # the other formats take the * of a product for markup
    default_parameter=Parameter(negative=(), consume_multiple=True, show_default=shown_default),
)
app.command(models_app)
app.update(BUCKET_COMMANDS)
app.command(doctor)


def main() -> None:
    """Run a command; exit with 2 on bad input, with 1 if a part of the work failed."""
    # Prefect reads it while it is imported.
    os.environ.setdefault("DO_NOT_TRACK", "1")
    _silence_libraries()
    leave(run(sys.argv[1:]))


def _silence_libraries() -> None:
    """Keep log lines and warnings of libraries off the terminal: each error has a sentence."""
    for library in _LIBRARIES:
        logger = logging.getLogger(library)
        logger.addHandler(logging.NullHandler())
        logger.propagate = False
    warnings.filterwarnings("ignore", module="prefect")
    if not sys.warnoptions:  # python -W and PYTHONWARNINGS still work
        warnings.simplefilter("ignore")


def run(arguments: list[str]) -> int:
    """Run a command and return its exit code."""
    with fresh_stop() as stop:
        try:
            with terminable():
                code = app(
                    arguments, exit_on_error=False, print_error=False, result_action="return_value"
                )
            return code if isinstance(code, int) else 0
        except (CycloptsError, ValidationError) as error:
            print_error(sentence(error))
            return BAD_INPUT
        except DiamondCutterError as error:
            print_error(sentence(error))
            return error.exit_code
        except KeyboardInterrupt as interrupt:
            code = exit_code_of(interrupt)
            done = f" after {stop.done}" if stop.done else ""
            with printing_to_whoever_is_left():
                print_error(f"{_STOPPED[code]}{done}{_KEPT.get(''.join(arguments[:1]), '')}")
            return code


@app.command
def plan(
    request: Request,
    *,
    workers: Annotated[int, Parameter(validator=Number(gte=1))] = 1,
    price_per_hour: Annotated[float | None, Parameter(validator=Number(gte=0))] = None,
    mixing: Mixing = NO_MIXES,
    json: Json = False,
) -> None:
    """Show what `sprites` would render, and estimate time, requests, disk space and price.

    Parameters
    ----------
    workers
        The number of machines that share the run, each like this one.
    price_per_hour
        The price of one machine per hour, in any currency.
    """
    from diamond_cutter.flows.cli.estimates import estimate
    from diamond_cutter.flows.cli.run_output import print_estimate

    found = estimate(_asked(request, mixing), workers, price_per_hour)
    print_estimate(found, as_json=json)


@app.command
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
        Render all models of the bucket, instead of naming models.
    """
    from diamond_cutter.flows.cli.run_output import print_summary
    from diamond_cutter.flows.runs import run_sprites
    from diamond_cutter.flows.sprites_summary import SpritesFailed

    try:
        print_summary(run_sprites(_asked(request, mixing)), as_json=json)
    except SpritesFailed as failure:
        print_summary(failure.summary, as_json=json)
        print_error(str(failure))
        return FAILED
    return 0


@app.command
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
    from diamond_cutter.flows.cli.viewer import open_key
    from diamond_cutter.flows.runs import run_attribution
    from diamond_cutter.storage import open_bucket

    summary = run_attribution(request)
    if isinstance(summary, LeftOver):
        print_left_over(summary, as_json=json)
        return 0
    print_report(summary, as_json=json)
    if open:
        open_key(open_bucket(request.bucket), summary.key)
    return FAILED if summary.lacks else 0


@app.command
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
    from diamond_cutter.flows.cli.viewer import open_key
    from diamond_cutter.flows.runs import run_cut
    from diamond_cutter.storage import open_bucket

    summary = run_cut(request)
    if isinstance(summary, LeftOver):
        print_left_over(summary, as_json=json)
        return 0
    print_cut(summary, as_json=json)
    if open:
        open_key(open_bucket(request.bucket), summary.key)
    return 0 if summary.is_complete else FAILED


@app.command
def attach(request: Attaching, *, json: Json = False, log_json: LogJson = False) -> None:
    """Cut a network, train new layers for your labelled images, and add the result as a model.

    diamond-cutter attach efficientnet-lite0 scans --at block_12 --name scans-lite0 --conv 128
    """
    from diamond_cutter.flows.cli.run_output import print_training
    from diamond_cutter.flows.runs import run_attach

    print_training(run_attach(request), as_json=json)


@app.command
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
    from diamond_cutter.flows.cli.viewer import open_key
    from diamond_cutter.flows.runs import run_compare
    from diamond_cutter.storage import open_bucket

    summary = run_compare(request)
    print_compare(summary, as_json=json)
    if open:
        open_key(open_bucket(request.bucket), summary.key)
    return 0 if summary.is_complete else FAILED


@app.command
def spectrum(photos: str) -> None:
    """Measure the spectrum of your own images, and print the recipe maco with it as JSON.

    diamond-cutter spectrum holiday > holiday.json

    Parameters
    ----------
    photos
        A folder of images, or gs://bucket/folder.
    """
    from diamond_cutter.flows.cli.spectrum import maco_of_photos

    sys.stdout.write(maco_of_photos(photos).to_bytes().decode())


@app.command
def tune(request: Tuning, *, json: Json = False, log_json: LogJson = False) -> None:
    """Find the best settings for each layer of a model, and store them as its preset recipe."""
    from diamond_cutter.flows.cli.run_output import print_layer_tuning, print_preset
    from diamond_cutter.flows.runs import run_tune
    from diamond_cutter.flows.tuning import tune as tune_model

    if request.runner == LOCAL:
        preset = tune_model(request, print_layer_tuning, print_error)
    else:
        preset = run_tune(request)
    print_preset(preset, as_json=json)


@app.command
def serve(*command: Command, cron: str | None = None, on_collision: OnCollision = "skip") -> None:
    """Serve a command as a Prefect deployment: run it on a schedule or when triggered.

    diamond-cutter serve --cron "0 2 * * *" sprites efficientnet-lite0 --layers main

    Parameters
    ----------
    command
        `sprites`, `attribute`, `cut`, `attach`, `compare` or `tune`, with its options.
    cron
        The schedule, as in crontab; if omitted, the command runs only when triggered.
    on_collision
        What happens to a run that is due while another one is going: it is skipped, or waits.
    """
    from diamond_cutter.flows.deployment import serve as serve_request

    serve_request(_request_of(command, "served"), cron, on_collision)


@app.command
def deploy(*command: Command, options: Deploying = NO_OPTIONS) -> None:
    """Register a command, or every one, as a Prefect deployment for the workers of a work pool.

    diamond-cutter deploy --cron "0 2 * * SUN" sprites efficientnet-lite0 --layers main

    Parameters
    ----------
    command
        `sprites`, `attribute`, `cut`, `attach`, `compare` or `tune`, with its options; if omitted,
        all of these, and each trigger gives the model and other parameters.
    """
    from diamond_cutter.flows.cli.deployments import deploy_every_flow, deploy_request

    if not command:
        return deploy_every_flow(options)
    bucket = () if options.bucket is None else ("--bucket", options.bucket)
    deploy_request(_request_of((*command, *bucket), "deployed"), options)


def _request_of(command: Sequence[str], done: str) -> "AnyRequest":
    """Return the request of a command line."""
    function, bound, _ = app.parse_args(list(command), exit_on_error=False, print_error=False)
    if function is sprites:
        return _asked(bound.arguments["request"], bound.arguments.get("mixing", NO_MIXES))
    if function in (attribute, cut, compare, attach, tune):
        return bound.arguments["request"]
    raise RequestError(
        f"the command cannot be {done}: expected 'sprites', 'attribute', 'cut', 'attach', "
        f"'compare' or 'tune' with its options, found {' '.join(command) or 'nothing'!r}"
    )


def _asked(request: SpritesRequest, mixing: MixOptions) -> SpritesRequest:
    """Return the request with the requested mixes."""
    if not mixing.given:
        return request
    from diamond_cutter.flows.cli.models import describe

    # The width of directions is checked now, because weights of 0 are dropped later.
    card = describe(request.bucket, request.model) if mixing.directions else None
    return SpritesRequest.model_validate({**dict(request), "mixes": read_mixes(mixing, card)})


if __name__ == "__main__":
    main()
