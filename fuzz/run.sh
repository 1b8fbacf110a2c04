#!/usr/bin/env bash
# Fuzzes each target for so many seconds: `fuzz/run.sh [SECONDS [TARGET...]]`, 60 s and all of them
# if nothing is said. Without cargo-fuzz and a nightly toolchain it runs more mutations than the
# test does instead, on the toolchain that is there, and says so.
set -euo pipefail
cd "$(dirname "$0")"
seconds=${1:-60}
[ $# -eq 0 ] || shift
all=(frames plans protobuf literals msgpack json paths packages)
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=("${all[@]}")
if cargo +nightly --version > /dev/null 2>&1 && cargo +nightly fuzz --version > /dev/null 2>&1; then
    # What people and programs write is where to begin.
    (cd .. && cargo run --quiet -p flyte-tests --bin mutations -- --corpus fuzz/corpus)
    for target in "${targets[@]}"; do
        cargo +nightly fuzz run "$target" -- -max_total_time="$seconds" -max_len=65536
    done
else
    echo "fuzz/run.sh: there is no nightly toolchain with cargo-fuzz (cargo install cargo-fuzz):" \
        "running seeded mutations instead" >&2
    cd ..
    cargo run --release -p flyte-tests --bin mutations -- --seconds "$seconds" "${targets[@]}"
fi
