"""The reconciler, health and start checks."""
