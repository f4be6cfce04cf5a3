#!/usr/bin/env bash
# Deploys a stack of its own to real AWS, checks it there, updates it, and removes it with all that it holds; --help says more.
set -euo pipefail
# Relative paths that were given are meant from where it is called.
called=$PWD
cd "$(dirname "$0")/../.."

usage() {
  cat <<'TEXT'
tests/deploy/aws.sh [options]: tries template.yaml on real AWS, in a stack of its own, and removes it all again.

It builds, deploys, runs doctor and conformance, sends photos of 4.5, 5 and 11 MB, pulls 5,000 orders (12 MB), updates the stack,
sees that everything is still there, and removes the stack, its tables, its bucket and its logs: also if something failed, or after
Ctrl-C. In the end it prints what came of it. It costs about 10 to 20 US cents and takes about 25 minutes.

  --yes                   don't ask
  --no-build              deploy what `sam build` built before
  --architecture NAME     arm64 (the default) or x86_64
  --parameter NAME=VALUE  a parameter of template.yaml; may be given several times
  --orders N              so many orders in the pull, from 100 to 5,000 (the default, and the most that an import takes); with
                          an emulator, which doesn't stream, to 2,000, since a list that isn't streamed ends at 6 MB
  --stack-name NAME       instead of a random one: pruvan-bridge-try- with letters and digits behind it
  --template FILE         the built template [default: .aws-sam/build/template.yaml]
  --remove NAME           only removes what is left of such a stack, if an earlier run could not

Needs what deploying needs (infra/docs/deploying.md), AWS credentials in the environment that may make IAM roles, and a region:
  export AWS_REGION=us-east-1; eval "$(aws configure export-credentials --format env)"
DEPLOY_TOOLS is a folder with the SAM CLI in sam/bin; else .venv/bin or the PATH has it. BIN_DIR is a folder with pruvan-doctor and
pruvan-conformance; else cargo builds them. With AWS_ENDPOINT_URL all goes to that emulator (ministack), and what it can't show is
said to be "not here".

Exits with 0 if all held and all is removed, with 1 if not, with 2 if nothing was begun, and with 130 after Ctrl-C.
TEXT
}
refuse() { echo "aws.sh: $1" >&2; exit 2; }
step() { printf '\n== %s (%ss)\n' "$1" "$SECONDS"; }

yes='' build=yes architecture=arm64 orders='' stack='' template=.aws-sam/build/template.yaml remove='' parameters=()
while [ $# -gt 0 ]; do
  case $1 in
    --architecture | --parameter | --orders | --stack-name | --template | --remove) [ $# -gt 1 ] || refuse "$1 needs a value: see --help" ;;
  esac
  case $1 in
    --yes) yes=yes ;;
    --no-build) build='' ;;
    --architecture) architecture=$2; shift ;;
    --parameter) parameters+=("$2"); shift ;;
    --orders) orders=$2; shift ;;
    --stack-name) stack=$2; shift ;;
    --template) case $2 in /*) template=$2 ;; *) template=$called/$2 ;; esac; shift ;;
    --remove) remove=yes stack=$2; shift ;;
    --help | -h) usage; exit 0 ;;
    *) refuse "there is no option $1: see --help" ;;
  esac
  shift
done
case $architecture in arm64 | x86_64) ;; *) refuse "--architecture is arm64 or x86_64" ;; esac
most=5000
[ -z "${AWS_ENDPOINT_URL:-}" ] || most=2000
case ${orders:=$most} in *[!0-9]* | ??????*) refuse "--orders is a number from 100 to $most" ;; esac
if [ "$orders" -lt 100 ] || [ "$orders" -gt "$most" ]; then refuse "--orders is a number from 100 to $most"; fi
# It goes with what is built, so that one option says it for both.
case " ${parameters[*]-} " in *" Architecture="*) refuse "give the processor by --architecture" ;; esac
parameters+=("Architecture=$architecture")
[ -n "$stack" ] || stack=pruvan-bridge-try-$(od -An -N4 -tx1 /dev/urandom | tr -d ' \n')

for folder in "${DEPLOY_TOOLS:+$DEPLOY_TOOLS/sam/bin}" .venv/bin .venv-deploy/sam/bin "$(dirname "$(command -v sam || echo /none/sam)")"; do
  if [ -n "$folder" ] && [ -x "$folder/sam" ]; then tools=$folder; break; fi
done
[ -n "${tools:-}" ] || refuse "there is no SAM CLI: python3 -m venv .venv && .venv/bin/pip install -r infra/requirements.txt"
tools=$(cd "$tools" && pwd)
# Beside a SAM CLI that pip installed is the Python that it runs in; other installers hide theirs.
python=$tools/python
"$python" -c 'import boto3' 2>/dev/null || python=python3
"$python" -c 'import boto3' 2>/dev/null || refuse "$python has no boto3: put the SAM CLI into .venv by pip, as infra/docs/deploying.md says"
export PATH="$tools:$PATH" SAM_CLI_TELEMETRY=0 PYTHONDONTWRITEBYTECODE=1

# One region, for SAM, boto3 and the checks, which look at different variables.
AWS_REGION=${AWS_REGION:-${AWS_DEFAULT_REGION:-}}
[ -n "$AWS_REGION" ] || refuse "the environment has no region: export AWS_REGION=us-east-1, or another one"
export AWS_REGION AWS_DEFAULT_REGION=$AWS_REGION
if [ -z "${AWS_ACCESS_KEY_ID:-}" ] || [ -z "${AWS_SECRET_ACCESS_KEY:-}" ]; then
  # shellcheck disable=SC2016
  refuse 'the environment has no AWS credentials: eval "$(aws configure export-credentials --format env)"'
fi
if [ -z "${AWS_ENDPOINT_URL:-}" ]; then
  # Half of it would go to AWS, and the other half elsewhere.
  others=$(env | sed -n 's/^\(AWS_ENDPOINT_URL_[A-Z0-9_]*\)=..*/\1/p' | tr '\n' ' ')
  [ -z "$others" ] || refuse "the environment leads some of AWS's services elsewhere: unset $others"
fi
# Keys and lists are kept here, in a folder for this user alone.
work=$(mktemp -d)
tool() { "$python" tests/deploy/aws.py --work "$work" --stack "$stack" "$@"; }

made='' finished=''
clean_up() {
  status=$?
  # A second Ctrl-C, or a terminal that goes away, would leave half of it.
  trap '' INT TERM HUP PIPE
  if [ -n "$made" ]; then
    step "removing; this takes some minutes, and Ctrl-C doesn't end it" || true
    [ -n "$finished" ] || tool note "everything after that" "not run" "ended early, with exit code $status" || true
    tool remove ${remove:+--only} || [ $status -ne 0 ] || status=1
    tool table || [ $status -ne 0 ] || status=1
  fi
  rm -rf "$work"
  exit $status
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP
trap 'exit 141' PIPE

agreed() {
  if [ -n "$yes" ]; then return; fi
  [ -t 0 ] || refuse "this is no terminal to ask on: give --yes"
  read -r -p "Go on? (yes) " answer
  [ "$answer" = yes ] || refuse "nothing was done"
}
if [ -n "$remove" ]; then
  tool plan --remove
  agreed
  made=yes finished=yes
  exit 0
fi
tool plan --orders "$orders"
agreed

if [ -n "$build" ]; then
  step "sam build: ten minutes or more, the first time"
  if ! sam build --parameter-overrides "${parameters[@]}" >"$work/build.log" 2>&1; then
    tail -n 40 "$work/build.log"
    refuse "sam build failed: what it said is above"
  fi
fi
step "the checks' programs"
[ -n "${BIN_DIR:-}" ] || cargo build -q --locked -p checks || refuse "cargo build failed: what it said is above"
program() { # doctor or conformance, options
  local name=pruvan-$1; shift
  if [ -n "${BIN_DIR:-}" ]; then "$BIN_DIR/$name" "$@"; else cargo run -q --locked -p checks --bin "$name" -- "$@"; fi
}
tool ready --template "$template" --architecture "$architecture"

failed=''
# A check that doesn't hold doesn't keep the others from being made: each run on AWS is to show as much as it can.
check() { # name, command: shows and keeps what it prints, and notes what came of it
  local name=$1 status=0; shift
  "$@" 2>&1 | tool show "$work/$name.log" || status=$?
  tool judge "$name" "$work/$name.log" "$status" || failed=yes
}
# samconfig.toml is not for this: what it keeps, such as a domain name, belongs to the stack that is in use.
echo 'version = 0.1' >"$work/samconfig.toml"
deploy() { # check, further parameters
  local name=$1 since=$SECONDS; shift
  if sam deploy --stack-name "$stack" --region "$AWS_REGION" --template-file "$template" --config-file "$work/samconfig.toml" --resolve-s3 \
    --s3-prefix "$stack" --capabilities CAPABILITY_IAM --no-confirm-changeset --no-fail-on-empty-changeset --no-progressbar \
    --parameter-overrides "${parameters[@]}" "$@" >"$work/deploy.log" 2>&1; then
    tool note "$name" passed "$((SECONDS - since)) s"
  else
    tail -n 20 "$work/deploy.log"
    tool why "$name" || exit 1
  fi
}

step "sam deploy of $stack: about five minutes"
made=yes
deploy "sam deploy makes the stack"
tool gather || exit 1
pruvan=$(tool tell WebServiceUrl) host=$(tool tell HostUrl)

step "the round trip"
trip() { "$python" tests/deploy/round_trip.py --pruvan "$pruvan" --host "$host" --kept "$work/trip.json" "$@"; }
check "round trip" trip

step "doctor"
# ministack's APIs have other addresses than the outputs say.
if [ -n "${AWS_ENDPOINT_URL:-}" ]; then found=(--url "$pruvan" --host-url "$host"); else found=(--stack "$stack"); fi
check doctor program doctor "${found[@]}"

step "conformance"
# What was uploaded is read back by signed calls, which are made to API Gateway's own names only.
if [ -n "${AWS_ENDPOINT_URL:-}" ]; then back=(); else back=(--read-back "$host/accounts/conformance/uploads/{uuId}"); fi
if tool account conformance; then
  conformance() { PRUVAN_KEY=$(tool tell key:conformance) program conformance --url "$pruvan" --username conformance --watch 5 ${back[@]+"${back[@]}"}; }
  check conformance conformance
else
  failed=yes
fi

step "photos of 4.5, 5 and 11 MB"
if tool account try; then tool uploads || failed=yes; else failed=yes; fi

step "a pull of $orders orders"
if tool account pull; then tool pull --orders "$orders" || failed=yes; else failed=yes; fi

step "an update: about two minutes"
changes=(LogRetentionDays=14 OldVersionDays=60 RequestsPerSecond=50)
tool before
deploy "sam deploy updates the stack" "${changes[@]}"
tool after "${changes[@]}" || failed=yes
check "round trip, after the update" trip --again

step "how the functions did"
tool figures || failed=yes
finished=yes
[ -z "$failed" ] || exit 1
