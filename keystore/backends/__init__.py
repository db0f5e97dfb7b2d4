"""One module per place where private keys live; reached through `keystore.registry` only."""
