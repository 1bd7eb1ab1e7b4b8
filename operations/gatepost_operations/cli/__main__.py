"""`python -m gatepost_operations.cli`, for a shell whose PATH lacks the script."""

from gatepost_operations.cli import main

if __name__ == "__main__":
    main()
