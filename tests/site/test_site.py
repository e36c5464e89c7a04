"""The documentation site: built without a warning, and looked at in a browser where there is one."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from source import ROOT

SIZES = ((1280, 900), (390, 844))
SCHEMES = ("light", "dark")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as the README says; warnings, broken links and anchors among them, are errors."""
    for package in ("sphinx", "furo", "jupytext", "myst_nb", "sphinx_design"):
        pytest.importorskip(package, reason=f"{package} is not installed: pip install 'snnhw[docs]'")
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", str(ROOT / "docs"), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    return out


def pages(site: Path) -> list[str]:
    return sorted(str(page.relative_to(site)) for page in site.rglob("*.html"))


def test_it_is_built_and_asks_the_network_for_nothing(site: Path) -> None:
    found = pages(site)
    assert {"index.html", "quickstart.html", "reference/neurons.html", "search.html"} <= {*found}
    for page in found:
        text = (site / page).read_text()
        assert 'src="http' not in text, page
        assert '<link rel="stylesheet" type="text/css" href="http' not in text, page


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("chromium and chromedriver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--force-device-scale-factor=1"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    found = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=driver))
    yield found
    found.quit()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("size", SIZES)
def test_every_page_fits_a_browser_and_raises_nothing(
    site: Path, browser: Any, tmp_path: Path, size: tuple[int, int], scheme: str
) -> None:
    """A failure leaves a picture of the page."""
    width, height = size
    preference = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", preference)
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    for page in pages(site):
        browser.get((site / page).as_uri())
        wide = browser.execute_script("return document.documentElement.scrollWidth")
        shown = tmp_path / f"{page.replace('/', '-')}.png"
        if wide > width:
            browser.save_screenshot(str(shown))
        assert wide <= width, f"{page} is {wide} pixels wide; see {shown}"
        said = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
        assert said == [], page
        ground = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
        red = int(ground.removeprefix("rgb(").split(",")[0])
        assert (red < 128) == (scheme == "dark"), f"{page} is {ground}"


def test_search_finds_a_neuron_from_files(site: Path, browser: Any) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    browser.get((site / "search.html").as_uri() + "?q=RSynaptic")
    links = WebDriverWait(browser, 60).until(lambda it: it.find_elements("css selector", "#search-results a"))
    assert any("neurons.html" in link.get_attribute("href") for link in links)
