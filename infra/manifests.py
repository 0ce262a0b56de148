"""`python -m infra.manifests`: the chart's plain manifests, for those who deploy without Helm.

Each file of `infra/kubernetes/` is what `helm template` gives for the social network in one profile. Host name, image
and issuer in it are examples.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from infra.local.errors import ServerError
from infra.local.kubernetes.programs import program

CHART = Path(__file__).parent / "helm"
MANIFESTS = Path(__file__).parent / "kubernetes"
PROFILES = ("one-node", "production")
_INSTALLATION = {"image.repository": "registry.example.com/kithgraph", "image.tag": "0.1.0", "secret.name": "kith"}
# Values that are texts even where they look like numbers.
_TEXT = re.compile(r"(^|\.)settings\.|\.revision$")
_EXAMPLES: Mapping[str, Mapping[str, str]] = {
    "one-node": {},
    "production": {
        "router.ingress.host": "api.example.com",
        "router.ingress.tlsSecret": "api-example-com",
        "authentication.issuers[0].name": "https://login.example.com/",
        "authentication.issuers[0].audiences[0]": "kithgraph",
        "authentication.issuers[0].keys": "https://login.example.com/.well-known/jwks.json",
    },
}


def values(system: str, profile: str, more: Mapping[str, str] | None = None) -> list[str]:
    """The options that give Helm the values of a system in a profile, with those of an installation on top."""
    given = {**_INSTALLATION, **_EXAMPLES[profile], **(more or {})}
    files = (CHART / "systems" / f"{system}.yaml", CHART / f"values-{profile}.yaml")
    options = [f"--values={file}" for file in files]
    return options + [f"--set{'-string' if _TEXT.search(name) else ''}={name}={value}" for name, value in given.items()]


def helm(*arguments: str, kubeconfig: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run Helm to its end, with folders of its own, so that it finds nothing of the user's."""
    with tempfile.TemporaryDirectory() as home:
        variables = {"HOME": home, "PATH": "/usr/bin:/bin", "KUBECONFIG": str(kubeconfig or Path(home, "none"))}
        return subprocess.run(
            [str(program("helm")), *arguments], env=variables, capture_output=True, text=True, check=False
        )


def manifests(system: str, profile: str, more: Mapping[str, str] | None = None) -> str:
    """The objects of a system in a profile, as YAML documents.

    Raises:
        ServerError: Helm refused; with what it said.
    """
    done = helm("template", system, str(CHART), *values(system, profile, more))
    if done.returncode:
        raise ServerError(f"{system}, {profile}: helm template failed:\n{done.stderr}")
    return done.stdout


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the files, or say which are not up to date."""
    parser = argparse.ArgumentParser(prog="python -m infra.manifests", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is not up to date")
    check: bool = parser.parse_args(arguments).check
    try:
        texts = {MANIFESTS / f"kith-{profile}.yaml": manifests("kith", profile) for profile in PROFILES}
    except ServerError as error:
        sys.exit(str(error))
    stale = [file for file, text in texts.items() if not file.exists() or file.read_text(encoding="utf-8") != text]
    if check and stale:
        sys.exit(f"not up to date: {', '.join(map(str, stale))}; write them with `make manifests`")
    for file in () if check else stale:
        file.write_text(texts[file], encoding="utf-8")
        print(f"wrote {file}")


if __name__ == "__main__":
    main()
