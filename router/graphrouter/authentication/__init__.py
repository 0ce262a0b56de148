"""Who asks: callers that prove themselves by a JSON Web Token of a known issuer."""

from graphrouter.authentication.caller import Caller
from graphrouter.authentication.issuers import Authentication, Issuer
from graphrouter.authentication.policies import PolicyQuestion

__all__ = ["Authentication", "Caller", "Issuer", "PolicyQuestion"]
