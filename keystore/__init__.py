"""Private keys, algorithms, SM2, and the devices that hold keys."""
