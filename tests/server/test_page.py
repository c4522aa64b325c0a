# The page in a browser: headless Chromium, a desk server in its own thread, the device code as client
# SPDX-License-Identifier: MIT
from __future__ import annotations

import asyncio
import json
import shutil
import threading
import time
from pathlib import Path

import pytest

from tools.server import events
from tools.server.config import Config, Listener
from tools.server.fleet import Fleet
from tools.server.rest import RestServer
from tools.server.service import DeskServer

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import Select, WebDriverWait  # noqa: E402
from test_core_firmware import Updatable  # noqa: E402

pytestmark = pytest.mark.needs("chromium", "chromedriver", "micropython")
WAIT = 10  # seconds
KEY = "00112233445566778899aabbccddeeff"
SWITCHES = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,900",
)


class Desk:
    """A desk server with one client, dev-0, on an event loop of its own; do(coroutine) runs there."""

    def __init__(self):
        self.ready = threading.Event()
        self.failed: BaseException | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        assert self.ready.wait(30) and self.failed is None, self.failed

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self.failed = error
            self.ready.set()

    async def _serve(self) -> None:
        self.loop, self.end = asyncio.get_running_loop(), asyncio.Event()
        self.rest = RestServer({"port": 0, "token": "letmein"})
        listeners = [Listener("coap", port=0)]
        async with DeskServer(Config(listeners=listeners), [self.rest]) as self.desk:
            async with Fleet(self.desk.uris()["coap"], 1, name="dev-") as fleet:
                assert await fleet.all_registered(15)
                async with Updatable(self.desk.server, "fw-dev") as self.updatable:
                    await self.updatable.register(links=b"</3/0>,</5/0>")
                    self.ready.set()
                    await self.end.wait()

    def do(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(WAIT)

    def write(self, path: str, value) -> None:
        operations = self.desk.operations
        self.do(operations.write("dev-0", path, value, {"async": False}))

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.end.set)
        self.thread.join(20)


class Page:
    """The page as a person uses it: by what is written on it."""

    def __init__(self, driver, desk: Desk):
        self.driver, self.desk = driver, desk
        driver.get(desk.rest.uri)
        self.until(lambda: self.text("#connection") == "live")

    def until(self, condition):
        return WebDriverWait(self.driver, WAIT, 0.05).until(lambda _: condition())

    def text(self, selector: str) -> str:
        return self.driver.execute_script(
            "return document.querySelector(arguments[0])?.textContent ?? ''", selector
        )

    def find(self, selector: str):
        return self.until(lambda: self.driver.find_elements(By.CSS_SELECTOR, selector))[0]

    def press(self, label: str) -> None:
        """Press the button with this label; it may be below what is seen."""
        button = self.find(f'button[aria-label="{label}"]')
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
        button.click()

    def show(self, view: str) -> None:
        self.find(f"#tab-{view}").click()

    def open(self, path: str) -> None:
        details = self.find(f'details[data-path="{path}"]')
        if not details.get_attribute("open"):
            details.find_element(By.TAG_NAME, "summary").click()

    def row(self, path: str) -> str:
        return self.text(f'tr[data-path="{path}"] .value')

    def choose(self, endpoint: str) -> None:
        """Choose a client in the list."""
        for button in self.driver.find_elements(By.CSS_SELECTOR, "#clients button"):
            if button.text.startswith(endpoint):
                button.click()
                return
        raise AssertionError(f"{endpoint} is not in the list")

    def select(self, name: str, value: str) -> None:
        Select(self.find(f'select[name="{name}"]')).select_by_value(value)

    def agree(self) -> None:
        self.find("dialog button[type=submit]").click()

    def type(self, name: str, text: str) -> None:
        field = self.find(f'dialog [name="{name}"]')
        field.clear()
        field.send_keys(text)

    def problems(self) -> list:
        return [e for e in self.driver.get_log("browser") if e["level"] == "SEVERE"]


@pytest.fixture(scope="module")
def desk():
    made = Desk()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for switch in (*SWITCHES, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    log = tmp_path_factory.mktemp("driver") / "log"
    service = Service(shutil.which("chromedriver"), log_output=str(log))
    driver = webdriver.Chrome(options=options, service=service)
    yield driver
    driver.quit()


@pytest.fixture
def page(browser, desk):
    made = Page(browser, desk)
    yield made
    assert made.problems() == []


def test_clients_and_their_objects_with_names_types_and_units(page):
    assert page.text("#clients").startswith("dev-0connected")
    assert page.text("main h2").startswith("dev-0")
    assert "token" not in page.driver.current_url
    page.open("/3303")
    row = page.text('tr[data-path="/3303/0/5700"]')
    assert "Sensor Value" in row and "float" in row
    page.press("Read /3303/0")
    page.until(lambda: page.row("/3303/0/5700").startswith("20"))
    page.open("/3")
    page.press("Read /3/0/16")
    page.until(lambda: page.row("/3/0/16").startswith("U"))


def test_write_execute_create_and_delete(page):
    page.open("/3")
    page.press("Write /3/0/14")
    page.type("value", "+09:00")
    page.agree()
    page.until(lambda: page.row("/3/0/14").startswith("+09:00"))
    page.open("/1")
    page.press("Execute /1/0/8")
    page.agree()
    page.until(lambda: "/1/0/8 is executed" in page.text("#messages"))
    page.open("/3303")
    page.press("Create an instance of /3303")
    page.type("instance", "5")
    page.type("resources", '{"5700": 7.5}')
    page.agree()
    page.until(lambda: page.row("/3303/5/5700").startswith("7.5"))
    page.press("Delete /3303/5")
    page.agree()
    page.until(lambda: not page.driver.find_elements(By.CSS_SELECTOR, '[data-path="/3303/5"]'))
    page.press("Discover /3303/0")
    page.until(lambda: "/3303/0/5700" in page.text("dialog"))
    page.agree()


def test_observed_values_come_live_with_a_line(page):
    page.desk.write("/1/0/1", 1100)
    page.open("/1")
    page.press("Observe /1/0/1")
    page.until(
        lambda: page.driver.find_elements(
            By.CSS_SELECTOR, '[aria-label="Cancel the observation of /1/0/1"]'
        )
    )
    for value in (1000, 1200, 900):
        page.desk.write("/1/0/1", value)
        page.until(lambda: page.row("/1/0/1").startswith(str(value)))
    name = page.find('tr[data-path="/1/0/1"] svg').get_attribute("aria-label")
    assert "from 900 to 1200" in name
    page.press("Cancel the observation of /1/0/1")
    page.until(lambda: page.driver.find_elements(By.CSS_SELECTOR, '[aria-label="Observe /1/0/1"]'))
    assert page.desk.do(observations(page.desk)) == []


async def observations(desk: Desk) -> list:
    return desk.desk.store.observations("dev-0")


def test_the_log_hides_keys(page):
    page.desk.loop.call_soon_threadsafe(
        page.desk.desk.server.say,
        "dev-0",
        "-> Write /0/1/5 Secret Key = " + page.desk.desk.model.show("/0/1/5", bytes.fromhex(KEY)),
    )
    page.show("log")
    page.until(lambda: "<- Register" in page.text("#log"))
    page.until(lambda: "Secret Key" in page.text("#log"))
    assert "***" in page.text("#log") and KEY not in page.driver.page_source


def test_accounts(page):
    page.show("accounts")
    page.press("Add an endpoint")
    page.type("endpoint", "new-one")
    page.type("identity", "their-name")
    page.press("Make a key")
    key = page.find("dialog [name=key]").get_attribute("value")
    assert len(bytes.fromhex(key)) == 16
    page.type("bootstrap", json.dumps({"servers": [{"shortServerId": 1, "self": True}]}))
    page.agree()
    page.until(lambda: "their-name (primary)" in page.text("main table"))
    assert key not in page.driver.page_source.replace(page.text("dialog"), "")
    stored = page.desk.do(credentials(page.desk))
    assert [each.key.hex() for each in stored] == [key]
    page.press("Add an endpoint")
    page.type("endpoint", "bad-one")
    page.type("bootstrap", '{"colour": 1}')
    page.agree()
    page.until(lambda: "colour" in page.text("#messages"))
    # The browser notes the refusal; that is no problem of the page.
    assert all("400" in each["message"] for each in page.problems())
    page.press("Forget new-one")
    page.agree()
    page.until(lambda: "new-one" not in page.text("main table"))
    page.driver.get_log("browser")


async def credentials(desk: Desk) -> list:
    return desk.desk.store.credentials("new-one")


def test_files_and_updates_with_their_progress(page, tmp_path):
    image = tmp_path / "fw-2.bin"
    image.write_bytes(bytes(range(250)) * 20)
    page.show("files")
    page.find('input[name="file"]').send_keys(str(image))
    page.press("Upload the file")
    page.until(lambda: "5000 bytes" in page.text("main"))
    page.choose("fw-dev")
    page.show("update")
    assert "fw-2.bin" in page.text("#update")
    page.select("delivery", "push")
    page.press("Start the update")
    page.until(lambda: "Firmware updated successfully" in page.text("main"))
    assert page.desk.updatable.got == image.read_bytes()
    assert page.find("progress").get_attribute("value") == "100"
    page.select("delivery", "pull")
    page.select("protocol", "coap")
    page.desk.updatable.got = b""
    page.press("Start the update")
    page.until(lambda: page.desk.updatable.got == image.read_bytes())
    # What the progress of a slow one looks like.
    progress = {"state": "downloading", "percent": 40, "sent": 2000, "size": 5000}
    told = events.Event(events.FOTA_PROGRESS, "dev-0", progress)
    page.desk.loop.call_soon_threadsafe(page.desk.desk.events.emit, told)
    page.until(lambda: "downloading 40 %" in page.text("main"))
    page.show("files")
    page.press("Remove fw-2.bin")
    page.until(lambda: "fw-2.bin" not in page.text("main"))


def test_by_keyboard(page):
    body = page.find("body")
    body.send_keys("/")
    assert page.driver.switch_to.active_element.get_attribute("id") == "filter"
    page.driver.switch_to.active_element.send_keys("nobody")
    assert "none of this name" in page.text("#clients")
    page.find("#filter").clear()
    page.find("#filter").send_keys("d", Keys.TAB)
    assert page.driver.switch_to.active_element.text.startswith("dev-0")
    page.driver.switch_to.active_element.send_keys(Keys.ENTER)
    page.until(lambda: page.text("main h2").startswith("dev-0"))
    # Every control that is there can be reached, and has a name.
    nameless = page.driver.execute_script(
        "return [...document.querySelectorAll('button, input, select, textarea')]"
        ".filter((each) => each.tabIndex < 0 || !(each.ariaLabel || each.textContent.trim() || each.labels?.length))"
        ".map((each) => each.outerHTML)"
    )
    assert nameless == []


def test_light_and_dark_and_a_phone(page):
    ground = "return getComputedStyle(document.body).backgroundColor"
    page.driver.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"features": [{"name": "prefers-color-scheme", "value": "dark"}]},
    )
    page.until(
        lambda: "dark" in page.driver.execute_script("return document.documentElement.className")
    )
    dark = page.driver.execute_script(ground)
    page.press("Light or dark")
    light = page.driver.execute_script(ground)
    assert (
        sum(map(int, dark[4:-1].split(", "))) < 150 < 600 < sum(map(int, light[4:-1].split(", ")))
    )
    page.driver.execute_script("localStorage.clear()")
    size = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        page.open("/3")
        for view in ("objects", "log", "accounts", "update", "files"):
            page.show(view)
            wide = page.driver.execute_script("return document.documentElement.scrollWidth")
            assert wide <= 360, f"{view} is {wide} wide"
    finally:
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_nothing_comes_from_elsewhere(page):
    base = page.desk.rest.base
    loaded = page.driver.execute_script(
        "return performance.getEntriesByType('resource').map((each) => each.name)"
    )
    assert loaded and all(each.startswith(base + "/") for each in loaded)
    folder = Path(__file__).resolve().parents[2] / "tools" / "server" / "page"
    for path in folder.iterdir():
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text and "https://" not in text, path


def test_without_the_token_the_page_asks_for_it(browser, desk, page):
    browser.execute_script("sessionStorage.clear()")
    browser.get(desk.rest.base + "/?again")
    page.until(lambda: "wants its token" in page.text("dialog"))
    page.type("token", desk.rest.token)
    page.agree()
    page.until(lambda: page.text("#connection") == "live")
    time.sleep(0.1)
    browser.get_log("browser")  # the refusals, which are meant
