"""Named checks of a whole installation, for people and for monitoring (docs/health-check.md)."""
