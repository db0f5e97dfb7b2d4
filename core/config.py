"""What an installation says about acts that need more than one person."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class ActRule(BaseModel):
    """How many must agree to one kind of act, and for how long a proposal waits for them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    approvals: int = Field(default=0, ge=0, le=9)
    """How many people besides the requester must approve; 0: the act happens at once."""
    hours: int = Field(default=72, ge=1, le=720)
    """A proposal that is not executed within this time is void."""


class ControlConfig(BaseModel):
    """Acts under the control of several people (docs/control.md).

    The default of 0 approvals lets an installation start with one administrator of each line.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    ca_certificate: ActRule = ActRule()
    """Issuing the certificate of a CA."""
    profile_change: ActRule = ActRule()
    """Changing what a kind of certificate contains."""
    role_change: ActRule = ActRule()
    """Making, changing and disabling administrators, and giving them new credentials."""
    right_change: ActRule | None = None
    """Giving and taking rights of operators in the tree. None: as `role_change`."""
    mass_revocation: ActRule = ActRule()
    """Revoking many certificates at once."""
