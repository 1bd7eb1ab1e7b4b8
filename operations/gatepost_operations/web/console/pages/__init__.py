"""The pages, one module each. `app.py` says how to add one."""
