"""The base of all data that is validated, stored as JSON or passed to a flow."""

from pydantic import BaseModel, ConfigDict


class FrozenModel(BaseModel):
    """Immutable data whose unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")
