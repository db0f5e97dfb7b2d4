"""Other systems that vouch for people: OpenID providers and LDAP directories."""
