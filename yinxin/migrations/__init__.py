"""The one history of the database. A migration works before, during and after an upgrade."""
