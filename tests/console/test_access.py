"""With the keyboard alone, on a phone, in the dark, without JavaScript; and what axe finds."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import LAPTOP, PHONE, PICTURES, Eye, Local, eventually, look_at, new_integration, ours, press, pruvan, publish, set_up, tab, take, told, wire
from playwright.sync_api import expect

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


def tab_to(page, wanted, most=60):
    """Presses Tab until this has the focus; all on the way must be seen to have it."""
    for _ in range(most):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.checkVisibility() && document.activeElement.getBoundingClientRect().left >= 0")
        if wanted.evaluate("wanted => wanted === document.activeElement"):
            return
    raise AssertionError("Tab does not come to it")


def test_with_the_keyboard_alone(local, page):
    local.put("1001")
    page.goto("/console")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the panels")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")

    # A new integration: the first thing in the panels is the accounts, and what is opened can be filled.
    summary = page.get_by_text("New integration")
    tab_to(page, summary)
    page.keyboard.press("Enter")
    tab_to(page, page.get_by_label("User name"))
    page.keyboard.type("vendor1")
    page.keyboard.press("Enter")
    told(page, "The integration is set up.")

    page.goto("/console?account=vendor1")
    for name, says in [("Validate", "Validated"), ("Full refresh", "Imported")]:
        button = pruvan(page).get_by_role("button", name=name)
        tab_to(page, button)
        assert button.evaluate("button => getComputedStyle(button).outlineStyle") == "solid"
        page.keyboard.press("Enter")
        told(page, says)
        expect(button).to_be_focused()
    # It is focused still after the page has looked again by itself.
    local.patch("1001", clientStatus="On hold")
    expect(wire(page, "push").first).to_contain_text("ok")
    expect(button).to_be_focused()

    tab_to(page, pruvan(page).get_by_role("link", name="1001"))
    page.keyboard.press("Enter")
    expect(pruvan(page).get_by_role("heading", name="SMC::1001")).to_be_visible()

    # An exchange opens, and stays open when others come.
    exchange = wire(page, "validate").first
    tab_to(page, exchange.locator("summary"))
    page.keyboard.press("Enter")
    expect(exchange.get_by_role("heading", name="Reply")).to_be_visible()
    expect(exchange.locator("pre").nth(1)).to_contain_text('"validated": true')
    before = wire(page).count()
    local.patch("1001", clientStatus="Off hold")
    expect(wire(page)).to_have_count(before + 1)
    expect(exchange.get_by_role("heading", name="Reply")).to_be_visible()
    expect(exchange.locator("summary")).to_be_focused()
    tab_to(page, exchange.get_by_role("button", name="Copy as curl"))


def test_without_javascript(local, opened):
    local.put("1001")
    page = opened(java_script_enabled=False)
    page.goto("/console")
    new_integration(page)
    page.get_by_label("User name").fill("vendor1")
    press(page, "Set up", "The integration is set up.")
    press(page, "Validate", "Validated")
    press(page, "Full refresh", "Imported 1 order")
    look_at(page, "1001")
    pruvan(page).get_by_label("Notes").fill("By hand")
    press(page, "Take a photo", "published.")
    pruvan(page).get_by_role("combobox", name="Status", exact=True).select_option("accepted")
    press(page, "Change and report", "1001: the host has taken the report.")
    assert local.get("/accounts/vendor1")["pushKey"]["state"] == "live"
    assert local.order("1001")["reported"]["status"] == "accepted"
    assert [upload["fields"]["notes"] for upload in local.uploads("1001")] == ["By hand"]
    tab(page, "Photos")
    expect(ours(page).locator("figure")).to_contain_text("By hand")
    # An exchange is a page of its own.
    wire(page, "validate").first.locator("summary").click()
    wire(page, "validate").first.get_by_role("link", name="Show the exchange").click()
    expect(page.get_by_text('"validated": true')).to_be_visible()


def furnish(local, page):
    for number in range(1001, 1031):
        local.put(str(number), address1=f"{number} East Main Street", clientStatus="New", instructions="Cut the grass, front and back. " * 6)
    set_up(local, page)
    look_at(page, "1001")
    for evidence in ["before", "before", "during", "after", "after", "other"]:
        take(page, "Grass cut", evidence, notes="The gate sticks: lift it." if evidence == "during" else "")
    for name in ["Submit the survey", "Check in", "Publish a video", "Publish a service record"]:
        publish(page, name)
    pruvan(page).get_by_role("combobox", name="Status", exact=True).select_option("accepted")
    press(page, "Change and report", "taken the report.")
    page.request.post("/uploadPictures.html", form={
        "payload": f'{{"username":"vendor1","token":"{local.key}","key2":"9999","key4":"Grass cut","fileType":"picture","uuId":"stray-1"}}'})
    # A push that is refused stays in the queue.
    pruvan(page).get_by_label("Weather").select_option("Errors (500)")
    press(page, "Set", "Weather: Errors (500).")
    local.patch("1001", clientStatus="On hold")
    expect(wire(page, "push").first).to_contain_text("HTTP 500")


VIEWS = {
    "overview": "", "order": "&order=1001", "exchange": "&order=1001&wire=host", "photos": "&order=1001&tab=photos",
    "surveys": "&order=1001&tab=surveys", "positions": "&order=1001&tab=positions", "queue": "&tab=queue", "unmatched": "&tab=unmatched",
}
SHAPES = {
    "laptop-light": {"viewport": LAPTOP, "color_scheme": "light"},
    "laptop-dark": {"viewport": LAPTOP, "color_scheme": "dark"},
    "phone-light": {"viewport": PHONE, "color_scheme": "light", "has_touch": True, "is_mobile": True},
    "phone-dark": {"viewport": PHONE, "color_scheme": "dark", "has_touch": True, "is_mobile": True},
}


@pytest.fixture(scope="module")
def furnished(chromium):
    """A runner with something on every tab."""
    local = Local("--time-scale", "60")
    context = chromium.new_context(base_url=local.url, viewport=LAPTOP)
    furnish(local, context.new_page())
    context.close()
    yield local
    local.stop()


@pytest.mark.parametrize("shape", SHAPES)
def test_axe_finds_nothing_and_nothing_sticks_out(furnished, chromium, shape):
    PICTURES.mkdir(parents=True, exist_ok=True)
    context = chromium.new_context(base_url=furnished.url, **SHAPES[shape])
    page, eye, found = context.new_page(), Eye(furnished.url, context), []
    for view, query in VIEWS.items():
        page.goto(f"/console?account=vendor1{query}")
        if view == "exchange":
            wire(page, "uploadPictures").first.locator("summary").click()
            expect(wire(page).get_by_role("button", name="Copy as curl")).to_be_visible()
        page.evaluate("for (const image of document.images) image.loading = 'eager'")
        eventually(lambda: page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)"))
        page.screenshot(path=PICTURES / f"{view}-{shape}.png", full_page=True)
        wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if wider:
            found.append(f"{view}: {wider} px wider than the window")
        # The tabs differ on our side only.
        part = None if view in ("overview", "order", "exchange") else "#ours"
        for broken in Axe().run(page, context=part, options=RULES).response["violations"]:
            where = ", ".join(node["target"][0] for node in broken["nodes"][:3])
            found.append(f"{view}: {broken['id']} at {where}: {broken['nodes'][0]['failureSummary']}")
    context.close()
    assert found + eye.wrong == []
