"""A headless Chromium as a person would have it before them: pages from files, and no network."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

# Debian's names, then those of others.
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
DESKTOP, PHONE = (1280, 900), (375, 740)


@contextmanager
def chromium() -> Iterator["object"]:
    """The browser, driven through Debian's chromium-driver; skips where either is missing."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    driver = shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("needs a browser and its driver: apt-get install chromium chromium-driver")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in (
        "--headless=new",
        "--no-sandbox",  # for root in a container
        "--disable-dev-shm-usage",
        "--disable-gpu",
        "--disable-background-networking",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        "--autoplay-policy=user-gesture-required",
        "--force-prefers-reduced-motion",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(executable_path=driver)
    with webdriver.Chrome(options=options, service=service) as page:
        page.set_script_timeout(30)
        yield page


def resize(page: object, size: tuple[int, int]) -> None:
    """Set the size of what the page sees, which no window may be too narrow for."""
    page.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size == PHONE},
    )
