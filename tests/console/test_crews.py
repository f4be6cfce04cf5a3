"""What crews make: it reaches our side once, whole, and where people look for it."""

import json
import re

from conftest import ROOT, eventually, look_at, made, ours, publish, pruvan, set_up, tab, take, told
from playwright.sync_api import expect

PHOTO = ROOT / "tests/fixtures/photo.jpg"


def loaded(image):
    """The image has come, and is one."""
    expect(image).to_be_visible()
    image.scroll_into_view_if_needed()
    eventually(lambda: image.evaluate("image => image.complete && image.naturalWidth"), lambda width: width and width > 0)


def ready(local, page):
    local.put("1001")
    set_up(local, page)
    look_at(page, "1001")


def test_photos_stand_side_by_side(local, page):
    ready(local, page)
    take(page, "Grass cut", "before", notes="The gate <b>sticks</b>")
    take(page, "Grass cut", "after", file=PHOTO)
    take(page, "Lock change", "other")
    tab(page, "Photos")
    expect(ours(page).get_by_role("heading", level=3)).to_have_text(["Grass cut"])
    expect(ours(page).locator("figure")).to_have_count(2)
    tab(page, "All tasks")
    expect(ours(page).get_by_role("heading", level=3)).to_have_text(["Grass cut", "Lock change"])
    sides = ours(page).locator(".sides > .side")
    expect(sides.locator("h4")).to_have_text([re.compile("^before 1"), re.compile("^during 0"), re.compile("^after 1")])
    expect(sides.nth(0)).to_contain_text("The gate <b>sticks</b>")
    images = ours(page).locator("figure img")
    expect(images).to_have_count(3)
    for image in images.all():
        loaded(image)
    lefts = [side.bounding_box() for side in sides.all()]
    assert lefts[0]["x"] < lefts[1]["x"] < lefts[2]["x"] and lefts[0]["y"] == lefts[2]["y"]
    for image in images.all():
        expect(image).to_have_accessible_name(re.compile(r"^(Grass cut|Lock change) (before|after|other) "))

    # The chosen file came as it is, byte for byte.
    link = sides.nth(2).locator("a").get_attribute("href")
    assert page.request.get(link).body() == PHOTO.read_bytes()
    uploads = local.uploads("1001")
    assert sorted((upload["service"], upload["evidenceType"]) for upload in uploads) == [
        ("Grass cut", "after"), ("Grass cut", "before"), ("Lock change", "other")]
    # The first item says that the crew has begun.
    assert local.order("1001")["reported"]["fieldStatus"] == "in-process"
    for thumb in made(page).locator("img").all():
        loaded(thumb)


def test_a_photo_published_again_is_there_once(local, page):
    ready(local, page)
    take(page, "Grass cut", "before")
    tab(page, "Photos")
    expect(ours(page).locator("figure")).to_have_count(1)
    made(page).get_by_role("button", name="Publish again").click()
    expect(made(page)).to_contain_text("2 times")
    expect(made(page)).to_have_count(1)
    expect(ours(page).locator("figure")).to_have_count(1)
    assert len(local.uploads("1001")) == 1
    assert local.uploads("1001")[0]["versions"] == 1


def test_a_survey_is_a_table_with_its_photos(local, page):
    ready(local, page)
    take(page, "Grass cut", "before")
    publish(page, "Submit the survey")
    tab(page, "Surveys")
    expect(ours(page).get_by_role("heading", level=3)).to_contain_text("Grass cut")
    rows = ours(page).locator("tbody tr")
    answers = local.get("/accounts/vendor1/orders/1001/answers")["answers"]
    assert len(answers) > 3
    expect(rows).to_have_count(len(answers))
    for answer in answers:
        expect(rows.filter(has_text=answer["question"])).to_have_count(1)
    image = ours(page).locator(".thumbs img")
    expect(image).to_have_count(1)
    loaded(image)
    report = page.request.get(ours(page).get_by_role("link", name="The report as PDF").get_attribute("href"))
    assert report.headers["content-type"] == "application/pdf" and report.body().startswith(b"%PDF")


def test_a_check_in_a_service_record_and_their_positions(local, page):
    ready(local, page)
    take(page, "Grass cut", "before")
    publish(page, "Check in")
    publish(page, "Publish a service record")
    kinds = {upload["fileType"]: upload for upload in local.uploads("1001")}
    assert set(kinds) == {"picture", "check-in", "csr"}
    assert kinds["check-in"]["checkIn"]["result"] == "success"
    tab(page, "Positions")
    expect(ours(page).get_by_role("img", name=re.compile("^3 positions around the property"))).to_be_visible()
    expect(ours(page).locator("svg circle.spot")).to_have_count(3)
    expect(ours(page).locator("tbody tr")).to_have_count(3)
    for row in ours(page).locator("tbody tr").all():
        expect(row.locator("td").nth(2)).to_have_text(re.compile(r"^\d+ m$"))


def test_a_video_is_fetched(local, page):
    ready(local, page)
    publish(page, "Publish a video")
    tab(page, "Photos")
    figure = ours(page).locator("figure")
    expect(figure.locator(".badge")).to_have_text("stored")
    loaded(figure.locator("img"))
    video = page.request.get(figure.get_by_role("link", name="watch").get_attribute("href"))
    assert video.headers["content-type"] == "video/mp4"
    assert len(video.body()) == 2_000_000
    assert local.uploads("1001")[0]["video"]["state"] == "stored"


def test_an_item_of_an_order_that_we_do_not_know_is_assigned(local, page):
    ready(local, page)
    local.put("1002")
    take(page, "Grass cut", "before")
    # As Pruvan would publish it under a number that its people have changed.
    payload = json.dumps({
        "username": "vendor1", "token": local.key, "key2": "9999", "key4": "Grass cut", "fileType": "picture", "evidenceType": "before",
        "uuId": "stray-1", "fileName": "stray.jpg"})
    sent = page.request.post("/uploadPictures.html", multipart={
        "payload": payload, "file": {"name": "stray.jpg", "mimeType": "image/jpeg", "buffer": PHOTO.read_bytes()}})
    assert sent.json() == {"status": True, "error": None}
    tab(page, "Unmatched")
    item = ours(page).locator("ul.items > li")
    expect(item).to_have_count(1)
    expect(item).to_contain_text("9999")
    loaded(item.locator("img"))

    # One that isn't there either is refused, in words.
    item.get_by_label("Order").fill("8888")
    item.get_by_role("button", name="Assign").click()
    expect(page.locator("#told .bad")).to_contain_text("8888")
    assert len(local.get("/accounts/vendor1/unmatched")["uploads"]) == 1

    item.get_by_label("Order").fill("1002")
    item.get_by_role("button", name="Assign").click()
    told(page, "The item belongs to 1002 from now on.")
    expect(ours(page).get_by_text("Every item belongs to an order.")).to_be_visible()
    assert [upload["uuId"] for upload in local.uploads("1002")] == ["stray-1"]
