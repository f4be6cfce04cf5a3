"""What the console's tests stand on: a runner of their own for each test, a browser, and an eye on all that the browser says and asks for."""

import json
import os
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("LOCAL") or ROOT / "target/debug/local")
PICTURES = ROOT / "target/console"
LAPTOP, PHONE = {"width": 1366, "height": 900}, {"width": 390, "height": 844}

expect.set_options(timeout=30_000)


def eventually(what, of=bool, seconds=30):
    """The first result of `what` that `of` takes."""
    end = time.monotonic() + seconds
    while not of(result := what()):
        assert time.monotonic() < end, f"still {result!r}"
        time.sleep(0.1)
    return result


class Local:
    """`cargo run -p local` with an empty store, and the host's API of it."""

    def __init__(self, *options, tick=1):
        self.process = subprocess.Popen(
            [BINARY, "--port", "0", "--memory", "--tick", str(tick), *options], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        line = self.process.stdout.readline()
        assert line, f"{BINARY} did not start"
        self.url, self.key = json.loads(line)["gateway"], None

    def stop(self):
        self.process.terminate()
        self.process.wait(20)

    def send(self, method, path, body=None, headers=(), raw=None):
        """Status and body of the reply, as JSON if it is."""
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, dict(headers), method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as reply:
                status, text = reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read().decode()
        try:
            return status, json.loads(text)
        except ValueError:
            return status, text

    def ask(self, method, path, body=None):
        status, reply = self.send(method, path, body)
        assert status < 300, f"{method} {path}: {status} {reply}"
        return reply

    def get(self, path):
        return self.ask("GET", path)

    def order(self, number, username="vendor1"):
        return self.get(f"/accounts/{username}/orders/{urllib.parse.quote(number, safe='')}")

    def uploads(self, number, username="vendor1"):
        return self.get(f"/accounts/{username}/orders/{urllib.parse.quote(number, safe='')}/uploads")["uploads"]

    def waiting(self, username="vendor1"):
        return self.get(f"/accounts/{username}/push-queue")["waiting"]

    def put(self, number, username="vendor1", **fields):
        """Puts an order in, and its account if need be."""
        account = self.ask("PUT", f"/accounts/{username}", {"integration": "internal", "clientCode": "SMC"})
        self.key = account.get("apiKey") or self.key
        order = {
            "address1": "110 East Main Street", "city": "Round Rock", "state": "TX", "zip": "78664", "dueDate": "2026-12-01",
            "gpsLatitude": "30.5083", "gpsLongitude": "-97.6789",
            "services": [{"serviceName": "Grass cut", "survey": "master::grass-v1"}, {"serviceName": "Lock change"}],
        }
        self.ask("PUT", f"/accounts/{username}/orders/{urllib.parse.quote(number, safe='')}", {**order, **fields})

    def patch(self, number, username="vendor1", **fields):
        self.ask("PATCH", f"/accounts/{username}/orders/{urllib.parse.quote(number, safe='')}", fields)


class Eye:
    """Sees what goes wrong in a browser: what it says, what it asks for, and where."""

    def __init__(self, url, context):
        self.url, self.wrong, self.asked = url, [], 0
        context.on("console", lambda said: self.say(f"console {said.type}: {said.text}", said.type in ("error", "warning")))
        context.on("weberror", lambda error: self.say(f"page: {error.error}"))
        context.on("request", self.request)
        # The browser itself gives up what a page that is left was still loading.
        context.on("requestfailed", lambda request: self.say(f"failed: {request.url}, {request.failure}", "ERR_ABORTED" not in request.failure))
        context.on("response", lambda reply: self.say(f"status {reply.status}: {reply.url}", reply.status >= 400))

    def say(self, text, wrong=True):
        if wrong:
            self.wrong.append(text)

    def request(self, request):
        self.asked += 1
        # data: is the page's own.
        self.say(f"elsewhere: {request.url}", not request.url.startswith((self.url + "/", "data:")))


def launch(playwright):
    return playwright.chromium.launch(executable_path=os.environ.get("CHROMIUM") or "/usr/bin/chromium", args=["--no-sandbox"])


@pytest.fixture(scope="session")
def chromium():
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture
def local():
    """A runner whose long waits are a sixtieth."""
    runner = Local("--time-scale", "60")
    yield runner
    runner.stop()


@pytest.fixture
def opened(chromium, local):
    """Opens browsers of their own at the runner; none of them may have anything to complain about in the end."""
    contexts, eyes = [], []

    def open_(**options):
        context = chromium.new_context(base_url=local.url, **{"viewport": LAPTOP, **options})
        context.set_default_timeout(30_000)
        contexts.append(context)
        eyes.append(Eye(local.url, context))
        return context.new_page()

    yield open_
    for context in contexts:
        context.close()
    assert all(eye.asked for eye in eyes)
    assert [wrong for eye in eyes for wrong in eye.wrong] == []


@pytest.fixture
def page(opened):
    return opened()


def pruvan(page):
    return page.locator("#pruvan")


def ours(page):
    return page.locator("#ours")


def wire(page, service=None):
    """The exchanges, newest first; those of one web service, or `push`."""
    exchanges = page.locator("#wire ol.wire > li")
    return exchanges.filter(has=page.locator(f"b:text-is('{service}')")) if service else exchanges


def told(page, text):
    expect(page.locator("#told")).to_contain_text(text)


def press(page, name, says):
    """Presses a button on Pruvan's side and waits for what it says."""
    pruvan(page).get_by_role("button", name=name, exact=True).click()
    told(page, says)


def tab(page, name):
    ours(page).get_by_role("link", name=name, exact=True).click()
    expect(ours(page).get_by_role("link", name=name, exact=True)).to_have_attribute("aria-current", "page")


def new_integration(page):
    """Opens the form, if it isn't open."""
    summary = page.get_by_text("New integration")
    if not summary.evaluate("summary => summary.parentElement.open"):
        summary.click()
    expect(page.get_by_label("User name")).to_be_visible()


def set_up(local, page, username="vendor1"):
    """An integration, from the form to Full refresh and what is pushed at once."""
    page.goto("/console")
    new_integration(page)
    page.get_by_label("User name").fill(username)
    press(page, "Set up", "The integration is set up.")
    press(page, "Validate", "Validated")
    press(page, "Full refresh", "Imported")
    eventually(lambda: local.waiting(username), lambda rows: rows == [])


def look_at(page, number):
    """Opens a project, and its order on our side."""
    pruvan(page).get_by_role("link", name=number, exact=True).click()
    expect(pruvan(page).get_by_role("heading", name=f"SMC::{number}")).to_be_visible()
    expect(ours(page).get_by_role("button", name="Push now")).to_be_visible()


def made(page):
    """The project's items on Pruvan's side."""
    return pruvan(page).locator("ul.items > li")


def take(page, task, evidence, notes="", file=None):
    """A crew takes a photo, drawn unless there is a file."""
    form = pruvan(page).locator("form", has=page.get_by_role("button", name="Take a photo"))
    form.get_by_role("combobox", name="Task").select_option(task)
    form.get_by_role("combobox", name="Evidence").select_option(evidence)
    form.get_by_label("Notes").fill(notes)
    if file:
        with page.expect_file_chooser() as chooser:
            form.locator("input[type=file]").click()
        chooser.value.set_files(file)
    before = made(page).count()
    press(page, "Take a photo", "published.")
    expect(made(page)).to_have_count(before + 1)


def publish(page, name, task="Grass cut"):
    """A crew makes something else."""
    form = pruvan(page).locator("form", has=page.get_by_role("button", name=name))
    form.get_by_role("combobox", name="Task").select_option(task)
    before = made(page).count()
    form.get_by_role("button", name=name).click()
    expect(made(page)).to_have_count(before + 1)
    told(page, "published.")


def fact(panel, name):
    """The value of a name in a panel's list of facts."""
    return panel.locator(".facts > div", has=panel.page.locator(f"dt:text-is('{name}')")).locator("dd")


def cell(panel, row, column):
    """The cell of a table in the row of this name, under this heading."""
    headings = panel.locator("thead th").all_inner_texts()
    found = panel.locator("tbody tr", has=panel.page.get_by_role("rowheader", name=row, exact=True)).locator("th, td")
    return found.nth(headings.index(column))
