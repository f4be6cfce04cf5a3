"""Each bad weather: what the wire and the push queue show of it, and that the change goes through when it is over."""

import re

import pytest
from conftest import cell, fact, look_at, ours, press, pruvan, set_up, tab, told, wire
from playwright.sync_api import expect


def weather(page, name):
    pruvan(page).get_by_label("Weather").select_option(name)
    press(page, "Set", f"Weather: {name}.")
    expect(pruvan(page).locator("#weather option:checked")).to_have_text(name)


@pytest.fixture
def ready(local, page):
    local.put("1001")
    set_up(local, page)
    tab(page, "Push queue")
    expect(ours(page).get_by_text("Pruvan has everything as it is.")).to_be_visible()
    return page


def last_push(page):
    return wire(page, "push").first


def waits(local, page):
    """The order is in the push queue."""
    expect(cell(ours(page), "1001", "State")).to_have_text(re.compile("due|waiting"))
    assert [row["workOrderNumber"] for row in local.waiting()] == ["1001"]


def arrives(page, again=False):
    """Pruvan has the change; `again` if it is sent once more in a few minutes, since a push that failed may take effect late."""
    expect(last_push(page).locator(".ok")).to_have_text("ok")
    if again:
        expect(cell(ours(page), "1001", "State")).to_have_text("waiting")
        expect(ours(page).get_by_text("may still take effect")).to_be_visible()
    else:
        expect(ours(page).get_by_text("Pruvan has everything as it is.")).to_be_visible()
    look_at(page, "1001")
    expect(fact(pruvan(page), "Client status")).to_have_text("On hold")


@pytest.mark.parametrize("name, failure", [
    ("Errors (500)", "HTTP 500"),
    ("Maintenance page", "HTTP 503"),
    ("Hourly limit reached", "refused"),
])
def test_a_push_that_fails_is_tried_again(local, ready, name, failure):
    weather(ready, name)
    local.patch("1001", clientStatus="On hold")
    expect(last_push(ready)).to_contain_text(failure)
    expect(ours(ready).get_by_text(re.compile(r"After \d+ failed call"))).to_be_visible()
    waits(local, ready)
    weather(ready, "Fine")
    arrives(ready, again=True)


def test_a_bad_key_is_dead_until_validate(local, ready):
    page = ready
    weather(page, "Bad push key")
    local.patch("1001", clientStatus="On hold")
    expect(last_push(page)).to_contain_text("refused")
    expect(fact(ours(page), "Push key")).to_contain_text("dead")
    expect(ours(page).get_by_text("the Pruvan user has to press Validate")).to_be_visible()
    assert local.get("/accounts/vendor1")["pushKey"]["state"] == "dead"
    waits(local, page)
    weather(page, "Fine")
    press(page, "Validate", "Validated")
    expect(fact(ours(page), "Push key")).to_contain_text("live")
    arrives(page)
    assert local.get("/accounts/vendor1")["pushKey"]["state"] == "live"
    assert local.waiting() == []


def test_what_takes_effect_late_is_sent_again(local, ready):
    page = ready
    weather(page, "Late effects")
    local.patch("1001", clientStatus="On hold")
    expect(last_push(page)).to_contain_text("the connection was cut before the answer")
    expect(fact(pruvan(page), "Late effects")).to_contain_text("still to come")
    waits(local, page)
    # What Pruvan itself asks is done, and the answer lost.
    pruvan(page).get_by_role("button", name="Validate").click()
    expect(page.locator("#told .bad")).to_contain_text("the answer was lost")
    # The late push brings this state back, and that is made good.
    local.patch("1001", clientStatus="Off hold")
    weather(page, "Fine")
    expect(last_push(page).locator(".ok")).to_have_text("ok")
    look_at(page, "1001")
    expect(fact(pruvan(page), "Client status")).to_have_text("Off hold")


def test_a_slow_network_only_takes_longer(local, ready):
    page = ready
    weather(page, "Slow network")
    validate = pruvan(page).get_by_role("button", name="Validate")
    validate.click()
    expect(validate).to_have_css("cursor", "progress")
    told(page, "Validated")
    took = wire(page, "validate").first.locator(".took")
    expect(took).to_have_text(re.compile(r"^5\d{3} ms"))
    local.patch("1001", clientStatus="On hold")
    expect(last_push(page).locator(".took")).to_have_text(re.compile(r"^5\d{3} ms"))
    arrives(page)


def test_no_answer_is_given_up_on(local, ready):
    page = ready
    weather(page, "Time-outs")
    local.patch("1001", clientStatus="On hold")
    expect(last_push(page)).to_contain_text("no answer is given")
    waits(local, page)
    weather(page, "Fine")
    # The call under way ends with our time-out.
    expect(last_push(page).locator(".ok")).to_have_text("ok", timeout=60_000)
    arrives(page, again=True)
