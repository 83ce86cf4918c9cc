"""The command line. A command imports its modules when it runs, so that `--help` is instant."""

import logging
import os
import sys
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, CycloptsError, Parameter
from pydantic import ValidationError

from diamond_cutter.errors import DiamondCutterError
from diamond_cutter.flows.cli.bucket_commands import BUCKET_COMMANDS
from diamond_cutter.flows.cli.doctor import doctor
from diamond_cutter.flows.cli.model_commands import models_app
from diamond_cutter.flows.cli.options import (
    HELP_RECIPE,
    HelpFormatter,
    choose_log,
    shown_default,
    spell_out_models,
    spell_out_recipe,
)
from diamond_cutter.flows.cli.run_commands import (
    NO_MIXES,
    RUN_COMMANDS,
    attach,
    attribute,
    compare,
    cut,
    sprites,
    tune,
    with_mixes,
)
from diamond_cutter.flows.deployments.options import DeployOptions, OnCollision
from diamond_cutter.flows.errors import (
    RequestError,
    print_error,
    sentence,
)
from diamond_cutter.flows.exits import exit_code_of, leave
from diamond_cutter.flows.stops import fresh_stop, printing_to_whoever_is_left, terminable
from diamond_cutter.garbage import collect_rarely
from diamond_cutter.tasks.devices.tensorflow_import import import_tensorflow_quietly

if TYPE_CHECKING:
    from diamond_cutter.flows.deployments.registration import Request as AnyRequest

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
# Libraries that log in the process of a command. For TensorFlow see tasks/devices/, for Prefect
# flows/server/prefect_server.py.
_LIBRARIES = (
    "PIL",
    "amplitude",
    "asyncio",
    "distributed",
    "google",
    "httpcore",
    "httpx",
    "opentelemetry",
    "requests",
    "urllib3",
    "websockets",
)

Command = Annotated[str, Parameter(allow_leading_hyphen=True)]
Deploying = Annotated[DeployOptions, Parameter(name="*")]
NO_OPTIONS = DeployOptions()

app = App(
    name="diamond-cutter",
    help="Render what the channels of a convolutional network look for, and explain its decisions.",
    version_flags=["--version"],
    suppress_keyboard_interrupt=False,
    config=(choose_log, spell_out_recipe, spell_out_models),
    help_format="plaintext",  # the other formats take the * of a product for markup
    default_parameter=Parameter(negative=(), consume_multiple=True, show_default=shown_default),
)
app.command(models_app)
app.update(RUN_COMMANDS)
app.update(BUCKET_COMMANDS)
app.command(doctor)


def main() -> None:
    """Run a command; exit with 2 on bad input, with 1 if a part of the work failed."""
    collect_rarely()
    # Prefect reads it while it is imported.
    os.environ.setdefault("DO_NOT_TRACK", "1")
    _silence_libraries()
    import_tensorflow_quietly()
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
    app.help_formatter = HelpFormatter(recipe=HELP_RECIPE in arguments)
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
    from diamond_cutter.flows.deployments.serving import serve as serve_request

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
        return with_mixes(bound.arguments["request"], bound.arguments.get("mixing", NO_MIXES))
    if function in (attribute, cut, compare, attach, tune):
        return bound.arguments["request"]
    raise RequestError(
        f"the command cannot be {done}: expected 'sprites', 'attribute', 'cut', 'attach', "
        f"'compare' or 'tune' with its options, found {' '.join(command) or 'nothing'!r}"
    )


if __name__ == "__main__":
    main()
