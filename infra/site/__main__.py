"""`python -m infra.site`: builds the documentation into the folder `site`; with `serve`, shows it and follows edits."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import tomllib
from pathlib import Path
from typing import Any, Final

from watchfiles import watch

from infra.site.generated import pages as generated_pages
from infra.site.mermaid import Unexpected, script
from infra.site.staging import ROOT, PageError, navigation, repository_pages, stage

SETTINGS: Final = Path(__file__).with_name("zensical.toml")
WORK: Final = ROOT / ".cache" / "site"
"""Where the pages are laid out; what is in it is made anew."""


def lay_out(work: Path) -> Path:
    """Lays out all pages below a folder; gives the settings that Zensical builds them with, into its folder `html`."""
    pages = {path: (ROOT / path).read_text() for path in repository_pages()} | generated_pages()
    settings: dict[str, Any] = tomllib.loads(SETTINGS.read_text())["project"]
    settings["nav"] = navigation(settings["nav"], pages)
    settings["plugins"]["mkdocstrings"]["handlers"]["python"]["paths"] = [str(ROOT), str(ROOT / "router")]
    settings["docs_dir"] = "pages"
    settings["site_dir"] = "html"  # Zensical writes nowhere outside of its project
    drawing = script(WORK)
    if drawing is not None:
        fences = {"name": "mermaid", "class": "mermaid"}
        settings["markdown_extensions"]["pymdownx"]["superfences"]["custom_fences"] = [fences]
    stage(pages, work / "pages", drawing)
    made = work / "mkdocs.yml"
    made.write_text(json.dumps(settings, indent=1))  # JSON is YAML
    return made


def build(work: Path, site: Path) -> int:
    """Builds the site; the exit code, which is not 0 if a link or an anchor of a page leads nowhere."""
    code = render(lay_out(work))
    if code == 0:
        shutil.rmtree(site, ignore_errors=True)
        shutil.copytree(work / "html", site)
    return code


def render(settings: Path) -> int:
    """Renders the pages that are laid out; the exit code of Zensical."""
    return subprocess.run([_zensical(), "build", "--strict", "--config-file", settings], check=False).returncode


def serve(work: Path, arguments: list[str]) -> int:
    """Shows the site until Ctrl-C; a page that is edited is shown anew."""

    def follow() -> None:
        for _ in watch(ROOT, watch_filter=lambda _change, path: path.endswith(".md") and ".cache" not in path):
            try:
                lay_out(work)
            except (PageError, Unexpected, OSError) as error:
                print(error, file=sys.stderr)

    settings = lay_out(work)
    threading.Thread(target=follow, daemon=True).start()
    return subprocess.run([_zensical(), "serve", "--config-file", settings, *arguments], check=False).returncode


def _zensical() -> str:
    return str(Path(sys.executable).with_name("zensical"))


def main() -> int:
    match sys.argv[1:]:
        case []:
            return build(WORK, ROOT / "site")
        case ["serve", *arguments]:
            return serve(WORK, arguments)
        case _:
            print("expected no argument, or serve with the options of zensical serve", file=sys.stderr)
            return 2


if __name__ == "__main__":
    try:
        code = main()
    except (PageError, Unexpected) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        code = 0
    sys.exit(code)
