#!/usr/bin/env python3
"""What aws.sh asks of AWS, and the checks that it makes itself. Not to be called by hand, but by aws.sh.

    aws.py --work FOLDER --stack NAME COMMAND ...

FOLDER keeps what one command tells the next: the stack's resources and URLs, API keys, results. Needs boto3, which comes with the SAM CLI.
With AWS_ENDPOINT_URL it is ministack, an emulator, that answers; what it can't show is noted as "not here".
Exits 0 if all went as it should, 1 if something did not, and 2 if nothing was begun.
"""
import argparse, collections, datetime, http.client, json, os, re, shutil, signal, statistics, sys, textwrap, time, urllib.parse, uuid
import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

MINISTACK = os.environ.get("AWS_ENDPOINT_URL")
REGION = os.environ.get("AWS_REGION", "")
SAM_STACK = "aws-sam-cli-managed-default"
# Names of stacks begin so; aws.sh neither makes nor removes any other.
OURS = "pruvan-bridge-try-"
PAUSE = 1 if MINISTACK else 5
# A run without its build takes less, and keys must live until all is removed again.
MINUTES = 40
SLICE = 250
ORDER_BYTES, REPLY_BYTES = 2_450, 2_400
# The longest reply that Lambda gives unless it streams.
BUFFERED = 6_291_556
TRIES = 5
# What a call of AWS may fail with; RuntimeError is boto3's word for credentials that have ended.
FAULTS = (BotoCoreError, ClientError, OSError, RuntimeError)


def say(text=""):
    """A line. The terminal may be gone while what was made is still to be removed."""
    try:
        print(text, flush=True)
    except OSError:
        pass


def refuse(why):
    print(f"aws.sh: {why}", file=sys.stderr)
    sys.exit(2)


def trip():
    """The round trip's own calls. It makes a video as it is imported, which takes a second or two."""
    import round_trip
    return round_trip


def client(service):
    return boto3.client(service, region_name=REGION, config=Config(connect_timeout=20, retries={"mode": "standard", "max_attempts": 8}))


class Run:
    """One run: its stack, and the folder with what is known of it."""

    def __init__(self, work, stack):
        self.work, self.stack = work, stack

    def path(self, name):
        return os.path.join(self.work, name)

    def load(self, name, otherwise=None):
        try:
            with open(self.path(name)) as file:
                return json.load(file)
        except FileNotFoundError:
            return otherwise

    def save(self, name, what):
        with open(self.path(name), "w") as file:
            json.dump(what, file)

    def note(self, check, result, figure=""):
        with open(self.path("results"), "a") as file:
            file.write(json.dumps([check, result, figure]) + "\n")
        say(f"{result:<9} {check}{': ' if figure else ''}{figure}")
        return result != "FAILED"

    def held(self, condition, check, figure=""):
        return self.note(check, "passed" if condition else "FAILED", figure)

    def physical(self, kind):
        """Names of the stack's resources of a type, by what template.yaml calls them."""
        return {logical: name for logical, type_, name in self.load("stack.json")["resources"] if type_ == kind}

    def urls(self):
        return self.load("stack.json")["urls"]

    def host(self):
        return trip().Host(self.urls()["HostUrl"])

    def pruvan(self, username):
        return trip().Pruvan(self.urls()["WebServiceUrl"], username, self.load("keys.json")[username])


# Before and around the deployment.

def described(stack):
    """The stack as CloudFormation has it, by its name or id, or None."""
    try:
        return client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise


def lasting(minutes):
    """Refuses credentials that end before everything can be removed again."""
    ends = os.environ.get("AWS_CREDENTIAL_EXPIRATION")
    if not ends:
        return
    left = datetime.datetime.fromisoformat(ends.replace("Z", "+00:00")) - datetime.datetime.now(datetime.timezone.utc)
    if left < datetime.timedelta(minutes=minutes):
        refuse(f"the AWS credentials end in {int(left.total_seconds() // 60)} minutes, and a run takes up to {minutes}: get new ones, such as by "
               "aws sso login and eval \"$(aws configure export-credentials --format env)\", then run this again (--no-build, if it has built)")


def plan(run, arguments):
    if not run.stack.startswith(OURS) or not re.fullmatch("[a-z0-9]{1,20}", run.stack[len(OURS):]):
        refuse(f"{run.stack} is no name for this: give {OURS} with one to 20 of a-z and 0-9 behind it")
    if not arguments.remove:
        lasting(MINUTES)
    try:
        caller = client("sts").get_caller_identity()
    except FAULTS as error:
        refuse(f"the AWS credentials of the environment don't work ({error}): see that aws sts get-caller-identity does")
    where = f"account {caller['Account']}, region {REGION}" + (f" of {MINISTACK}, an emulator" if MINISTACK else "")
    if arguments.remove:
        say(f"Removes what stack {run.stack} has or left behind, with all data, in {where}.")
        return True
    if described(run.stack):
        refuse(f"there is a stack {run.stack} already, which this won't touch: give another --stack-name, or none; "
               f"if an earlier run left it, tests/deploy/aws.sh --remove {run.stack}")
    say(textwrap.dedent(f"""\
        Makes the stack {run.stack} in {where},
        as {caller['Arn']}:
        all of template.yaml (functions, two APIs, four tables, a bucket, logs, alarms, a dashboard), fills it with
        {arguments.orders:,} orders and some photos, checks and updates it, and removes it again with everything in it.
        It costs about 10 to 20 US cents, most of that for writing the orders, and takes about 25 minutes, up to half of it for building.
        What stays: the CloudFormation stack {SAM_STACK} with its bucket, which SAM makes for all deployments if it is
        not there yet; the stack's metrics, which AWS drops after 15 months; and the backups that AWS makes of deleted tables by itself
        and keeps for 35 days. These cost nothing."""))
    try:
        at_once = client("lambda").get_account_settings()["AccountLimit"]["ConcurrentExecutions"]
    except (*FAULTS, KeyError):
        return True # these credentials may deploy all the same
    if at_once < 50:
        say(f"This AWS account lets {at_once} functions run at once, so that checks may fail by throttling.")
    return True


def ready(run, arguments):
    """Once more, after a build that took its time."""
    machine = {183: "arm64", 62: "x86_64"}
    try:
        with open(os.path.join(os.path.dirname(arguments.template), "ValidateFunction", "bootstrap"), "rb") as file:
            built = machine.get(int.from_bytes(file.read(20)[18:20], "little"))
    except OSError as error:
        refuse(f"there is nothing built ({error}): run this without --no-build")
    if built != arguments.architecture:
        refuse(f"what is built is for {built}, and not for {arguments.architecture}: run this without --no-build, or give --architecture {built}")
    lasting(MINUTES)
    if described(run.stack):
        refuse(f"there is a stack {run.stack} by now: run this again, which takes another name")
    return True


def listed(stack_id):
    """All that a stack has or had: what it calls a resource, the type, and AWS's name. A resource that was retained is in its events only."""
    cloudformation, found = client("cloudformation"), {}
    for kind, key in (("list_stack_resources", "StackResourceSummaries"), ("describe_stack_events", "StackEvents")):
        for page in cloudformation.get_paginator(kind).paginate(StackName=stack_id):
            for one in page[key]:
                if one.get("PhysicalResourceId") and one["ResourceType"] != "AWS::CloudFormation::Stack":
                    found[one["LogicalResourceId"], one["ResourceType"], one["PhysicalResourceId"]] = None
    return [list(one) for one in found]


def gather(run, arguments):
    stack = described(run.stack)
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    urls = {}
    for name in ("WebServiceUrl", "HostUrl"):
        urls[name] = outputs[name]
        if MINISTACK:
            api = outputs[name].split("/")[2].split(".")[0]
            urls[name] = f"{MINISTACK}/restapis/{api}/live/_user_request_"
    run.save("stack.json", {"id": stack["StackId"], "resources": listed(stack["StackId"]), "urls": urls})
    # The addresses of a new API may take some seconds to be known everywhere.
    since, seen = time.time(), None
    while time.time() - since < 120:
        try:
            seen = trip().Pruvan(urls["WebServiceUrl"], "nobody", "none")("validate", {})
            if seen == (200, '{"error":"invalid username or password","validated":false}'):
                return run.note("the stack answers", "passed", f"after {time.time() - since:.0f} s")
        except OSError as error:
            seen = str(error)
        time.sleep(PAUSE)
    return run.note("the stack answers", "FAILED", f"{seen}")


def why(run, arguments):
    """Why a deployment failed: the first that AWS itself says of a resource, before it called the rest off."""
    stack, said = described(run.stack), []
    if stack:
        pages = client("cloudformation").get_paginator("describe_stack_events").paginate(StackName=stack["StackId"])
        said = [f"{event['LogicalResourceId']}: {event['ResourceStatusReason']}" for page in pages for event in page["StackEvents"]
                if event["ResourceStatus"].endswith("_FAILED") and event.get("ResourceStatusReason")]
    said = [words for words in reversed(said) if "cancelled" not in words]
    return run.note(arguments.check, "FAILED", said[0] if said else "what sam deploy said is above")


def account(run, arguments):
    """An account with a key, by the signed host API, and an order in it."""
    host, name = run.host(), arguments.name
    status, made = host("PUT", f"/accounts/{name}", {"integration": "internal"})
    if status != 201:
        return run.note(f"the host makes the account {name}", "FAILED", f"HTTP {status}: {json.dumps(made)[:200]}")
    run.save("keys.json", {**run.load("keys.json", {}), name: made["apiKey"]})
    status, reply = host("PUT", f"/accounts/{name}/orders/1001", typical("1001"))
    return status == 201 or run.note(f"the host puts an order in for {name}", "FAILED", f"HTTP {status}: {json.dumps(reply)[:200]}")


def tell(run, arguments):
    """Prints one thing that is known, for aws.sh to put into a variable."""
    print(run.load("keys.json")[arguments.what.removeprefix("key:")] if arguments.what.startswith("key:") else run.urls()[arguments.what])
    return True


def show(run, arguments):
    """What a check prints, to the terminal and into its log. What it says of a fault may hold links and keys, which are nobody's business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN) # the check itself ends, and this with it
    with open(arguments.log, "w") as log:
        for line in sys.stdin:
            line = re.sub(r"""(X-Amz-\w+=)[^&\s"']+""", r"\1...", line)
            line = re.sub(r"""((?:apiKey|token)["']?: ?["'])[^"']+""", r"\1...", line)
            log.write(line)
            say(line.rstrip("\n"))
    return True


# ministack has neither GatewayResponses nor the limits of 6 and 10 MB.
EXCUSED = {"doctor": ("an unknown path gets Pruvan's JSON", "a photo of 5 MB gets Pruvan's JSON", "a photo of 11 MB is refused")}


def judge(run, arguments):
    """What came of doctor, conformance or the round trip: by its exit code, in the words of what it printed."""
    check, status = arguments.check, arguments.status
    printed = open(arguments.log, errors="replace").read()
    failed = re.findall(r"(?m)^(?:FAIL|NOT SO)  (.+?)(?:\s{2,}.*)?$", printed)
    counts = re.findall(r"\d+ passed, \d+ failed, \d+ skipped", printed)
    figure = counts[-1] if counts else f"{len(re.findall('(?m)^ok ', printed))} checks held"
    if MINISTACK and status == 1:
        for row in [row for row in failed if row in EXCUSED.get(check, ())]:
            failed.remove(row)
            run.note(f"{check}: {row}", "not here")
        status = 1 if failed or not counts else 0
    if status:
        figure += f"; exit {status}" + "".join(f"; {row}" for row in failed)
    return run.held(status == 0, check, figure)


# Uploads.

class Reply:
    def __init__(self, status=None, kind="", body=b"", failure=""):
        self.status, self.kind, self.body, self.failure = status, kind, body, failure

    def json(self):
        try:
            said = json.loads(self.body)
        except ValueError:
            return {}
        return said if isinstance(said, dict) else {}

    def __str__(self):
        if self.failure:
            return self.failure
        said = self.json()
        shape = "no JSON"
        if said.get("status") is False and said.get("error"):
            shape = "Pruvan's shape"
        elif said.get("status") is True:
            shape = "an acknowledgement"
        elif "message" in said:
            shape = "the gateway's own JSON"
        elif said:
            shape = "other JSON"
        return f"HTTP {self.status}, {self.kind or 'no content type'}, {shape}: {self.body.decode(errors='replace')[:200]}"


def connect(url):
    at = urllib.parse.urlsplit(url)
    made = http.client.HTTPSConnection if at.scheme == "https" else http.client.HTTPConnection
    return made(at.hostname, at.port, timeout=300), at.path


def form(pruvan, fields, file=None):
    boundary = uuid.uuid4().hex
    parts = [("payload", "", json.dumps({**pruvan.credentials, **fields}).encode())]
    if file is not None:
        parts.append(("file", '; filename="1.jpg"', file))
    body = b"".join(b'--%s\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n' % (boundary.encode(), name.encode(), more.encode(), value)
                    for name, more, value in parts)
    return body + b"--%s--\r\n" % boundary.encode(), {"Content-Type": f"multipart/form-data; boundary={boundary}"}


def sent(pruvan, fields, file):
    """A photo, and whatever answers: a gateway that refuses it may do so, and hang up, before it has it all."""
    body, headers = form(pruvan, fields, file)
    connection, path = connect(pruvan.url)
    failure = ""
    try:
        try:
            connection.request("POST", f"{path}/uploadPictures.html", body, headers)
        except OSError as error:
            failure = str(error)
        reply = connection.getresponse()
        return Reply(reply.status, reply.headers.get("Content-Type", ""), reply.read())
    except (OSError, http.client.HTTPException) as error:
        return Reply(failure=f"no reply: {failure or error}")
    finally:
        connection.close()


def photo_of(size):
    """Behind a real JPEG, bytes that no decoding as text survives and no packing makes less."""
    photo = trip().PHOTO
    return photo + os.urandom(size - len(photo))


def uploads(run, arguments):
    pruvan, host = run.pruvan("try"), run.host()
    fields = lambda name: {"uuId": name, "key2": "1001", "key4": "Task", "fileType": "picture", "timestamp": int(time.time())}
    photo = photo_of(4_500_000)
    since = time.time()
    reply = sent(pruvan, fields("photo-4500000"), photo)
    took = time.time() - since
    check = "a photo of 4.5 MB comes back byte for byte"
    if reply.json().get("status") is not True:
        good = run.note(check, "FAILED", str(reply))
    else:
        _, upload = host("GET", "/accounts/try/uploads/photo-4500000")
        link = (upload or {}).get("link")
        same = bool(link) and trip().call("GET", link)[1] == photo
        good = run.held(same, check, f"taken in {took:.1f} s" if same else "what the host's API links to is not what was sent")
    for size, words in ((5_000_000, "5 MB"), (11_000_000, "11 MB")):
        check = f"a photo of {words} is answered with"
        reply = sent(pruvan, fields(f"photo-{size}"), photo_of(size))
        taken = reply.json().get("status") is True
        if MINISTACK:
            run.note(check, "not here", str(reply))
        elif taken and size == 5_000_000:
            # It is above what Lambda takes, so that whoever acknowledged it has lost it.
            good = run.note(check, "FAILED", f"no error at all: {reply}")
        else:
            run.note(check, "told", str(reply))
    return good


# Pulls.

def typical(number):
    """An order of 2.4 KB: instructions, three services. What is left of the size goes into the instructions."""
    service = lambda name: {"serviceName": name, "instructions": "Photos of all sides, before and after. " * 6 + "Thank you.", "attribute1": "4711"}
    order = {
        "workOrderNumber": number, "address1": "110 East Main Street", "city": "Round Rock", "state": "TX", "zip": "78664",
        "clientStatus": "open", "clientInstructions": "Call the office if the gate is locked. " * 5 + "Thank you.",
        "services": [service("Grass Cut"), service("Trim"), service("Debris")], "instructions": "",
    }
    text = "Cut the grass, trim the edges, remove all debris and take photos of everything. " * 20
    order["instructions"] = text[:ORDER_BYTES - 1 - len(json.dumps(order, separators=(",", ":")))] + "."
    return order


def put_in(host, orders):
    """Puts orders in by the bulk route; those that one request had no time for go again. Gives the results that are none of the good ones."""
    bad, waiting = [], orders
    for attempt in range(TRIES):
        again = []
        for begin in range(0, len(waiting), SLICE):
            some = waiting[begin:begin + SLICE]
            status, reply = host("POST", "/accounts/pull/orders", some)
            if status in (429, 500, 502, 503, 504):
                again += some
                time.sleep(PAUSE)
                continue
            results = (reply or {}).get("results")
            if status != 200 or results is None or len(results) != len(some):
                return [f"HTTP {status}: {json.dumps(reply)[:200]}"]
            for order, result in zip(some, results):
                if result["result"] == "notAttempted":
                    again.append(order)
                elif result["result"] not in ("created", "changed", "unchanged"):
                    bad.append(json.dumps(result)[:200])
        waiting = again
        if not waiting:
            return bad
    return bad + [f"{len(waiting)} orders were not attempted, {TRIES} times"]


def pull(run, arguments):
    host, pruvan, count = run.host(), run.pruvan("pull"), arguments.orders
    # One is there since the account was made.
    numbers = ["1001"] + [f"T-{n:05}" for n in range(1, count)]
    since = time.time()
    bad = put_in(host, [typical(number) for number in numbers[1:]])
    took = time.time() - since
    if not run.held(not bad, f"the bulk route takes {count - 1:,} orders",
                    f"{took:.0f} s, {count / took:.0f} a second" if not bad else f"{len(bad)} not: {bad[0]}"):
        return False

    body, headers = form(pruvan, {"timestamp": None})
    connection, path = connect(pruvan.url)
    since = time.time()
    try:
        connection.request("POST", f"{path}/getWorkOrders.html", body, headers)
        reply = connection.getresponse()
        got = reply.read(1)
        first = time.time() - since
        got += reply.read()
        whole = time.time() - since
    except (OSError, http.client.HTTPException) as error:
        return run.note(f"a pull has all {count:,} orders once", "FAILED", f"broke off: {error!r}")
    finally:
        connection.close()
    check = f"a pull has all {count:,} orders once"
    try:
        orders = json.loads(got)["workOrders"]
    except (ValueError, KeyError, TypeError):
        return run.note(check, "FAILED", f"HTTP {reply.status}, {len(got):,} bytes, no whole list: {got[:200].decode(errors='replace')}")
    seen = collections.Counter(order["workOrderNumber"] for order in orders)
    good = run.held(seen == collections.Counter(numbers), check, f"{len(got):,} bytes, {len(orders):,} orders, {len(seen):,} numbers")
    least = count * REPLY_BYTES
    good &= run.held(len(got) > least, f"it has more than {least:,} bytes", f"{len(got) / len(orders):,.0f} an order")
    figure = f"first byte after {first:.2f} s, all after {whole:.2f} s, {len(got) / whole / 1e6:.1f} MB/s"
    if MINISTACK:
        run.note("it is streamed", "not here", figure)
    elif len(got) <= BUFFERED:
        run.note("it is streamed", "told", f"{figure}; only a list above {BUFFERED:,} bytes shows it: give more --orders")
    else:
        # More than Lambda gives in one piece, so it can have come in no other way.
        run.note("it is streamed", "passed", figure)
    return good


# The update.

def kept(run):
    """The keys of all rows, and of all files."""
    dynamodb, found = client("dynamodb"), {}
    for logical, table in run.physical("AWS::DynamoDB::Table").items():
        keys = [key["AttributeName"] for key in dynamodb.describe_table(TableName=table)["Table"]["KeySchema"]]
        names = {f"#{n}": key for n, key in enumerate(keys)}
        pages = dynamodb.get_paginator("scan").paginate(
            TableName=table, ConsistentRead=True, ProjectionExpression=", ".join(names), ExpressionAttributeNames=names)
        found[logical] = sorted(json.dumps([row[key] for key in keys]) for page in pages for row in page["Items"])
    (bucket,) = run.physical("AWS::S3::Bucket").values()
    pages = client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket)
    found["files"] = sorted(file["Key"] for page in pages for file in page.get("Contents", []))
    return found


def before(run, arguments):
    run.save("kept.json", kept(run))
    return True


def after(run, arguments):
    was, now = run.load("kept.json"), kept(run)
    stack = described(run.stack)
    parameters = {one["ParameterKey"]: one["ParameterValue"] for one in stack["Parameters"]}
    expected = dict(pair.split("=", 1) for pair in arguments.parameters)
    group = run.physical("AWS::Logs::LogGroup")["ValidateLogs"]
    days = [one.get("retentionInDays") for one in client("logs").describe_log_groups(logGroupNamePrefix=group)["logGroups"]]
    took = all(parameters.get(name) == value for name, value in expected.items()) and days == [int(expected["LogRetentionDays"])]
    good = run.held(stack["StackStatus"] == "UPDATE_COMPLETE" and took, "an update takes its parameters",
                    f"{stack['StackStatus']}, logs are kept {days} days")
    good &= run.held(stack["StackId"] == run.load("stack.json")["id"], "it is the same stack")
    lost = {name: len(set(keys) - set(now.get(name, ()))) for name, keys in was.items()}
    figure = ", ".join(f"{len(keys):,} {'files' if name == 'files' else 'in ' + name}" for name, keys in was.items())
    return good & run.held(not any(lost.values()), "after it all rows and files are there", figure if not any(lost.values()) else f"lost: {lost}")


# How the functions did.

def figures(run, arguments):
    logs, found = client("logs"), False
    for logical, group in sorted(run.physical("AWS::Logs::LogGroup").items()):
        runs = []
        for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group, filterPattern='{ $.type = "platform.report" }'):
            for event in page["events"]:
                try:
                    runs.append(json.loads(event["message"])["record"]["metrics"])
                except (ValueError, KeyError, TypeError):
                    continue # ministack gives whatever the pattern says
        every = lambda name: [one[name] for one in runs if isinstance(one.get(name), (int, float))]
        words = [f"{words} {choose(every(name)):.0f} {unit}" for words, choose, name, unit in (
            ("init median", statistics.median, "initDurationMs", "ms"), ("init at most", max, "initDurationMs", "ms"),
            ("run median", statistics.median, "durationMs", "ms"), ("memory at most", max, "maxMemoryUsedMB", "MB")) if every(name)]
        if words:
            found = True
            run.note(f"{logical.removesuffix('Logs')}, by its logs", "told", f"{len(runs)} runs, {len(every('initDurationMs'))} cold; {', '.join(words)}")
    if not found:
        run.note("cold starts and memory, by the logs", "not here" if MINISTACK else "told", "they have no platform.report")
    return True


# The removal.

class Removal:
    """Removes a stack and what it leaves behind on purpose, and nothing that isn't in that stack's own lists."""

    def __init__(self, run):
        self.run, self.left, self.unreached = run, [], None
        self.known = run.load("stack.json", {})
        self.kinds = collections.defaultdict(set)

    def remains(self, what, why, *commands):
        self.left.append((what, str(why), [command if command[0] == "#" else f"{command} --region {REGION}" for command in commands]))
        say(f"NOT REMOVED  {what}: {why}")

    def tried(self, what, commands, action, *names):
        try:
            action(*names)
        except Exception as error: # whatever it is: what comes after it must be tried all the same
            self.remains(what, error if isinstance(error, FAULTS) else repr(error), *commands)

    def ids(self):
        """The stack's id; also those of deleted stacks of this name, of which a run that was killed may have left something."""
        if self.known.get("id"):
            return [self.known["id"]]
        for _ in range(3):
            stack = described(self.run.stack)
            if stack:
                return [stack["StackId"]]
            time.sleep(PAUSE) # a change set may have been under way when it was interrupted
        pages = client("cloudformation").get_paginator("list_stacks").paginate(StackStatusFilter=["DELETE_COMPLETE"])
        return [one["StackId"] for page in pages for one in page["StackSummaries"] if one["StackName"] == self.run.stack]

    def note_resources(self, stack_id):
        for logical, kind, name in listed(stack_id):
            self.kinds[kind].add(name)

    def waited(self, stack_id, ends, minutes=30):
        until, status, told = time.time() + 60 * minutes, "unknown", set()
        while time.time() < until:
            stack = described(stack_id)
            status = stack["StackStatus"] if stack else "DELETE_COMPLETE"
            if ends(status):
                return status
            if status not in told:
                say(f"waits for the stack, which is {status}")
                told.add(status)
            time.sleep(PAUSE)
        raise TimeoutError(f"the stack is still {status} after {minutes} minutes")

    def stack(self):
        for stack_id in self.ids():
            try:
                self.delete_stack(stack_id)
            finally:
                # Once more: what was made between an interrupted deployment's last step and the deletion is in the events.
                self.note_resources(stack_id)
            self.not_deleted(stack_id)

    def delete_stack(self, stack_id):
        # Only once nothing is under way the lists are whole. REVIEW_IN_PROGRESS is a stack of which nothing was begun.
        status = self.waited(stack_id, lambda status: not status.endswith("_IN_PROGRESS") or status == "REVIEW_IN_PROGRESS")
        self.note_resources(stack_id)
        for _ in range(2):
            if status == "DELETE_COMPLETE":
                return
            say(f"deletes the stack {self.run.stack}, which is {status}")
            client("cloudformation").delete_stack(StackName=stack_id)
            time.sleep(PAUSE)
            status = self.waited(stack_id, lambda status: status in ("DELETE_COMPLETE", "DELETE_FAILED"))
        if status != "DELETE_COMPLETE":
            raise TimeoutError("deleting it failed twice; the stack's events say why")

    def not_deleted(self, stack_id):
        """What the stack let stand, other than what is removed after it."""
        last = {}
        pages = client("cloudformation").get_paginator("describe_stack_events").paginate(StackName=stack_id)
        for event in reversed([event for page in pages for event in page["StackEvents"]]):
            if event.get("PhysicalResourceId"):
                last[event["ResourceType"], event["PhysicalResourceId"]] = event["ResourceStatus"]
        for (kind, name), status in sorted(last.items()):
            if status in ("DELETE_SKIPPED", "DELETE_FAILED") and kind not in ("AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::Logs::LogGroup"):
                self.remains(f"{kind} {name}", status)

    def ours(self, name):
        """Whatever the lists say: AWS gives names that begin with the stack's."""
        return name.lower().startswith(self.run.stack + "-")

    def table(self, name):
        dynamodb = client("dynamodb")

        def state(*ends):
            until = time.time() + 600
            while time.time() < until:
                try:
                    table = dynamodb.describe_table(TableName=name)["Table"]
                except dynamodb.exceptions.ResourceNotFoundException:
                    table = {"TableStatus": "gone"}
                if table["TableStatus"] in ends:
                    return table
                time.sleep(PAUSE)
            raise TimeoutError(f"it is still {table['TableStatus']} after ten minutes")

        table = state("ACTIVE", "gone")
        if table.get("DeletionProtectionEnabled"):
            dynamodb.update_table(TableName=name, DeletionProtectionEnabled=False)
            table = state("ACTIVE")
        if table["TableStatus"] == "ACTIVE":
            dynamodb.delete_table(TableName=name)
            state("gone")
            say(f"deleted the table {name}")

    def empty(self, bucket, prefix=""):
        s3, count = client("s3"), 0
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix):
            keys = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in page.get("Versions", []) + page.get("DeleteMarkers", [])]
            assert all(key["Key"].startswith(prefix) for key in keys)
            if keys:
                failed = s3.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True}).get("Errors")
                if failed:
                    raise TimeoutError(f"{failed[0].get('Key')}: {failed[0].get('Message')}")
                count += len(keys)
        return count

    def bucket(self, name):
        s3 = client("s3")
        try:
            s3.head_bucket(Bucket=name)
        except ClientError as error:
            if error.response["Error"]["Code"] in ("404", "NoSuchBucket", "NotFound"):
                return
            raise
        count = self.empty(name)
        for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=name):
            for one in page.get("Uploads", []):
                s3.abort_multipart_upload(Bucket=name, Key=one["Key"], UploadId=one["UploadId"])
        s3.delete_bucket(Bucket=name)
        say(f"deleted the bucket {name} with {count} versions")

    def log_group(self, name):
        """Gone with the stack, unless a function that was still running made it anew."""
        logs = client("logs")
        if any(group["logGroupName"] == name for group in logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]):
            logs.delete_log_group(logGroupName=name)
            say(f"deleted the log group {name}")

    def artifacts(self):
        """What SAM put into its own bucket for this stack."""
        stack = described(SAM_STACK)
        bucket = next((one["OutputValue"] for one in (stack or {}).get("Outputs", []) if one["OutputKey"] == "SourceBucket"), None)
        if not bucket:
            return
        count = self.empty(bucket, self.run.stack + "/")
        if count:
            say(f"deleted {count} versions of built files in {bucket}")

    def reached(self):
        """Whether AWS can be called at all: if not, nothing is tried, and all is listed."""
        for attempt in range(3):
            try:
                client("sts").get_caller_identity()
                return None
            except FAULTS as error:
                failure = error
                time.sleep(2 * PAUSE)
        return failure

    def step(self, what, commands, action, *names):
        if self.unreached:
            self.remains(what, self.unreached, *commands)
        else:
            self.tried(what, commands, action, *names)

    def owned(self, what, name, commands, action):
        if self.ours(name):
            self.step(what, commands, action, name)
        else:
            self.remains(what, f"its name doesn't begin with {self.run.stack}-: look whose it is")

    def all(self):
        stack = self.run.stack
        self.unreached = self.reached()
        for _, kind, name in self.known.get("resources", []):
            self.kinds[kind].add(name)
        self.step(f"the stack {stack}", [f"aws cloudformation delete-stack --stack-name {stack}"], self.stack)
        for name in sorted(self.kinds["AWS::DynamoDB::Table"]):
            self.owned(f"the table {name}", name, [f"aws dynamodb update-table --no-deletion-protection-enabled --table-name {name}",
                                                   f"aws dynamodb delete-table --table-name {name}"], self.table)
        for name in sorted(self.kinds["AWS::S3::Bucket"]):
            versions = f"aws s3api list-object-versions --bucket {name} --max-items 1000 --output json --region {REGION} --query"
            commands = ["# the next two, until nothing is left in it"]
            for what in ("Versions", "DeleteMarkers"):
                query = f"'{{Objects: {what}[].{{Key: Key, VersionId: VersionId}}}}'"
                commands.append(f"aws s3api delete-objects --bucket {name} --delete \"$({versions} {query})\"")
            self.owned(f"the bucket {name}", name, commands + [f"aws s3api delete-bucket --bucket {name}"], self.bucket)
        if not self.unreached: # else the stack has them still
            for name in sorted(self.kinds["AWS::Logs::LogGroup"] | {f"/aws/lambda/{name}" for name in self.kinds["AWS::Lambda::Function"]}):
                self.step(f"the log group {name}", [f"aws logs delete-log-group --log-group-name {name}"], self.log_group, name)
        output = f"aws cloudformation describe-stacks --stack-name {SAM_STACK} --query 'Stacks[0].Outputs[0].OutputValue' --output text"
        self.step("built files in SAM's bucket", [f"aws s3 rm --recursive \"s3://$({output} --region {REGION})/{stack}/\""], self.artifacts)


def remove(run, arguments):
    removal = Removal(run)
    try:
        removal.all()
    except Exception as error: # whatever it is, what is left must be told
        removal.remains(f"all that comes after what is listed here, of the stack {run.stack}", repr(error))
    kinds = removal.kinds
    figure = f"resources: {sum(map(len, kinds.values()))}; of them tables: {len(kinds['AWS::DynamoDB::Table'])}, buckets: {len(kinds['AWS::S3::Bucket'])}"
    if arguments.only and not any(kinds.values()):
        figure = "there is and was no stack of this name, as far as CloudFormation remembers: look at the name, the account and the region"
    if not removal.left:
        return run.note("everything is removed", "passed", figure)
    lines = [f"With credentials that live, this tries all of it again: tests/deploy/aws.sh --remove {run.stack}", "By hand:"]
    for what, why, commands in removal.left:
        lines += [f"  # {what} ({why})"] + [f"  {command}" for command in commands]
    with open(run.path("left"), "w") as file:
        file.write("\n".join(lines) + "\n")
    return run.note("everything is removed", "FAILED", f"{len(removal.left)} are left: see below")


# The table at the end.

def note(run, arguments):
    return run.note(arguments.check, arguments.result, arguments.figure)


def table(run, arguments):
    try:
        with open(run.path("results")) as file:
            rows = [json.loads(line) for line in file]
    except FileNotFoundError:
        rows = []
    if not rows:
        return True
    heads = [("check", "result", "figure")] + rows
    first, second = (max(len(row[n]) for row in heads) for n in (0, 1))
    room = max(40, shutil.get_terminal_size((150, 0)).columns - first - second - 4)
    say()
    for check, result, figure in heads:
        lines = textwrap.wrap(figure, room) or [""]
        say(f"{check:<{first}}  {result:<{second}}  {lines[0]}".rstrip())
        for line in lines[1:]:
            say(" " * (first + second + 4) + line)
    say()
    say("told: for your information, no fault.  not here: an emulator can't show it.")
    if os.path.exists(run.path("left")):
        say()
        say("LEFT BEHIND")
        say(open(run.path("left")).read().rstrip())
    return not any(result == "FAILED" for _, result, _ in rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", required=True)
    parser.add_argument("--stack", required=True)
    commands = parser.add_subparsers(required=True)

    def command(function, *arguments):
        one = commands.add_parser(function.__name__)
        one.set_defaults(function=function)
        for name, settings in arguments:
            one.add_argument(name, **settings)

    command(plan, ("--orders", {"type": int, "default": 0}), ("--remove", {"action": "store_true"}))
    command(ready, ("--template", {"required": True}), ("--architecture", {"required": True}))
    command(remove, ("--only", {"action": "store_true"}))
    for function in (gather, uploads, before, figures, table):
        command(function)
    command(show, ("log", {}))
    command(why, ("check", {}))
    command(account, ("name", {}))
    command(tell, ("what", {}))
    command(judge, ("check", {}), ("log", {}), ("status", {"type": int}))
    command(pull, ("--orders", {"type": int, "required": True}))
    command(after, ("parameters", {"nargs": "+"}))
    command(note, ("check", {}), ("result", {"choices": ["passed", "FAILED", "told", "not here", "not run"]}), ("figure", {"nargs": "?", "default": ""}))
    arguments = parser.parse_args()
    run = Run(arguments.work, arguments.stack)
    try:
        sys.exit(0 if arguments.function(run, arguments) else 1)
    except KeyboardInterrupt:
        sys.exit(130)
    except FAULTS as error:
        # Nothing was begun by the first two, and all others are checks.
        if arguments.function in (plan, ready):
            refuse(error)
        run.note(" ".join(["step", arguments.function.__name__, getattr(arguments, "name", "")]).rstrip(), "FAILED", f"it could not be done: {error}")
        sys.exit(1)


if __name__ == "__main__":
    main()
