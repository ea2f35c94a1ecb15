"""What a user sees in the browser; the pictures are kept in `.work/system/screenshots/`."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from configparser import ConfigParser
from shutil import rmtree, which
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.fernet import Fernet

from tests.demo.processes import Server
from tests.system.processes import FOLDER
from tests.system.standalone.conftest import ACCESS_KEY, ACCESS_SECRET
from tests.system.standalone.deployment import USER, Deployment
from tests.system.standalone.test_runs import EXPLANATION

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

SCREENSHOTS = FOLDER / "screenshots"
PAGE_MILLISECONDS = 60_000
CHROMIUM_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
STORED_EXTRA = {"algorithm": "sha256", "timezone": "UTC", "requests_per_second": 12.5, "timeout": 30}


@pytest.fixture(scope="module")
def page(airflow: Deployment) -> Iterator[Page]:
    """Return a page of a new browser, in which the user has logged in."""
    from playwright.sync_api import expect, sync_playwright

    rmtree(SCREENSHOTS, ignore_errors=True)
    expect.set_options(timeout=PAGE_MILLISECONDS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=which("chromium"), args=CHROMIUM_FLAGS)
        page = browser.new_page(viewport={"width": 1400, "height": 1000}, base_url=airflow.url)
        page.set_default_timeout(PAGE_MILLISECONDS)
        page.goto("/")
        page.locator("[name=username]").fill(USER)
        page.locator("[name=password]").fill(airflow.password)
        page.locator("[type=submit]").click()
        page.get_by_role("link", name="Dags").first.wait_for()
        yield page
        browser.close()


@pytest.fixture
def picture(page: Page) -> Callable[[str], None]:
    """Return a function that keeps a picture of the page."""

    def take(name: str) -> None:
        page.wait_for_load_state("networkidle")
        page.screenshot(path=SCREENSHOTS / f"{name}.png", animations="disabled")

    return take


def test_grid_of_a_finished_run(airflow: Deployment, page: Page, picture: Callable[[str], None]) -> None:
    run = airflow.only_run("cron_data_interval")
    page.goto(f"/dags/{run['dag_id']}/runs/{run['dag_run_id']}")
    visible(page.get_by_test_id("grid").or_(page.get_by_role("link", name="fetch")).first)
    visible(page.get_by_text("Success").first)
    visible(page.get_by_text("2026-03-16 16:00:00").first)
    picture("grid")


def test_log_of_a_task_tells_what_it_fetched(
    airflow: Deployment, page: Page, picture: Callable[[str], None], truth: list[bytes]
) -> None:
    run = airflow.only_run("cron_data_interval")
    page.goto(f"/dags/{run['dag_id']}/runs/{run['dag_run_id']}/tasks/fetch")
    visible(page.get_by_text("NXCloudCallCenterCdrOperator").first)
    visible(page.get_by_text(f"Wrote {len(truth)} records").first)
    picture("log")


def test_log_of_a_failure_explains_it(airflow: Deployment, page: Page, picture: Callable[[str], None]) -> None:
    run = airflow.only_run("cron_string")
    page.goto(f"/dags/{run['dag_id']}/runs/{run['dag_run_id']}/tasks/fetch")
    for part in EXPLANATION:
        visible(page.get_by_text(part).first)
    page.keyboard.press("w")  # wraps the lines
    picture("failure")


def test_asset_with_its_event(airflow: Deployment, page: Page, picture: Callable[[str], None]) -> None:
    airflow.only_run("cron_data_interval")
    page.goto("/assets")
    page.get_by_role("link", name="system_call_center_cdr").first.click()
    visible(page.get_by_text("1 Asset Event").first)
    visible(page.get_by_text("asset_consumer").first)
    page.get_by_role("button", name="Fold").or_(page.locator(".codicon-folding-collapsed")).first.click()
    visible(page.get_by_text("sha256").first)
    picture("asset")


def test_connection_form(airflow: Deployment, server: Server, page: Page, picture: Callable[[str], None]) -> None:
    page.set_viewport_size({"width": 1400, "height": 1500})  # room for all extra fields
    form = empty_form(page)
    picture("form")
    assert placeholders(form) == {"host": "https://api2.nxcloud.com", "login": "your accessKey"} | {
        "password": "your accessSecret"
    }
    assert form.locator("[name=port], [name=schema]").count() == 0

    fill_in(page, form, server.url)
    picture("form_extra_fields")
    form.get_by_role("button", name="Extra Fields JSON").click()
    visible(form.get_by_text("requests_per_second"))
    picture("form_extra_json")
    form.get_by_role("button", name="Save").click()
    visible(page.get_by_role("row").filter(has_text="from_the_form"))
    assert_stored(airflow, server.url)
    picture("connections")


def test_button_that_tests_the_connection(page: Page, picture: Callable[[str], None]) -> None:
    with page.expect_response(re.compile("/connections/test$")) as answer:
        page.get_by_role("row").filter(has_text="from_the_form").get_by_label("Test Connection").click()
    picture("connection_tested")
    if "host or port to test differs" in answer.value.text():
        pytest.xfail("The page of Airflow 3.3 sends port 0 for a Connection without a port, which its API refuses")
    assert answer.value.json()["status"] is True


def empty_form(page: Page) -> Locator:
    page.goto("/connections")
    page.get_by_role("button", name="Add Connection").click()
    form = page.get_by_role("dialog")
    form.get_by_role("combobox").click()
    form.get_by_role("combobox").fill("nxcloud")
    page.get_by_role("option", name="NXCloud", exact=True).click()
    for label in ("Gateway URL", "accessKey", "accessSecret"):
        visible(form.get_by_label(label, exact=True))
    return form


def placeholders(form: Locator) -> dict[str, str]:
    fields = form.locator("[name=host], [name=login], [name=password]")
    return {field.get_attribute("name"): field.get_attribute("placeholder") for field in fields.all()}


def fill_in(page: Page, form: Locator, url: str) -> None:
    form.get_by_label("Connection ID").fill("from_the_form")
    form.get_by_label("Gateway URL").fill(url)
    form.get_by_label("accessKey", exact=True).fill(ACCESS_KEY)
    form.get_by_label("accessSecret", exact=True).fill(ACCESS_SECRET)
    form.get_by_role("button", name="Extra Fields", exact=True).click()
    for label in ("Time zone", "Requests per second", "Timeout (seconds)", "CA bundle", "Proxies"):
        visible(form.get_by_text(label, exact=True))
    form.get_by_label("Requests per second").fill("12.5")
    form.locator("[name=element_timezone]").fill("UTC")
    form.get_by_role("combobox").nth(1).click()
    assert page.get_by_role("option").all_inner_texts() == ["md5", "sha256"]
    page.get_by_role("option", name="sha256").click()


def assert_stored(airflow: Deployment, url: str) -> None:
    """Over REST the secret is not shown; in the database it is encrypted, and nowhere but in the password."""
    shown = airflow.call("GET", "connections/from_the_form")
    assert (shown["conn_type"], shown["host"], shown["login"]) == ("nxcloud", url, ACCESS_KEY)
    assert (shown["schema"], shown["port"], shown["password"]) == (None, None, "***")
    assert without_empty(json.loads(shown["extra"])) == STORED_EXTRA

    with sqlite3.connect(airflow.home / "airflow.db") as database:
        query = "SELECT login, password, extra FROM connection WHERE conn_id = 'from_the_form'"
        login, password, extra = database.execute(query).fetchone()
    settings = ConfigParser(interpolation=None)
    settings.read(airflow.home / "airflow.cfg")
    fernet = Fernet(settings["core"]["fernet_key"])
    assert fernet.decrypt(password).decode() == ACCESS_SECRET
    assert without_empty(json.loads(fernet.decrypt(extra))) == STORED_EXTRA
    assert login == ACCESS_KEY


def without_empty(extra: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in extra.items() if value is not None}


def visible(locator: Locator) -> None:
    from playwright.sync_api import expect

    expect(locator).to_be_visible()
