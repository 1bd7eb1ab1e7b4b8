"""`gatepost doctor`: check everything that a worker needs."""
