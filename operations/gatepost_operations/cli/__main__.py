"""`python -m gatepost_operations.cli`, for where the script is not on the PATH."""

from gatepost_operations.cli import main

if __name__ == "__main__":
    main()
