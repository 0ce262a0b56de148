"""`python -m tests.support.library`: the command of the system of four."""

from eventgraph.cli import command
from tests.support.notes import LIBRARY

if __name__ == "__main__":
    command(LIBRARY)()
