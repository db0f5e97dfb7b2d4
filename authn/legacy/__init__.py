"""Applications that do not speak OpenID Connect: CAS, and those behind a proxy that asks us."""
