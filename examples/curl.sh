#!/usr/bin/env bash
# curl through isocost: first with the whole history, then as a thin client that sends only what is new.
set -euo pipefail

base=${ISOCOST_URL:-http://127.0.0.1:8400}
model=${MODEL:-demo}
key=${OPENAI_API_KEY:-unused}

chat() { # chat JSON [curl options]: the answer, with what isocost says about it
    local body=$1
    shift
    curl --fail-with-body --silent --show-error --dump-header - "$base/v1/chat/completions" \
        -H 'content-type: application/json' -H "authorization: Bearer $key" "$@" --data "$body" |
        grep -iE '^(HTTP|x-isocost-)|^\{'
    echo
}

echo "== is it there?"
curl --fail --silent --show-error "$base/healthz"
echo

echo "== the whole history, as every client sends it"
chat '{"model": "'"$model"'", "messages": [
    {"role": "user", "content": "The door code is 4711. Remember it."},
    {"role": "assistant", "content": "I will."},
    {"role": "user", "content": "What is the door code?"}]}'

echo "== only what is new: the conversation is named, isocost holds the rest"
conversation="curl-$(date +%s)"
chat '{"model": "'"$model"'", "messages": [{"role": "user", "content": "My train leaves at 17:42."}]}' \
    -H "x-isocost-conversation: $conversation"
chat '{"model": "'"$model"'", "messages": [{"role": "user", "content": "When does my train leave?"}]}' \
    -H "x-isocost-conversation: $conversation"
