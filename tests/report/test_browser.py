"""The page in headless Chromium: light, dark, and as wide as a phone."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from zoo.precision import Precision
from zoo.report.comparison import comparison_page
from zoo.runs import open_run

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None,
    reason="Chromium is missing: apt-get install chromium chromium-driver",
)
WIDE, PHONE = 1200, 390
PAPER = 718
"""A4 without its margins."""

PROBLEMS = """
const clipped = (element) => element.closest(".scrolled, pre, .unseen, .skip") !== null;
return {
  pictures: [...document.images].filter((one) => !one.complete || !one.naturalWidth).length,
  unnamed: [...document.images].filter((one) => !one.alt).length,
  total: document.images.length,
  width: document.documentElement.scrollWidth,
  wide: [...document.body.querySelectorAll("*")].filter((one) => !clipped(one)
    && one.getBoundingClientRect().right > innerWidth + 1).map((one) => one.outerHTML.slice(0, 90)),
  requests: performance.getEntriesByType("resource").map((one) => one.name)
    .filter((name) => !name.startsWith("data:")),
  background: getComputedStyle(document.body).backgroundColor,
};
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(executable_path=str(DRIVER))
    running = webdriver.Chrome(options=options, service=service)
    yield running
    running.quit()


@pytest.fixture(scope="module")
def file(page: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    written = tmp_path_factory.mktemp("page") / "report.html"
    written.write_text(page, encoding="utf-8")
    return written


def show(browser: Any, file: Path, width: int, scheme: str) -> None:
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width == PHONE}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(file.as_uri())


def wait(browser: Any) -> Any:
    from selenium.webdriver.support.wait import WebDriverWait

    return WebDriverWait(browser, 5)


def requested(browser: Any) -> set[str]:
    """Addresses that the page asked for, itself and data within it left out."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    addresses = {
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    }
    return {address for address in addresses if not address.startswith("data:")}


@pytest.mark.parametrize(
    ("width", "scheme", "background"),
    [(WIDE, "light", "rgb(255, 255, 255)"), (WIDE, "dark", "rgb(18, 21, 27)"),
     (PHONE, "light", "rgb(255, 255, 255)"), (PHONE, "dark", "rgb(18, 21, 27)")],
)  # fmt: skip
def test_the_page_is_sound(
    browser: Any, file: Path, width: int, scheme: str, background: str
) -> None:
    requested(browser)  # those before are forgotten
    show(browser, file, width, scheme)
    found = browser.execute_script(PROBLEMS)
    assert found["total"] > 20
    assert (found["pictures"], found["unnamed"]) == (0, 0)
    assert found["wide"] == []
    assert found["width"] <= width
    assert found["background"] == background
    assert found["requests"] == []
    assert requested(browser) <= {file.as_uri()}
    assert browser.get_log("browser") == []


def test_the_log_would_notice(browser: Any, file: Path, tmp_path: Path) -> None:
    bad = file.read_text(encoding="utf-8").replace(
        "<main", '<img src="http://127.0.0.1:9/a.png" alt=""><script>alert(1)</script><main'
    )
    (tmp_path / "bad.html").write_text(bad, encoding="utf-8")
    show(browser, tmp_path / "bad.html", WIDE, "light")
    messages = " ".join(entry["message"] for entry in browser.get_log("browser"))
    assert "127.0.0.1:9" in messages  # refused by the page's policy
    assert "script" in messages


def test_tables_are_sorted_by_their_heads(browser: Any, file: Path) -> None:
    show(browser, file, WIDE, "light")
    column = """
    const table = document.getElementById("per-class");
    return [...table.tBodies[0].rows].map((row) => row.cells[arguments[0]].textContent);
    """
    click = 'document.querySelectorAll("#per-class thead button")[arguments[0]].click();'
    names = browser.execute_script(column, 0)
    browser.execute_script(click, 0)
    assert browser.execute_script(column, 0) == sorted(names, key=str.lower)
    browser.execute_script(click, 0)
    assert browser.execute_script(column, 0) == sorted(names, key=str.lower, reverse=True)
    browser.execute_script(click, 3)
    shares = [text.rstrip("\N{NO-BREAK SPACE}%") for text in browser.execute_script(column, 3)]
    assert [float(share) for share in shares] == sorted(map(float, shares), reverse=True)
    state = 'return document.querySelectorAll("#per-class [aria-sort]").length'
    assert browser.execute_script(state) == 1


def test_hovering_over_a_curve_tells_the_values(browser: Any, file: Path) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    show(browser, file, WIDE, "light")
    drawing = browser.find_element("css selector", "#curves svg")
    browser.execute_script(
        "arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", drawing
    )
    ActionChains(browser).move_to_element_with_offset(drawing, 90, 0).perform()
    told = browser.find_element("css selector", "#curves .told").text.splitlines()
    assert told[0] == "epoch 2"
    assert told[1].startswith("training: ")
    assert told[2].startswith("validation: ")


@pytest.fixture(scope="module")
def compared(trained: Path, hostile: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of two runs, one under a long name."""
    directory = tmp_path_factory.mktemp("compared")
    shutil.copytree(hostile, directory / ("long-" * 12))
    records = [open_run(str(trained)), open_run(str(directory / ("long-" * 12)))]
    page, _ = comparison_page(records, Precision("fp32", torch.device("cpu")))
    (directory / "a.html").write_text(page, encoding="utf-8")
    return directory / "a.html"


OVER = """
return [...document.querySelectorAll(".scrolled")].map((box) => [
  box.ariaLabel, box.scrollWidth > box.clientWidth,
  box.parentElement.classList.contains("more-right")]);
"""


def test_tables_fit_or_show_an_edge_where_they_go_on(
    browser: Any, file: Path, compared: Path
) -> None:
    show(browser, compared, WIDE, "light")
    assert [over for name, over, _ in browser.execute_script(OVER) if "run" in name] == [False]
    show(browser, file, PHONE, "light")
    found = {name: (over, edge) for name, over, edge in browser.execute_script(OVER)}
    for name in ("Figures of each class", "Most confused pairs"):
        assert found.get(name, (False, False)) == (False, False), name  # names of 90 letters wrap
    assert found["Layers"] == (True, True)
    assert all(over == edge for over, edge in found.values())
    browser.execute_script("document.querySelector('.scroller:has(.layers)').firstElementChild"
                           ".scrollLeft = 1e4")  # fmt: skip
    state = "return document.querySelector('.scroller:has(.layers)').className"
    wait(browser).until(lambda _: browser.execute_script(state) == "scroller more-left")


def test_letters_of_a_drawing_are_seen_in_the_dark(browser: Any, compared: Path) -> None:
    show(browser, compared, WIDE, "dark")
    colours = """
    return [...new Set([...document.querySelectorAll("svg text")]
      .map((text) => getComputedStyle(text).fill))];
    """
    assert browser.execute_script(colours) == ["rgb(166, 175, 189)"]


def test_on_paper_everything_is_open_and_nothing_is_cut(
    browser: Any, file: Path, compared: Path
) -> None:
    for page in (file, compared):
        size = {"width": PAPER, "height": 1040, "deviceScaleFactor": 1, "mobile": False}
        show(browser, page, WIDE, "light")
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        found = browser.execute_script("""
        return {
          closed: [...document.querySelectorAll("details > :not(summary)")]
            .filter((one) => !one.checkVisibility()).length,
          over: [...document.querySelectorAll("table")]
            .filter((one) => one.getBoundingClientRect().right > innerWidth).length,
        };
        """)
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
        assert (found["closed"], found["over"]) == (0, 0), page


def test_no_option_of_a_command_is_torn(browser: Any, file: Path) -> None:
    show(browser, file, WIDE, "light")
    torn = browser.execute_script("""
    const options = [...document.querySelectorAll(".commands .word")]
      .filter((word) => /^-/.test(word.textContent));
    const torn = new Set(options.length ? [] : ["there are no options"]);
    for (let width = 200; width < 900; width += 12) {
      document.querySelector("main").style.width = `${width}px`;
      for (const word of options) if (word.getClientRects().length > 1) torn.add(word.textContent);
    }
    return [...torn];
    """)
    assert torn == []
