"""`python -m ser` does what `ser` does."""

from ser.cli import main

if __name__ == "__main__":
    main()
