"""Copy as curl, pasted into a real shell; and the secrets in it, which no page shows."""

import hashlib
import json
import re
import subprocess
from urllib.parse import urljoin, urlsplit

from conftest import eventually, fact, look_at, press, pruvan, set_up, wire
from playwright.sync_api import expect

OF_A_PAGE = re.compile(r'(?:href|src|hx-get)="(/console[^"#]*)')


def everything(local, page):
    """An exchange of each kind on the wire."""
    local.put("1001", instructions="it's \"here\" & $HOME `there`")
    set_up(local, page)
    look_at(page, "1001")
    press(page, "Take a photo", "published.")
    pruvan(page).get_by_role("combobox", name="Status", exact=True).select_option("accepted")
    press(page, "Change and report", "taken the report.")
    local.patch("1001", clientStatus="It's \"on hold\"")
    expect(fact(pruvan(page), "Client status")).to_have_text("It's \"on hold\"")


def copied(page, service):
    """What lies on the clipboard after the newest exchange of this service was opened and its button pressed."""
    exchange = wire(page, service).first
    if exchange.locator("details[open]").count() == 0:
        exchange.locator("summary").click()
    page.evaluate("navigator.clipboard.writeText('')")
    exchange.get_by_role("button", name="Copy as curl").click()
    command = eventually(lambda: page.evaluate("navigator.clipboard.readText()"))
    exchange.locator("summary").click()
    return command


def run(command):
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", command], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_each_command_does_again_what_was_done(local, opened):
    page = opened(permissions=["clipboard-read", "clipboard-write"])
    everything(local, page)
    command = copied(page, "validate")
    expect(page.locator("#copied")).to_have_text("Copied. The command holds the secrets that the page hides.")
    assert run(command) == {"error": "", "validated": True}
    [order] = run(copied(page, "getWorkOrders"))["workOrders"]
    assert (order["workOrderNumber"], order["instructions"]) == (
        "1001",
        # As a web view needs it: what a crew reads is the very text that was typed.
        "it's \"here\" &amp; $HOME `there`",
    )
    before = local.uploads("1001")
    command = copied(page, "uploadPictures")
    assert "file=@" in command
    assert run(command) == {"status": True, "error": None}
    assert [upload["uuId"] for upload in local.uploads("1001")] == [upload["uuId"] for upload in before]
    assert local.uploads("1001")[0]["versions"] == 1
    assert run(copied(page, "status")) == {"status": True, "error": None}
    reply = run(copied(page, "push"))
    assert reply == {"response": {"created": 0, "updated": 1, "deleted": 0}, "error": None}


def test_no_page_shows_a_secret(local, opened):
    page = opened(permissions=["clipboard-read", "clipboard-write"])
    everything(local, page)
    command = copied(page, "validate")
    payload = json.loads(re.search(r"'payload=(.*)'$", command).group(1))
    secrets = [payload["token"], payload["password"], payload["pushkey"].rsplit("=", 1)[1], local.key]
    assert len(payload["token"]) > 20 and payload["password"] == hashlib.sha1(payload["token"].encode()).hexdigest()
    assert run(command)["validated"]
    for summary in page.locator("#wire summary").all():
        summary.click()
    expect(page.locator("#wire .exchange")).to_have_count(page.locator("#wire summary").count())
    assert "***" in page.content()
    assert [secret for secret in secrets if secret in page.content()] == []

    # All that can be come to by links.
    seen, left, pages = set(), ["/console"], 0
    while left:
        path = left.pop()
        if path in seen:
            continue
        seen.add(path)
        reply = page.request.get(path)
        assert reply.status == 200, path
        body = reply.body()
        assert [secret for secret in secrets if secret.encode() in body] == [], path
        assert b"X-Amz-Signature" not in body, path
        if reply.headers["content-type"].startswith("text/html"):
            pages += 1
            found = [urljoin(path, link.replace("&amp;", "&")) for link in OF_A_PAGE.findall(body.decode())]
            # The page's views in each other's combinations say nothing new.
            left += [link for link in found if "wire=" not in urlsplit(link).query and not link.startswith("/console/pulse")]
    assert pages > 15
    assert any(path.startswith("/console/wire/") for path in seen) and any(path.startswith("/console/file/") for path in seen)
