"""The studio's page in a real browser: headless Chromium drives all that it offers.

Skipped where Playwright or Chromium is not installed; the leg `studio` of `.ci/run` has both, and
axe-core, which AIOAUG_AXE names.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest
from studio_testing import make_coco, make_own, pixels, run_program

playwright = pytest.importorskip("playwright.sync_api", reason="the leg `studio` has Playwright")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="the leg `studio` installs Chromium"),
    pytest.mark.timeout(120),
]

READY = "body[data-rendering=no]"
AUGMENTED = "#augmented .shown img:not(.map)"
# Every pixel that the page shows, by way of a canvas.
PIXELS = """image => {
  const canvas = document.createElement("canvas");
  canvas.width = image.naturalWidth;
  canvas.height = image.naturalHeight;
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const data = context.getImageData(0, 0, canvas.width, canvas.height).data;
  let text = "";
  for (const value of data) text += String.fromCharCode(value);
  return [canvas.width, btoa(text)];
}"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """`aioaug serve` as a user starts it; it ends with Ctrl-C, and leaves nothing behind."""
    dataset = make_coco(tmp_path_factory.mktemp("page") / "coco")
    own = make_own(tmp_path_factory.mktemp("own"))
    command = [sys.executable, "-m", "aioaug", "serve", "standard", "light", *own.values()]
    command += ["--images", str(dataset), "--port", "0", "--workers", "2"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        address = process.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", address)
        yield address
        inside = psutil.Process(process.pid).children(recursive=True)
        assert len(inside) >= 2
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
    assert process.returncode == 0
    assert said == "aioaug: stopped\n"
    _, alive = psutil.wait_procs(inside, timeout=5)
    assert alive == []


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(autouse=True)
def no_leaks():
    """In the place of the check for all tests: Chromium starts and ends processes as it likes."""


@contextmanager
def opened(browser, server, fragment="", refused=0, **options):
    """The page, watched: no error of it, and no request that leaves this machine."""
    options = {"viewport": {"width": 1400, "height": 900}, **options}
    context = browser.new_context(**options)
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=server.rstrip("/"))
    page = context.new_page()
    problems, requests = [], []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    try:
        page.goto(server + fragment)
        page.wait_for_selector(READY)
        yield page
        page.wait_for_selector(READY)
    finally:
        context.close()
    # Chromium itself notes each answer that is an error.
    assert [text for text in problems if "status of 4" not in text] == []
    assert len(problems) == refused
    assert all(url.startswith((server, f"blob:{server}")) for url in requests)


def shown(page, selector=AUGMENTED):
    """The pixels of a picture of the page, RGB."""
    page.wait_for_selector(READY)
    width, coded = page.locator(selector).first.evaluate(PIXELS)
    return np.frombuffer(base64.b64decode(coded), np.uint8).reshape(-1, width, 4)[:, :, :3]


def change(page, selector, value):
    page.fill(selector, str(value))
    page.press(selector, "Enter")
    page.locator(selector).blur()
    page.wait_for_selector(READY)


def slide(page, name, key, times):
    """Press a key on a slider."""
    slider = page.get_by_label(name, exact=True)
    slider.focus()
    for _ in range(times):
        slider.press(key)
    page.wait_for_selector(READY)


def test_pictures_follow_from_the_seed(server, browser):
    with opened(browser, server, "#pipeline=standard&seed=5&count=4") as page:
        first = shown(page)
        assert first.shape == shown(page, "#original .shown img").shape
        assert (first != shown(page, "#original .shown img")).any()
        assert page.locator("#grid .shown img:not(.map)").count() == 4
        cells = [shown(page, f"#grid li:nth-child({place}) img") for place in (1, 2, 3)]
        assert not any(np.array_equal(first, cell) for cell in cells)
        change(page, "#seed", 6)
        assert not np.array_equal(shown(page), first)
        change(page, "#seed", 5)
        np.testing.assert_array_equal(shown(page), first)
        page.click("#index-next")
        np.testing.assert_array_equal(shown(page), cells[0])
        page.click("#index-previous")
        before = page.input_value("#seed")
        page.click("#shuffle")
        page.wait_for_selector(READY)
        assert page.input_value("#seed") != before
        page.select_option("#count", "8")
        page.wait_for_selector("#grid li:nth-child(8) .shown")


def test_what_no_longer_follows_from_the_state_is_never_called_ready(server, browser):
    with opened(browser, server, "#pipeline=light&seed=5&count=4") as page:
        said = page.evaluate(
            """() => {
                document.getElementById("index-next").click();
                return document.body.dataset.rendering;
            }"""
        )
        assert said == "yes"


def test_labels_are_drawn_with_the_names_of_their_classes(server, browser):
    with opened(browser, server, "#pipeline=light&picture=0&seed=2") as page:
        box = page.locator("#original .box")
        values = [float(box.get_attribute(name)) for name in ("x", "y", "width", "height")]
        assert values == [20, 30, 60, 50]
        assert page.locator("#original .name text").text_content() == "cat"
        assert page.locator("#original .point").count() == 2
        assert page.locator("#augmented .box").count() == 1
        assert "with cat" in page.locator("#original .shown img").get_attribute("alt")
        page.uncheck("#marks")
        assert page.locator("#original svg").evaluate("one => getComputedStyle(one).display") == (
            "none"
        )


def test_a_slider_changes_what_it_should(server, browser):
    with opened(browser, server, "#pipeline=ready&seed=1&count=4") as page:
        before = shown(page)
        page.click("#tree .open")
        slide(page, "rotate, from, slider", "ArrowRight", 8)
        assert not np.array_equal(shown(page), before)
        assert float(page.get_by_label("rotate, from", exact=True).input_value()) > -20
        for end in ("from", "to"):
            change(page, f'input[type=number][aria-label="rotate, {end}"]', 0)
        np.testing.assert_array_equal(shown(page), shown(page, "#original .shown img"))
        change(page, 'input[type=number][aria-label="rotate, to"]', 5000000)
        assert page.get_by_label("rotate, to", exact=True).input_value() == "1000000"
        page.get_by_label("How scale is given").select_option("x and y")
        page.wait_for_selector('[data-parameter="y"]')
        page.click("#reset")
        np.testing.assert_array_equal(shown(page), before)


def test_augmenters_are_added_moved_switched_off_and_removed(server, browser):
    with opened(browser, server, "#pipeline=light&seed=1&count=4") as page:
        before = shown(page)
        page.click("#add")
        page.fill("#picker-search", "invert")
        page.press("#picker-search", "Enter")
        np.testing.assert_array_equal(shown(page)[:4, :4], 255 - before[:4, :4])
        cards = page.locator("#tree > .nodes > .node > .node-head .node-name")
        assert cards.all_text_contents() == ["Fliplr", "CropAndPad", "Multiply", "Invert"]
        page.get_by_label("Move up Invert").click()
        assert cards.all_text_contents() == ["Fliplr", "CropAndPad", "Invert", "Multiply"]
        page.wait_for_selector(READY)
        page.get_by_label("Invert is on").uncheck()
        np.testing.assert_array_equal(shown(page), before)
        page.get_by_label("Invert is on").check()
        page.get_by_label("Remove Invert").click()
        np.testing.assert_array_equal(shown(page), before)
        assert page.locator("#reset").is_hidden()
        first, second = page.locator("#tree .node-head .open").all()[:2]
        second.drag_to(first)
        assert cards.all_text_contents()[:2] == ["CropAndPad", "Fliplr"]


def test_a_dropped_picture_is_augmented(server, browser, tmp_path):
    picture = np.zeros((60, 90, 3), np.uint8)
    picture[:, :30] = 200
    file = tmp_path / "dropped in.png"
    cv2.imwrite(str(file), picture)
    with opened(browser, server, "#pipeline=light&seed=1&count=4", refused=1) as page:
        page.set_input_files("#upload", str(file))
        page.wait_for_selector("#original-name:text('dropped in.png')")
        np.testing.assert_array_equal(shown(page, "#original .shown img"), picture)
        assert shown(page).shape == picture.shape
        data = page.evaluate_handle(
            """() => {
                const held = new DataTransfer();
                held.items.add(new File(["no picture"], "text.png", { type: "image/png" }));
                return held;
            }"""
        )
        page.dispatch_event("body", "drop", {"dataTransfer": data})
        page.wait_for_selector(".toast.up:has-text('not a picture')")


def test_the_copied_program_and_the_link_give_what_is_shown(server, browser, tmp_path):
    with opened(browser, server, "#pipeline=mixed&picture=1&seed=9&index=4&side=128") as page:
        page.get_by_label("Move down Lambda").click()
        page.click("#add")
        page.fill("#picker-search", "gammacontrast")
        page.press("#picker-search", "Enter")
        expected = shown(page)
        page.click("#copy-python")
        page.wait_for_selector("#python[open]")
        source = page.text_content("#python-source")
        page.click("#python-copy")
        assert page.evaluate("() => navigator.clipboard.readText()") == source
        page.keyboard.press("Escape")
        page.click("#copy-link")
        link = page.evaluate("() => navigator.clipboard.readText()")
        names = page.locator("#tree .node-name").all_text_contents()
    written = run_program(source, tmp_path)
    np.testing.assert_array_equal(written["augmented.png"], expected)
    with opened(browser, server, "#" + link.partition("#")[2]) as page:
        np.testing.assert_array_equal(shown(page), expected)
        assert page.locator("#tree .node-name").all_text_contents() == names
        assert page.input_value("#seed") == "9"
        page.goto(server + "#pipeline=gone&picture=99&side=3&tree=!!&seed=x")
        page.wait_for_selector(READY)
        assert page.input_value("#pipeline-choice") == "standard"


def test_batches_of_the_run_go_back_and_forth(server, browser):
    with opened(browser, server, "#pipeline=light&seed=4") as page:
        page.click("#tab-batch")
        page.wait_for_selector("#batch .shown")
        page.select_option("#batch-size", "4")
        page.check("#batch-shuffle")
        first = shown(page, "#batch .shown img")
        names = page.locator("#batch .caption span:first-child").all_text_contents()
        assert sorted(names) == ["0.png", "1.png", "2.png"]
        page.click("#batch-next")
        page.wait_for_selector(READY)
        assert page.input_value("#batch-number") == "1"
        page.click("#batch-previous")
        np.testing.assert_array_equal(shown(page, "#batch .shown img"), first)
        page.press("#tab-batch", "ArrowLeft")
        page.wait_for_selector("#view-picture:visible")


def test_times_and_charts_move(server, browser):
    with opened(browser, server, "#pipeline=standard&count=4") as page:
        bars = page.locator("#times li .label").all_text_contents()
        assert {"Affine", "LinearContrast", "Reading"} <= set(bars)
        curve = page.locator('[data-chart="lag"] path:not(.area)')
        page.wait_for_selector('[data-chart="lag"] path:not(.area)[d*="L"]', state="attached")
        before = curve.get_attribute("d")
        page.click("#shuffle")
        page.wait_for_selector(
            f'[data-chart="lag"] path:not(.area):not([d="{before}"])', state="attached"
        )
        assert "of 2 workers" in page.text_content("#live-state")


def test_the_contact_sheet_is_downloaded(server, browser):
    with opened(browser, server, "#pipeline=light&count=4") as page:
        with page.expect_download() as download:
            page.click("#get-sheet")
        sheet = pixels(Path(download.value.path()).read_bytes())
        assert sheet.shape[1] == 10 + 4 * 250
        assert download.value.suggested_filename == "contact-sheet.png"


def test_keys_alone_do_all_of_it(server, browser):
    with opened(browser, server, "#pipeline=light&seed=1&count=4") as page:
        page.keyboard.press("j")
        page.wait_for_selector(READY)
        assert page.input_value("#index") == "1"
        page.keyboard.press("a")
        page.keyboard.type("flipud")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        assert page.locator(":focus").text_content() == "Flipud"
        page.keyboard.press("Enter")
        assert page.locator(":focus").get_attribute("aria-expanded") == "false"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1400, 900), (390, 844)])
def test_axe_finds_nothing_serious(server, browser, scheme, size):
    axe = os.environ.get("AIOAUG_AXE")
    if axe is None:
        pytest.skip("the leg `studio` has axe-core")
    options = {"color_scheme": scheme, "viewport": {"width": size[0], "height": size[1]}}
    with opened(browser, server, "#pipeline=standard&count=4", **options) as page:
        page.locator("#tree .open").nth(1).click()
        # A page of the browser's own tools runs it: the page itself forbids foreign scripts.
        tools = page.context.new_cdp_session(page)
        tools.send("Runtime.evaluate", {"expression": Path(axe).read_text("utf-8")})
        for selector in (None, "#picker[open]"):
            if selector is not None:
                page.click("#add")
                page.wait_for_selector(selector)
            found = tools.send(
                "Runtime.evaluate",
                {
                    "expression": "axe.run().then(found => JSON.stringify(found.violations))",
                    "awaitPromise": True,
                    "returnByValue": True,
                },
            )
            violations = json.loads(found["result"]["value"])
            serious = [
                (each["id"], [node["html"][:120] for node in each["nodes"]])
                for each in violations
                if each["impact"] in ("serious", "critical")
            ]
            assert serious == []
        assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
