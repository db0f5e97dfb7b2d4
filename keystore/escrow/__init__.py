"""The key management centre: encryption keys made ahead, assigned, kept, recovered."""
