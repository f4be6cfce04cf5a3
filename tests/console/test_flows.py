"""What people do on the page, what they see of it, and what came of it in the store."""

import re

from conftest import ROOT, cell, fact, eventually, look_at, new_integration, ours, press, pruvan, set_up, tab, told, wire
from playwright.sync_api import expect


def test_an_integration_is_set_up_validated_and_filled(local, page):
    for number in range(1001, 1016):
        local.put(str(number), address1=f"{number} East Main Street")
    local.put("B/7&x", address1="9 Cedar Lane", city="Hutto")
    set_up(local, page)

    told(page, "Imported 16 orders, ")
    expect(pruvan(page).get_by_role("link", name="vendor1")).to_have_attribute("aria-current", "page")
    expect(fact(pruvan(page), "Type")).to_have_text("Internal")
    expect(fact(pruvan(page), "Projects")).to_have_text("16")
    assert local.get("/accounts/vendor1")["pushKey"]["state"] == "live"
    for service in ["validate", "getWorkOrders"]:
        expect(wire(page, service).first.locator(".ok")).to_have_text("ok")

    # A second page of projects, and back.
    pruvan(page).get_by_role("link", name="Later").click()
    expect(pruvan(page).get_by_text("Page 2 of 2, 16 projects")).to_be_visible()
    expect(pruvan(page).locator("tbody th")).to_have_text(["1013", "1014", "1015", "B/7&x"])
    pruvan(page).get_by_role("link", name="Earlier").click()
    expect(pruvan(page).locator("tbody th").first).to_have_text("1001")

    # On both sides only what is looked for is shown.
    pruvan(page).get_by_label("Find").fill("cedar")
    pruvan(page).get_by_role("button", name="Find").click()
    expect(pruvan(page).locator("tbody th")).to_have_text(["B/7&x"])
    expect(ours(page).locator("tbody th")).to_have_text(["B/7&x"])

    pruvan(page).get_by_role("link", name="B/7&x").click()
    expect(pruvan(page).get_by_role("heading", name="SMC::B/7&x")).to_be_visible()
    expect(fact(pruvan(page), "Address")).to_have_text("9 Cedar Lane, Hutto, TX, 78664")
    expect(fact(ours(page), "Address")).to_have_text("9 Cedar Lane, Hutto, TX, 78664")
    expect(page).to_have_title(re.compile("B/7&x - vendor1 - "))
    page.go_back()
    expect(pruvan(page).locator("tbody th")).to_have_text(["B/7&x"])


def test_an_account_of_another_kind_is_set_up_without_orders(local, page):
    page.goto("/console")
    new_integration(page)
    page.get_by_label("User name").fill("Vendor2")
    page.get_by_label("Type").select_option("External")
    page.get_by_label("Auto Admin").check()
    page.get_by_label("Extension").select_option("none")
    press(page, "Set up", "The integration is set up.")
    expect(fact(pruvan(page), "Type")).to_have_text("External, Auto Admin on")
    press(page, "Validate", "Validated")
    account = local.get("/accounts/vendor2")
    assert (account["integration"], account["autoAdmin"], account["pushKey"]["state"]) == ("external", True, "live")
    press(page, "Full refresh", "Imported 0 orders, 0 of them new.")
    expect(pruvan(page).get_by_text("None.")).to_be_visible()


def test_what_people_change_is_reported(local, page):
    local.put("1001")
    set_up(local, page)
    look_at(page, "1001")
    pruvan(page).get_by_role("combobox", name="Status", exact=True).select_option("accepted")
    pruvan(page).get_by_role("combobox", name="Field status").select_option("viewed")
    pruvan(page).get_by_label("Due").fill("2026-12-24")
    press(page, "Change and report", "1001: the host has taken the report.")
    expect(fact(pruvan(page), "Status")).to_have_text("accepted")
    expect(fact(pruvan(page), "Field status")).to_have_text("viewed")

    report = ours(page).locator("table", has_text="What Pruvan reported").locator("tbody tr")
    expect(report).to_have_count(1)
    expect(report.locator("td").nth(1)).to_have_text("accepted")
    expect(report.locator("td").nth(2)).to_have_text("viewed")
    expect(report.locator("td").nth(3)).to_contain_text("2026-12-24")
    reported = local.order("1001")["reported"]
    assert (reported["status"], reported["fieldStatus"]) == ("accepted", "viewed")
    assert reported["dueDate"].startswith("2026-12-24")

    # What a crew has completed is complete in the office, too.
    pruvan(page).get_by_role("combobox", name="Field status").select_option("complete")
    press(page, "Change and report", "1001: the host has taken the report.")
    expect(report).to_have_count(2)
    expect(report.first.locator("td").nth(2)).to_have_text("complete")
    reported = local.order("1001")["reported"]
    assert (reported["status"], reported["fieldStatus"]) == ("complete", "complete")
    tab(page, "Orders")
    expect(cell(ours(page), "1001", "Reported")).to_have_text("complete")
    expect(cell(ours(page), "1001", "Field")).to_have_text("complete")


def test_a_change_of_ours_is_pushed_and_seen_without_a_reload(local, page):
    local.put("1001")
    set_up(local, page)
    look_at(page, "1001")
    page.evaluate("window.same = true")
    pruvan(page).get_by_label("Notes").fill("not sent yet")

    local.patch("1001", clientStatus="On hold", instructions="Beware of the dog")
    expect(wire(page).first.locator("b")).to_have_text("push")
    expect(wire(page).first.locator(".ok")).to_have_text("ok")
    expect(fact(pruvan(page), "Client status")).to_have_text("On hold")
    expect(fact(pruvan(page), "Instructions")).to_have_text("Beware of the dog")
    expect(fact(ours(page), "Push")).to_have_text("up to date")
    assert page.evaluate("window.same")
    # Nor is lost what was being typed.
    expect(pruvan(page).get_by_label("Notes")).to_have_value("not sent yet")
    expect(pruvan(page).get_by_label("Notes")).to_be_focused()
    assert local.order("1001")["push"]["state"] == "upToDate"
    assert local.waiting() == []


def test_what_is_being_filled_in_stays(local, page):
    local.put("1001")
    set_up(local, page)
    look_at(page, "1001")
    form = pruvan(page).locator("form", has=page.get_by_role("button", name="Take a photo"))
    form.get_by_role("combobox", name="Evidence").select_option("after")
    form.locator("input[type=file]").set_input_files(ROOT / "tests/fixtures/photo.jpg")
    pruvan(page).get_by_role("combobox", name="Field status").select_option("complete")
    new_integration(page)
    page.get_by_label("User name").fill("vendor2")
    page.get_by_label("Type").select_option("External")
    page.get_by_label("Auto Admin").check()
    ours(page).get_by_text("The order as it was put in").click()
    for state in ["On hold", "Off hold"]:
        local.patch("1001", clientStatus=state)
        expect(fact(pruvan(page), "Client status")).to_have_text(state)
        expect(ours(page).locator("details pre")).to_contain_text(state)
    expect(form.get_by_role("combobox", name="Evidence")).to_have_value("after")
    expect(pruvan(page).get_by_role("combobox", name="Field status")).to_have_value("complete")
    expect(page.get_by_label("User name")).to_have_value("vendor2")
    expect(page.get_by_label("Type")).to_have_value("external")
    expect(page.get_by_label("Auto Admin")).to_be_checked()
    assert form.locator("input[type=file]").evaluate("input => input.files.length") == 1
    press(page, "Take a photo", "published.")
    assert local.uploads("1001")[0]["fileName"] == "photo.jpg"
    # What was taken is not taken again, and the next photo is drawn.
    eventually(lambda: form.locator("input[type=file]").evaluate("input => input.files.length"), lambda files: files == 0)
    press(page, "Set up", "The integration is set up.")
    expect(fact(pruvan(page), "Type")).to_have_text("External, Auto Admin on")


def test_an_order_that_pruvan_has_is_pushed_again_by_hand(local, page):
    local.put("1001")
    set_up(local, page)
    look_at(page, "1001")
    page.reload()
    pushes = wire(page, "push")
    before = pushes.count()
    ours(page).get_by_role("button", name="Push now").click()
    told(page, "1001 goes next.")
    expect(pushes).to_have_count(before + 1)
    eventually(local.waiting, lambda rows: rows == [])


def test_the_page_rests_when_nothing_happens(local, page):
    local.put("1001")
    set_up(local, page)
    look_at(page, "1001")
    # What was pushed meanwhile may be looked at once more.
    quiet = "pulse => pulse.status === 204 && !pulse.headers.get('hx-trigger')"
    eventually(lambda: page.evaluate(f"fetch(document.getElementById('pulse').getAttribute('hx-get')).then({quiet})"))
    asked = []
    page.on("request", lambda request: asked.append(request.url.removeprefix(local.url).split("?")[0]))
    eventually(lambda: page.wait_for_timeout(500) or asked.count("/console/pulse"), lambda pulses: pulses >= 3)
    assert set(asked) == {"/console/pulse"}
