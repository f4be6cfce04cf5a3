#!/usr/bin/env bash
# Builds what is deployed, for both processors, and looks at it:
#   tests/deploy/release.sh [ARCHITECTURE…]      arm64 and x86_64, unless told
#
# Each binary must run on Amazon Linux 2023 (glibc 2.34) and be a zip of at most 5 MB; where this machine can run them, each is
# started from its zip under Lambda's Runtime API. Needs Rust, pip, binutils and a quarter of an hour a processor.
set -euo pipefail
cd "$(dirname "$0")/../.."
tools=${DEPLOY_TOOLS:-$PWD/.venv-deploy}
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
export SAM_CLI_TELEMETRY=0
step() { printf '\n== %s (%ss)\n' "$1" "$SECONDS"; }

[ -x "$tools/sam/bin/sam" ] || { python3 -m venv "$tools/sam" && "$tools/sam/bin/pip" install -q -r infra/requirements.txt; }
export PATH="$tools/sam/bin:$PATH"
failed=0
megabytes() { awk "BEGIN { printf \"%.2f\", $1 / 1e6 }"; }
architectures=("$@"); [ $# -gt 0 ] || architectures=(x86_64 arm64)
for architecture in "${architectures[@]}"; do
  step "sam build for $architecture"
  target=${architecture/arm64/aarch64}-unknown-linux-gnu
  rustup target list --installed | grep -qx "$target" || rustup target add "$target"
  sam build --build-dir ".aws-sam/$architecture" --parameter-overrides "Architecture=$architecture" >"$work/build.log" 2>&1 \
    || { tail -n 40 "$work/build.log"; exit 1; }
  printf '%-26s %9s %9s %6s\n' "$architecture" binary zip glibc
  for binary in .aws-sam/"$architecture"/*/bootstrap; do
    function=$(basename "$(dirname "$binary")")
    python3 -c 'import sys, zipfile; zipfile.ZipFile(sys.argv[1], "w", zipfile.ZIP_DEFLATED).write(sys.argv[2], "bootstrap")' \
      "$work/$function.zip" "$binary"
    size=$(stat -c %s "$work/$function.zip")
    glibc=$(readelf --version-info "$binary" | grep -o 'GLIBC_[0-9.]*' | sort -Vu | tail -n 1); glibc=${glibc#GLIBC_}
    verdict=""
    [ "$size" -le 5000000 ] || verdict="  too large"
    [ "$(printf '%s\n2.34\n' "$glibc" | sort -V | tail -n 1)" = 2.34 ] || verdict="$verdict  asks for too new a glibc"
    [ -z "$verdict" ] || failed=1
    printf '%-26s %6s MB %6s MB %6s%s\n' "$function" "$(megabytes "$(stat -c %s "$binary")")" "$(megabytes "$size")" "$glibc" "$verdict"
  done
  [ "$target" = "$(uname -m)-unknown-linux-gnu" ] || continue

  step "each from its zip, under the Runtime API"
  # As the functions are built, so that a panic unwinds here if it does there.
  cargo lambda build --release --target "$target" --package tests --example panics >"$work/build.log" 2>&1 \
    || { tail -n 40 "$work/build.log"; exit 1; }
  mkdir -p "$work/zips/panics"; cp "$(find target/lambda -path '*panics/bootstrap' | head -n 1)" "$work/zips/panics/"
  for binary in .aws-sam/"$architecture"/*/bootstrap; do
    function=$(basename "$(dirname "$binary")")
    # OrdersFunction is the crate orders, GetWorkOrdersFunction is get-work-orders.
    crate=$(sed 's/Function$//; s/\(.\)\([A-Z]\)/\1-\2/g' <<<"$function" | tr '[:upper:]' '[:lower:]')
    python3 -m zipfile -e "$work/$function.zip" "$work/zips/$crate"; chmod +x "$work/zips/$crate/bootstrap"
  done
  FUNCTION_BINARIES="$work/zips" cargo test --locked -q --test integration -- binaries:: streaming::
done
[ $failed -eq 0 ] || exit 1
step "done"
