"""Options of `deploy`, and what it prints."""

import sys
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from diamond_cutter.flows.errors import RequestError
from diamond_cutter.frozen_model import FrozenModel

if TYPE_CHECKING:
    from diamond_cutter.flows.registration import Request

OnCollision = Literal["skip", "enqueue"]


class DeployOptions(FrozenModel):
    """Where and how a command is deployed."""

    bucket: str | None = Field(
        default=None,
        description="the bucket: a folder, or gs://bucket/prefix; if omitted, ./bucket",
    )
    pool: str | None = Field(
        default=None,
        description="the work pool; if omitted, diamond-cutter, a pool of processes that is "
        "created if missing",
    )
    cron: str | None = Field(
        default=None,
        description="the schedule, as in crontab; if omitted, it runs only when triggered",
    )
    on_collision: OnCollision | None = Field(
        default=None,
        description="skip or enqueue a run that is due during another one; if omitted, skip with a "
        "command, and enqueue without",
    )
    deployment_name: str | None = Field(
        default=None,
        min_length=1,
        max_length=100,
        pattern=r"^[^/%&<>]+$",
        description="the name of the deployment; if omitted, that of the model",
    )


def deploy_request(request: "Request", options: DeployOptions) -> None:
    """Register the deployment of a request, and print how to run it."""
    from diamond_cutter.flows.registration import deploy

    _print(
        [
            deploy(
                request,
                options.pool,
                name=options.deployment_name,
                cron=options.cron,
                on_collision=options.on_collision or "skip",
            )
        ],
        options,
    )


def deploy_every_flow(options: DeployOptions) -> None:
    """Register all flows, each to be triggered with its own parameters; print how to run them.

    Raises:
        RequestError: an option needs a command.
    """
    given = {"--cron": options.cron, "--deployment-name": options.deployment_name}
    for option, value in given.items():
        if value is not None:
            raise RequestError(
                f"{option} needs a command: expected `deploy {option} ... sprites MODEL` or "
                f"another command, found none. Give the command to deploy, or omit {option}."
            )
    from diamond_cutter.flows.registration import deploy_all

    _print(
        deploy_all(
            options.bucket or "./bucket",
            options.pool,
            on_collision=options.on_collision or "enqueue",
        ),
        options,
    )


def _print(deployed: list[str], options: DeployOptions) -> None:
    from diamond_cutter.flows.registration import OWN_POOL

    pool = options.pool or OWN_POOL
    lines = [f"deployed {name}" for name in deployed]
    lines += [
        f"start a worker:  prefect worker start --pool {pool}",
        f"run one now:     prefect deployment run {deployed[0]}",
    ]
    if len(deployed) > 1:
        lines[-1] += ' -p \'request={"model": "efficientnet-lite0"}\''
    sys.stdout.write("\n".join(lines) + "\n")
