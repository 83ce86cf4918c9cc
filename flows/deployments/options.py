"""The options of `deploy`, beside the command that is deployed."""

from typing import Literal

from pydantic import Field

from diamond_cutter.frozen_model import FrozenModel

# What happens to a run of a deployment that is due while another one is going.
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
