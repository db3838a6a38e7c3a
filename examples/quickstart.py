"""The openai SDK through isocost: nothing changes but the base URL.

make serve                      # in another terminal; the demo model answers when no upstream is set
python examples/quickstart.py   # needs: pip install openai
"""

import os

from openai import OpenAI
from openai.types.chat import ChatCompletionMessageParam

QUESTIONS = [
    "My name is Ada and my cat is called Schrödinger. Remember that.",
    "Name three things to see in Lisbon.",
    "What is my cat called?",
]


def main() -> None:
    """Chat for three turns, streaming, and print what isocost says about each."""
    client = OpenAI(
        base_url=os.environ.get("OPENAI_BASE_URL", "http://127.0.0.1:8400/v1"),
        api_key=os.environ.get("OPENAI_API_KEY", "unused"),
    )
    model = os.environ.get("MODEL", "demo")
    messages: list[ChatCompletionMessageParam] = [{"role": "system", "content": "You are a helpful assistant."}]
    for question in QUESTIONS:
        messages.append({"role": "user", "content": question})
        print(f"\n> {question}")
        answer = ""
        with client.chat.completions.with_streaming_response.create(
            model=model,
            messages=messages,
            stream=True,
            extra_headers={"x-isocost-mode": "compact"},  # from the first turn on, so that there is something to see
        ) as response:
            for chunk in response.parse():
                text = (chunk.choices[0].delta.content or "") if chunk.choices else ""
                print(text, end="", flush=True)
                answer += text
        messages.append({"role": "assistant", "content": answer})
        told = {name: value for name, value in response.headers.items() if name.startswith("x-isocost-")}
        print(f"\n  {told}")


if __name__ == "__main__":
    main()
