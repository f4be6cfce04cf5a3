#!/usr/bin/env python3
"""One work order's whole trip through a deployment: what Pruvan calls, and what the host calls, signed.

    round_trip.py --pruvan URL --host URL --kept FILE [--unsigned] [--push-key URL --sent FILE --video URL]
    round_trip.py --pruvan URL --host URL --kept FILE --again

AWS credentials come from the environment. With --push-key, the schedule must push a change to it by itself: --sent is where
the server behind it writes what it got, and --video is the video that it serves. What was made is noted in --kept; with --again, all of it must still be there.
Needs botocore (it comes with the SAM CLI). Exits 1 with what did not hold.
"""
import argparse, json, os, re, sys, time, urllib.error, urllib.parse, urllib.request, uuid
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

here = os.path.dirname(os.path.abspath(__file__))
PHOTO = open(os.path.join(here, "..", "fixtures", "photo.jpg"), "rb").read()


def holds(condition, what, seen=None):
    if not condition:
        print(f"NOT SO  {what}\n        {seen}", file=sys.stderr)
        sys.exit(1)
    print(f"ok      {what}")


def call(method, url, body=b"", headers=None):
    request = urllib.request.Request(url, data=body or None, method=method, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


class Host:
    """The host's API: every call is signed."""

    def __init__(self, url):
        self.url = url
        env = os.environ
        self.credentials = Credentials(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], env.get("AWS_SESSION_TOKEN"))

    def __call__(self, method, path, body=None):
        data = json.dumps(body).encode() if body is not None else b""
        request = AWSRequest(method=method, url=self.url + path, data=data, headers={"Content-Type": "application/json"})
        SigV4Auth(self.credentials, "execute-api", os.environ.get("AWS_DEFAULT_REGION", "us-east-1")).add_auth(request)
        status, reply = call(method, self.url + path, data, dict(request.headers))
        return status, json.loads(reply) if reply else None


class Pruvan:
    """The web services, called as Pruvan calls them: multipart, under the specification's own spelling of the header."""

    def __init__(self, url, username, token):
        self.url, self.credentials = url, {"username": username, "password": "0" * 40, "token": token}

    def __call__(self, service, fields, file=None, extension=".html"):
        boundary = "----Pruvan" + uuid.uuid4().hex
        payload = json.dumps({**self.credentials, **fields}).encode()
        body = b"--%s\r\nContent-Disposition: form-data; name=\"payload\"\r\n\r\n%s\r\n" % (boundary.encode(), payload)
        if file is not None:
            body += b"--%s\r\nContent-Disposition: form-data; name=\"file\"; filename=\"1.jpg\"\r\n\r\n%s\r\n" % (boundary.encode(), file)
        body += b"--%s--\r\n" % boundary.encode()
        headers = {"Content-Type": f"Mulipart/Form-Data; boundary={boundary}"}
        status, reply = call("POST", f"{self.url}/{service}{extension}", body, headers)
        return status, reply.decode()


def noise(size):
    """Bytes that no decoding as text survives, behind a real JPEG."""
    return PHOTO + bytes((n * 167 + n // 251) % 256 for n in range(size - len(PHOTO)))


PDF = open(os.path.join(here, "..", "fixtures", "survey.pdf"), "rb").read()
VIDEO = b"\0\0\0\x18ftypmp42" + bytes(n * 131 % 251 for n in range(12_000_000))
CHECK_IN = b'{"type": "arrival", "at": 1414434574}'
SURVEY = {"meta": {"surveyId": "s", "surveyTemplateId": "vendor1::Simple-v1"}, "answers": [
    {"id": "q1", "question": "Color?", "answer": ["blue"], "answerType": "chooseOne", "picIds": ["photo-0"], "answerOptions": []}]}

# What the crew sends: the item's fields, and its file.
ITEMS = {
    "photo-0": ({"fileType": "picture", "evidenceType": "before"}, PHOTO),
    "photo-1": ({"fileType": "picture", "evidenceType": "after"}, noise(3_000_000)),
    "survey-1": ({"fileType": "survey", "fileExt": "pdf", "survey": json.dumps(SURVEY)}, PDF),
    "check-in-1": ({"fileType": "check-in", "fileExt": "json"}, CHECK_IN),
    "csr-1": ({"fileType": "csr", "authenticated": "2", "csrPictureCount": "2"}, PHOTO),
}


def results(host, order, video):
    status, reply = host("GET", order)
    holds(reply["reported"]["fieldStatus"] == "complete", "the host sees the report", reply)
    status, reply = host("GET", order + "/uploads")
    uploads = {upload["uuId"]: upload for upload in reply["uploads"]}
    holds(uploads.keys() == ITEMS.keys() | ({"video-1"} if video else set()), "the host sees all items", list(uploads))
    for name, (_, file) in ITEMS.items():
        _, got = call("GET", uploads[name]["link"])
        holds(got == file, f"{name} comes back byte for byte", len(got))
    holds(uploads["photo-0"]["question"]["questionId"] == "q1", "the photo belongs to the survey's question", uploads["photo-0"])
    holds(uploads["csr-1"]["pictureCount"] == 2 and uploads["check-in-1"]["checkIn"]["type"] == "arrival", "CSR and check-in are read")
    status, reply = host("GET", order + "/answers")
    answer = reply["answers"][0]
    holds(answer["answer"] == ["blue"] and call("GET", answer["pictures"][0]["link"])[1] == PHOTO, "the answer has its photo", reply)
    if video:
        deadline = time.time() + 180
        while time.time() < deadline and uploads["video-1"]["video"]["state"] != "stored":
            time.sleep(2)
            _, reply = host("GET", order + "/uploads")
            uploads = {upload["uuId"]: upload for upload in reply["uploads"]}
        holds(uploads["video-1"]["video"]["state"] == "stored", "the schedule fetches the video by itself", uploads["video-1"]["video"])
        _, got = call("GET", uploads["video-1"]["video"]["link"])
        holds(got == VIDEO, "the video comes back byte for byte", len(got))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("--pruvan", "--host"):
        parser.add_argument(name, required=True)
    parser.add_argument("--kept", required=True)
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--unsigned", action="store_true", help="the host's API asks for no signature, as in sam local")
    parser.add_argument("--push-key")
    parser.add_argument("--sent")
    parser.add_argument("--video")
    arguments = parser.parse_args()
    host = Host(arguments.host)
    if arguments.again:
        kept = json.load(open(arguments.kept))
        username, order = kept["username"], kept["order"]
        status, reply = Pruvan(arguments.pruvan, username, kept["token"])("validate", {})
        holds(reply == '{"error":"","validated":true}', "the account and its key are still there", reply)
        results(host, order, kept["video"])
        print("everything is still there")
        return

    username = "trip-" + uuid.uuid4().hex[:8]
    if not arguments.unsigned:
        routes = re.findall(r"RestApiId: !Ref HostApi, Path: '?([^',]+)'?, Method: (\w+)", open(os.path.join(here, "..", "..", "template.yaml")).read())
        let_in = [(method, path) for path, method in routes if call(method, arguments.host + path.replace("{", "").replace("}", ""))[0] != 403]
        holds(len(routes) == 21 and not let_in, "an unsigned call gets 403 on each route of the host's API", (len(routes), let_in))
    status, made = host("PUT", f"/accounts/{username}", {"integration": "internal"})
    holds(status == 201 and len(made["apiKey"]) == 43, "the host makes an account", made)
    pruvan = Pruvan(arguments.pruvan, username, made["apiKey"])
    order = f"/accounts/{username}/orders/" + urllib.parse.quote("A 1", safe="")
    status, reply = host("PUT", order, {
        "address1": "110 East Main Street", "city": "Round Rock", "state": "TX", "zip": "78664", "status": "assigned",
        "services": [{"serviceName": "Task"}],
    })
    holds(status == 201, "the host puts an order in", reply)

    for extension in ("", ".html", ".php", ".svc", ".aspx"):
        key = {"pushkey": arguments.push_key} if arguments.push_key else {}
        status, reply = pruvan("validate", key, extension=extension)
        holds((status, reply) == (200, '{"error":"","validated":true}'), f"validate{extension}", (status, reply))
    liar = Pruvan(arguments.pruvan, username, "wrong")
    status, reply = liar("validate", {})
    holds((status, reply) == (200, '{"error":"invalid username or password","validated":false}'), "a wrong key is refused", reply)
    status, reply = pruvan("getWorkOrders", {"timestamp": None})
    holds(json.loads(reply)["workOrders"][0]["workOrderNumber"] == "A 1", "getWorkOrders hands the order out", reply)
    stored = (200, '{"status":true,"error":null}')
    items = dict(ITEMS)
    if arguments.video:
        items["video-1"] = ({"fileType": "picture", "videoUri": arguments.video}, PHOTO)
    for name, (fields, file) in items.items():
        item = {"uuId": name, "key2": "SMC::A 1", "key4": "Task", "timestamp": int(time.time()), **fields}
        reply = pruvan("uploadPictures", item, file)
        holds(reply == stored, f"uploadPictures takes {name}, {len(file):,} bytes", reply)
    report = {"workOrders": [{"workOrderNumber": "SMC::A 1", "status": "complete", "fieldStatus": "complete"}]}
    reply = pruvan("status", report)
    holds(reply == stored, "status takes a report", reply)

    results(host, order, arguments.video)
    with open(arguments.kept, "w") as kept:
        json.dump({"username": username, "token": made["apiKey"], "order": order, "video": arguments.video}, kept)

    if arguments.push_key:
        host("PATCH", order, {"clientStatus": "In review"})
        deadline = time.time() + 180
        sent = ""
        while time.time() < deadline and "In review" not in sent:
            time.sleep(2)
            sent = open(arguments.sent).read() if os.path.exists(arguments.sent) else ""
        holds("In review" in sent, "the schedule pushes a change by itself", sent)
        last = json.loads(sent.splitlines()[-1])["workOrders"][0]
        holds("status" not in last, "and doesn't undo the crew's complete", last)
        while time.time() < deadline and host("GET", order)[1]["push"]["state"] != "upToDate":
            time.sleep(2)
        holds(host("GET", order)[1]["push"]["state"] == "upToDate", "nothing waits any longer")
    print("the round trip held")


if __name__ == "__main__":
    main()
