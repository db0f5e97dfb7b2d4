"""What the end of a session means to the applications that were entered in it."""
