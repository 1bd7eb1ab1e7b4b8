"""The console: pages for operators. It holds no keys, so it cannot read an address."""
