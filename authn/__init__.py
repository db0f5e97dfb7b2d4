"""Who is asking: users, sessions, certificate login, OpenID Connect."""
