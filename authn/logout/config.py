"""How long and how often applications are told of the end of a session."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class LogoutConfig(BaseModel):
    """Single logout."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    parallel: int = Field(default=64, ge=1, le=512)
    """So many applications are called at once by one node."""
    parallel_per_application: int = Field(default=16, ge=1, le=64)
    """So many calls to one application at once, when it answers."""
    longest_pause_seconds: int = Field(default=300, ge=1, le=3600)
    """An application that does not answer is tried after 1, 2, 4, … seconds, at most these."""
    give_up_hours: int = Field(default=24, ge=1, le=720)
    """A message that could not be delivered for so long is dropped, and that is audited."""
