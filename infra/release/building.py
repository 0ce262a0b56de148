"""The artifacts of a release: wheels and source distributions, what they depend on (SBOM), checksums.

The same commit gives the same bytes: times are those of the commit
(https://reproducible-builds.org/docs/source-date-epoch/), and the SBOM's serial number follows from what is in it.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from infra.release.errors import NotReady
from infra.release.preparing import PACKAGES

SUMS: Final = "SHA256SUMS"
_NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_URL, "https://cyclonedx.org/specification/overview/")


def build(root: Path, output: Path, epoch: int, uv: Path) -> Sequence[Path]:
    """Write all artifacts of a checkout into an empty folder; gives their paths."""
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch)}
    for folder in PACKAGES.values():
        command = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--sdist", "--outdir", str(output)]
        run([*command, str(root / folder)], cwd=root, environment=environment)
    for name in PACKAGES:
        (output / f"{name}.cdx.json").write_text(_sbom(root, name, epoch, uv))
    artifacts = sorted(path for path in output.iterdir() if not path.name.startswith("."))
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in artifacts]
    (output / SUMS).write_text("".join(lines))
    return [*artifacts, output / SUMS]


def _sbom(root: Path, name: str, epoch: int, uv: Path) -> str:
    """What a distribution depends on, with all extras, as locked: CycloneDX 1.5
    (https://cyclonedx.org/docs/1.5/json/)."""
    options = ["--frozen", "--offline", "--no-default-groups", "--all-extras", "--preview-features", "sbom-export"]
    text = run([str(uv), "export", *options, "--package", name, "--format", "cyclonedx1.5"], cwd=root)
    found: dict[str, Any] = json.loads(text)
    found["metadata"]["timestamp"] = datetime.fromtimestamp(epoch, UTC).isoformat().replace("+00:00", "Z")
    del found["serialNumber"]
    serial = uuid.uuid5(_NAMESPACE, json.dumps(found, sort_keys=True))
    return json.dumps({**found, "serialNumber": f"urn:uuid:{serial}"}, indent=2) + "\n"


def run(command: Sequence[str], *, cwd: Path, environment: Mapping[str, str] | None = None) -> str:
    """What a command prints.

    Raises:
        NotReady: it has failed; the message has the end of what it said.
    """
    found = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    if found.returncode != 0:
        told = (found.stderr or found.stdout).strip()[-1_000:]
        raise NotReady(f"`{' '.join(command)[:200]}` has failed with {found.returncode}: {told}")
    return found.stdout
