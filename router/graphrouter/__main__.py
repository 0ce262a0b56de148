"""`python -m graphrouter` is the command `graphrouter`."""

from graphrouter.cli import main

if __name__ == "__main__":
    main()
