#!/usr/bin/env bash
# Deploys the template for real, to ministack on this machine, and makes the round trip through it:
#   tests/deploy/deploy.sh               builds with `sam build` (SAM_BUILD_MODE=debug is quicker), deploys, checks, deploys again, checks
#   tests/deploy/deploy.sh --from REF    deploys what that commit has first, and what is here over it: all rows must still be there
#
# All of it runs in a network namespace of its own, in which a host with a public-looking address plays Pruvan's push host over
# TLS: the functions refuse every other kind, and nothing can leave the namespace. Needs root, iproute2, openssl, pip, Rust.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
tools=${DEPLOY_TOOLS:-$root/.venv-deploy}
namespace=bridge-deploy-$$ address=34.1.2.3 name=direct.pruvan.test port=4566
work=$(mktemp -d)
export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_DEFAULT_REGION=us-east-1 SAM_CLI_TELEMETRY=0

from=''
if [ "${1:-}" = --from ]; then from=${2:?--from needs a commit}; fi
step() { printf '\n== %s (%ss)\n' "$1" "$SECONDS"; }
inside() { ip netns exec "$namespace" env AWS_ENDPOINT_URL="http://127.0.0.1:$port" "$@"; }
clean_up() {
  status=$?
  ip netns pids "$namespace" 2>/dev/null | xargs -r kill 2>/dev/null || true
  if [ $status -ne 0 ] && [ -f "$work/ministack.log" ]; then tail -n 40 "$work/ministack.log" >&2; fi
  ip netns delete "$namespace" 2>/dev/null || true
  git worktree remove --force "$work/before" 2>/dev/null || true
  rm -rf "/etc/netns/$namespace" "$work"
}
trap clean_up EXIT

step "tools"
# ministack gets an environment of its own: it asks for other versions of what the SAM CLI needs.
[ -x "$tools/sam/bin/sam" ] || { python3 -m venv "$tools/sam" && "$tools/sam/bin/pip" install -q -r infra/requirements.txt; }
[ -x "$tools/ministack/bin/ministack" ] || { python3 -m venv "$tools/ministack" && "$tools/ministack/bin/pip" install -q 'ministack[full]==1.5.33'; }
export PATH="$tools/sam/bin:$PATH"

step "sam validate --lint"
sam validate --lint --region us-east-1

build() { # folder
  ( cd "$1"
    sam build --parameter-overrides Architecture=x86_64 >"$work/build.log" 2>&1 || { tail -n 40 "$work/build.log"; exit 1; }
    "$tools/sam/bin/python" "$root/tests/deploy/for_ministack.py" .aws-sam/build )
}
step "sam build"
build .
if [ -n "$from" ]; then
  step "sam build of $from"
  git worktree add --quiet --detach "$work/before" "$from"
  CARGO_TARGET_DIR=$root/target build "$work/before"
fi

step "a namespace with a host for pushes, and ministack"
ip netns add "$namespace"
ip netns exec "$namespace" ip link set lo up
ip netns exec "$namespace" ip address add "$address/32" dev lo
mkdir -p "/etc/netns/$namespace"
printf '127.0.0.1 localhost\n%s %s\n' "$address" "$name" >"/etc/netns/$namespace/hosts"
( cd "$work"
  openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout ca.key -out ca.pem -subj '/CN=Test CA' -addext basicConstraints=critical,CA:TRUE
  openssl req -newkey rsa:2048 -nodes -keyout host.key -out host.csr -subj "/CN=$name"
  openssl x509 -req -in host.csr -CA ca.pem -CAkey ca.key -days 2 -out host.pem \
    -extfile <(printf 'subjectAltName=DNS:%s\nextendedKeyUsage=serverAuth\n' "$name") ) 2>/dev/null
inside python3 tests/deploy/push_server.py "$address" "$work/host.pem" "$work/host.key" "$work/sent" &
# SSL_CERT_FILE reaches the functions, so that they trust the test's push host.
inside env BIND_HOST=127.0.0.1 IOT_MTLS_ENABLED=0 GATEWAY_PORT="$port" SSL_CERT_FILE="$work/ca.pem" TMPDIR="$work" \
  "$tools/ministack/bin/ministack" >"$work/ministack.log" 2>&1 &
for _ in $(seq 60); do inside curl -sf -o /dev/null "http://127.0.0.1:$port/_ministack/health" && break; sleep 0.5; done

deploy() { # folder, further parameters
  local folder=$1; shift
  inside sam deploy --stack-name pruvan-bridge --template-file "$folder/.aws-sam/build/ministack.yaml" --resolve-s3 --capabilities CAPABILITY_IAM \
    --no-confirm-changeset --no-fail-on-empty-changeset --parameter-overrides Architecture=x86_64 PushHosts=pruvan.test VideoHosts=pruvan.test "$@" \
    >"$work/deploy.log" 2>&1 || { tail -n 40 "$work/deploy.log"; exit 1; }
}
# The URL of an output's API on ministack.
url() {
  local api
  api=$(inside "$tools/sam/bin/python" -c "
import boto3
stack = boto3.client('cloudformation').describe_stacks(StackName='pruvan-bridge')['Stacks'][0]
print(next(o['OutputValue'] for o in stack['Outputs'] if o['OutputKey'] == '$1').split('/')[2].split('.')[0])")
  echo "http://127.0.0.1:$port/restapis/$api/live/_user_request_"
}

step "sam deploy"
if [ -n "$from" ]; then deploy "$work/before"; else deploy .; fi
pruvan=$(url WebServiceUrl) host=$(url HostUrl)

step "the round trip"
trip() { inside "$tools/sam/bin/python" tests/deploy/round_trip.py --pruvan "$pruvan" --host "$host" --kept "$work/kept.json" "$@"; }
trip --push-key "https://$name/api/?apiKey=secret" --sent "$work/sent" --video "https://$name/video.mp4"
if [ -n "$from" ]; then
  step "what is here over what $from had"
  deploy .
  # ministack makes an API anew whose definition has changed; in AWS it keeps its URL.
  pruvan=$(url WebServiceUrl) host=$(url HostUrl)
  trip --again
fi

step "download, signed"
cargo build -q --locked -p local
kept() { python3 -c "import json; print(json.load(open('$work/kept.json'))['$1'])"; }
inside target/debug/local download "A 1" --username "$(kept username)" --url "$host" --into "$work/files"
[ "$(find "$work/files" -type f | wc -l)" = 7 ] || { find "$work/files" -type f; exit 1; }
cmp "$(find "$work/files" -name '*photo-0.jpg')" tests/fixtures/photo.jpg

step "infra/docs/deploying.md, from a deployed stack to a first photo, command by command"
# Its own blocks, as they stand there; only the addresses are ministack's, Pruvan's part is done by curl, and the credentials are in the
# environment already, where the page has AWS CLI 2 put them.
python3 - "http://127.0.0.1:$port" >"$work/walk.sh" <<'END'
import re, sys
section = re.search(r"## The first time, from an empty account\n(.*?)\n## ", open("infra/docs/deploying.md").read(), re.S).group(1)
blocks = [re.sub(r"(?m)^ {3}", "", block) for block in re.findall(r"(?s)   ```sh\n(.*?)   ```", section)]
outputs, account, order, photo = blocks[3:]
account = re.sub(r"(?m)^eval .*aws configure export-credentials.*\n", "", account)
here = "sed -E 's|https://([^.]*)[.][^/]*|%s/restapis/\\1|; s|$|/_user_request_|'" % sys.argv[1]
pruvan = """pruvan() { curl -sf "$URL/$1.html" -F "payload={\\"username\\":\\"vendor1\\",\\"token\\":\\"$KEY\\",$2}" "${@:3}"; echo; }
"""
print("set -eo pipefail", "export AWS_REGION=$AWS_DEFAULT_REGION", outputs.replace("output WebServiceUrl", "URL=$(output WebServiceUrl)"),
      f"HOST=$(echo $HOST | {here}); URL=$(echo $URL | {here})", account.replace("signed -X", "MADE=$(signed -X").rstrip() + ")",
      "KEY=$(echo $MADE | python3 -c 'import json, sys; print(json.load(sys.stdin)[\"apiKey\"])')", order, pruvan,
      "pruvan validate '\"pushkey\":null'", "pruvan getWorkOrders '\"timestamp\":null'",
      "pruvan uploadPictures '\"uuId\":\"1\",\"key2\":\"1001\",\"key4\":\"Task\",\"fileType\":\"picture\"' -F file=@tests/fixtures/photo.jpg",
      photo, sep="\n")
END
inside bash "$work/walk.sh" | tee "$work/walk.log"
grep -q '"validated":true' "$work/walk.log"; grep -q '"workOrderNumber":"1001"' "$work/walk.log"
grep -q '"status":true' "$work/walk.log"; grep -q '"link":"http' "$work/walk.log"

step "doctor"
inside target/debug/local doctor --url "$pruvan" --host-url "$host" | tee "$work/doctor.log" || true
# ministack has neither the template's GatewayResponses nor the limit of 6 MB, and cuts 11 MB short; all else holds.
grep '^FAIL' "$work/doctor.log" | cut -c7-50 | sed 's/ *$//' | diff - <(printf '%s\n' "an unknown path gets Pruvan's JSON" "a photo of 5 MB gets Pruvan's JSON")
grep -q '^16 passed, 2 failed, 1 skipped' "$work/doctor.log"

step "the console of the deployment"
inside target/debug/local console --host-url "$host" --port 0 2>"$work/console.log" &
for _ in $(seq 50); do grep -q '/console$' "$work/console.log" && break; sleep 0.1; done
page="$(sed -n 's/^ *//; /\/console$/p' "$work/console.log")"
inside curl -sf "$page?account=vendor1&order=1001&tab=photos" >"$work/page.html"
inside curl -sf "${page%/console}$(grep -o '/console/file/[^"]*' "$work/page.html" | head -1)" | cmp - tests/fixtures/photo.jpg
if grep -q 'X-Amz-' "$work/page.html"; then echo "a signed link is on the page" >&2; exit 1; fi

step "tests/deploy/aws.sh, rehearsed in a stack of its own"
cargo build -q --locked -p checks
inside env BIN_DIR="$root/target/debug" DEPLOY_TOOLS="$tools" tests/deploy/aws.sh --yes --no-build --architecture x86_64 \
  --template .aws-sam/build/ministack.yaml --parameter PushHosts=pruvan.test --orders 1000

step "a changed template over it"
deploy . LogRetentionDays=14 OldVersionDays=60 RequestsPerSecond=50
trip --again

# In the end: it puts a push key of its own in place of the one that is there.
step "conformance of the deployment"
PRUVAN_KEY="$(kept token)" inside target/debug/local conformance --url "$pruvan" --username "$(kept username)" --watch 5

step "done"
