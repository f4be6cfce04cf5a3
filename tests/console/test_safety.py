"""Other pages, and what others wrote, can do nothing here."""

import http.server
import threading

import pytest
from conftest import fact, look_at, new_integration, ours, press, pruvan, set_up, tab, told, wire
from playwright.sync_api import expect


def test_only_its_own_page_is_answered(local):
    ours = {"Origin": local.url, "Content-Type": "application/x-www-form-urlencoded"}
    weather = "/console/do/weather", None
    for headers in [{"Host": "evil.example"}, {"Host": "evil.example:" + local.url.rsplit(":", 1)[1]}]:
        for path in ["/console", "/console/wire/1/curl", "/console/assets/console.js"]:
            assert local.send("GET", path, headers=headers)[0] == 403
        assert local.send("POST", weather[0], raw=b"account=example&preset=errors", headers={**ours, **headers})[0] == 403
    for headers in [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": "https://" + local.url[7:]},
                    {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}]:
        assert local.send("POST", weather[0], raw=b"account=example&preset=errors", headers={**ours, **headers})[0] == 403
    preset = '<option value="errors" selected>'
    assert preset not in local.send("GET", "/console")[1]
    assert local.send("POST", weather[0], raw=b"account=example&preset=errors", headers=ours)[0] == 200
    assert preset in local.send("GET", "/console")[1]


EVIL = """<!DOCTYPE html><title>another page</title><form method="post" action="%(url)s/console/do/weather"><input name="account" value="example">
<input name="preset" value="errors"><button>Win a prize</button></form><iframe src="%(url)s/console"></iframe>"""


@pytest.fixture
def elsewhere(local):
    """A page on another port of this machine: another origin, and yet the same site."""
    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = (EVIL % {"url": local.url}).encode() if self.path == "/" else b""
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_a_page_elsewhere_in_the_browser_gets_nowhere(local, chromium, elsewhere):
    context = chromium.new_context()
    page = context.new_page()
    page.goto(elsewhere)
    read = """async ([url, options]) => { try { return await (await fetch(url, options)).text() } catch (error) { return error.name } }"""
    assert page.evaluate(read, [local.url + "/console", {}]) == "TypeError"
    assert page.evaluate(read, [local.url + "/console/wire/1/curl", {}]) == "TypeError"
    page.evaluate(read, [local.url + "/console/do/weather", {
        "method": "POST", "mode": "no-cors", "body": "account=example&preset=errors", "headers": {"Content-Type": "application/x-www-form-urlencoded"}}])
    frame = page.frame_locator("iframe")
    expect(frame.locator("body")).not_to_contain_text("Pruvan")
    with page.expect_navigation():
        page.get_by_role("button", name="Win a prize").click()
    expect(page.locator("body")).to_contain_text("the console takes nothing from other pages")
    assert '<option value="fine" selected>' in local.send("GET", "/console")[1]
    context.close()


HOSTILE = """<b>Beware</b> of the <a href="javascript:window.hit=1">dog</a><script>window.hit=1</script><img src="x" onerror="window.hit=1">
<div hx-get="/console/wire/1/curl" hx-trigger="load" data-hx-post="/console/do/validate">x</div><style>body{display:none}</style>
<form action="/console/do/validate" method="post"><button>Free</button></form>"""


def test_what_others_wrote_stays_text(local, page):
    local.put("1001", address1="<i>1</i> & \"2\" 'x'", instructions=HOSTILE, clientInstructions=HOSTILE)
    set_up(local, page)
    look_at(page, "1001")
    expect(fact(pruvan(page), "Address")).to_contain_text("<i>1</i> & \"2\" 'x'")
    expect(fact(pruvan(page), "Instructions")).to_contain_text("Beware of the dog")
    expect(fact(pruvan(page), "Client instructions")).to_contain_text("<b>Beware</b>")
    pruvan(page).get_by_label("Notes").fill("<script>window.hit=1</script><img src=x onerror=window.hit=1>")
    press(page, "Take a photo", "published.")
    tab(page, "Photos")
    expect(ours(page).locator("figure")).to_contain_text("<script>window.hit=1</script>")
    wire(page, "uploadPictures").locator("summary").click()
    expect(page.locator("#wire .exchange")).to_contain_text("<script>window.hit=1</script>")
    assert page.evaluate("window.hit") is None
    assert pruvan(page).locator("a[href^=javascript], dd form, dd [hx-get], dd [onerror], dd style").count() == 0


def test_what_is_refused_is_said_and_the_page_stays(local, page):
    local.put("1001")
    set_up(local, page)
    new_integration(page)
    page.get_by_label("User name").fill("not a :: name/")
    page.get_by_role("button", name="Set up").click()
    expect(page.locator(".told.bad")).to_contain_text("username")
    expect(pruvan(page).get_by_role("button", name="Validate")).to_be_visible()
