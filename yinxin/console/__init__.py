"""The administrators' console: pages over the API, for who is signed in as an administrator."""
