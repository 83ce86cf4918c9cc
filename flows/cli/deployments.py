"""Registers deployments for `deploy`, and prints how to run them."""

import sys
from typing import TYPE_CHECKING

from diamond_cutter.flows.deployments.options import DeployOptions
from diamond_cutter.flows.errors import RequestError

if TYPE_CHECKING:
    from diamond_cutter.flows.deployments.registration import Request


def deploy_request(request: "Request", options: DeployOptions) -> None:
    """Register the deployment of a request, and print how to run it."""
    from diamond_cutter.flows.deployments.registration import deploy

    _print([deploy(request, options)], options)


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
    from diamond_cutter.flows.deployments.registration import deploy_all

    _print(deploy_all(options), options)


def _print(deployed: list[str], options: DeployOptions) -> None:
    from diamond_cutter.flows.deployments.registration import OWN_POOL

    pool = options.pool or OWN_POOL
    lines = [f"deployed {name}" for name in deployed]
    lines += [
        f"start a worker:  prefect worker start --pool {pool}",
        f"run one now:     prefect deployment run {deployed[0]}",
    ]
    if len(deployed) > 1:
        lines[-1] += ' -p \'request={"model": "efficientnet-lite0"}\''
    sys.stdout.write("\n".join(lines) + "\n")
