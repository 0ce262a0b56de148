"""The configuration of `graphrouter serve`, from a file, the environment and the command line, as one checked model."""

from graphrouter.configuration.errors import ConfigurationError
from graphrouter.configuration.model import Configuration
from graphrouter.configuration.settings import Loaded, load

__all__ = ["Configuration", "ConfigurationError", "Loaded", "load"]
