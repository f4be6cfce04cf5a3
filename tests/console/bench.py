"""How fast a gallery is: medians of the server's answer, and of the browser until all photos that are in its window are there.

    .venv-deploy/console/bin/python tests/console/bench.py [LOADS]

with the tools that tests/console/console.sh installs. It starts $LOCAL, or target/debug/local, with the sample.
"""

import statistics
import sys
import time
import urllib.parse
import urllib.request

from conftest import LAPTOP, PHONE, Local, launch
from playwright.sync_api import sync_playwright

SHOWN = """() => [...document.images].filter(image => {
    const box = image.getBoundingClientRect();
    return box.bottom > 0 && box.top < innerHeight && box.width > 0;
}).every(image => image.complete && image.naturalWidth > 0)"""


def largest(local):
    """The order with the most photos, and how many."""
    best = (0, "", "")
    for account in local.get("/accounts")["accounts"]:
        username, cursor = account["username"], ""
        while cursor is not None:
            page = local.get(f"/accounts/{username}/orders?limit=100{cursor}")
            for order in page["orders"]:
                if order["reported"] and order["reported"]["fieldStatus"]:
                    photos, number = 0, order["workOrderNumber"]
                    after = ""
                    while after is not None:
                        uploads = local.get(f"/accounts/{username}/orders/{urllib.parse.quote(number, safe='')}/uploads?fileType=picture&limit=100{after}")
                        photos += len(uploads["uploads"])
                        after = uploads["next"] and "&cursor=" + urllib.parse.quote(uploads["next"], safe="")
                    best = max(best, (photos, username, number))
            cursor = page["next"] and "&cursor=" + urllib.parse.quote(page["next"], safe="")
    return best


def timed(what):
    began = time.perf_counter()
    what()
    return (time.perf_counter() - began) * 1000


def main():
    loads = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    local = Local("--sample", tick=3600)
    try:
        photos, username, number = largest(local)
        assert photos, "the sample has no photos"
        rows = []
        for title, task in [("the first task", ""), ("all tasks", "*")]:
            path = "/console?" + urllib.parse.urlencode({"account": username, "order": number, "tab": "photos", "task": task})
            rows.append((f"server, {title}", [timed(lambda: urllib.request.urlopen(local.url + path).read()) for _ in range(loads)]))
            with sync_playwright() as playwright:
                browser = launch(playwright)
                for shape, viewport in [("laptop", LAPTOP), ("phone", PHONE)]:
                    times = []
                    for _ in range(loads):
                        # Nothing is cached from one to the next. Playwright waits by a script of its own, which the policy of the page would not let in.
                        context = browser.new_context(base_url=local.url, viewport=viewport, bypass_csp=True)
                        page = context.new_page()

                        def load():
                            page.goto(path)
                            page.locator("#ours").scroll_into_view_if_needed()
                            page.wait_for_function(SHOWN)

                        times.append(timed(load))
                        context.close()
                    rows.append((f"{shape}, {title}", times))
                browser.close()
        print(f"{username} {number}: {photos} photos; {loads} loads\n\n| | median ms | slowest ms |\n|---|---:|---:|")
        for title, times in rows:
            print(f"| {title} | {statistics.median(times):.0f} | {max(times):.0f} |")
    finally:
        local.stop()


if __name__ == "__main__":
    main()
