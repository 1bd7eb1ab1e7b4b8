"""Gatepost on one machine: the embedded Valkey, `gatepost dev` and the demo."""
