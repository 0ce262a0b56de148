"""The report of a load, as a browser shows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from eventgraph.load.page import page as html
from eventgraph.load.results import Limits
from tests.support.chromium import chromium_page
from tests.unit.open_loop.test_results import EVIL, measured, results

pytestmark = pytest.mark.browser

CURVES = """[...document.querySelectorAll("svg")].every((svg) => {
    const frame = svg.getBoundingClientRect();
    return [...svg.querySelectorAll("path, circle, text")].every((part) => {
        const box = part.getBoundingClientRect();
        return box.left >= frame.left - 1 && box.right <= frame.right + 1
            && box.top >= frame.top - 1 && box.bottom <= frame.bottom + 1;
    });
})"""


async def test_it_is_one_file_that_fits_a_phone_and_can_be_read_in_light_and_in_dark(tmp_path: Path) -> None:
    file = tmp_path / "load.html"
    file.write_text(html(results(measured(), Limits("1%", "3s"))))
    async with chromium_page(tmp_path / "profile") as page:
        await page.open(file.as_uri())
        assert await page.wait_for("document.querySelectorAll('svg').length === 4")
        papers: set[str] = set()
        for theme in ("light", "dark"):
            await page.prefer(theme)
            for width in (1280, 420):
                await page.call(
                    "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False
                )
                assert await page.wait_for("document.documentElement.scrollWidth <= innerWidth")
                assert await page.wait_for(CURVES)
            colours = await page.evaluate(
                "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color,"
                " getComputedStyle(document.querySelector('.series.c1 path')).stroke]"
            )
            assert len(set(colours)) == 3
            papers.add(colours[0])
        assert len(papers) == 2
        assert EVIL in await page.evaluate("document.querySelector('h1').textContent")
        said = await page.evaluate("document.querySelector('.series circle title').textContent")
        assert said.startswith("p50, second 0: 20")
        assert page.requested == [file.as_uri()]
        assert page.problems == []
