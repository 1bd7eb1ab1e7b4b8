"""One operation: the call, the decision after a failure, the next attempt."""
