"""What a process can be: one module a role, each from settings and state to listening sockets."""
