"""`python -m airbed` is `airbed`."""

from airbed.cli import main

if __name__ == "__main__":
    main()
