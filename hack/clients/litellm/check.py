#!/usr/bin/env python3
"""LiteLLM as a client: whole and streamed answers, and its errors."""

import os

import litellm

litellm.suppress_debug_info = True
wanted = {
    # The part before the first slash tells LiteLLM which API is spoken.
    "model": f"text-completion-openai/{os.environ['MODEL']}",
    "api_base": os.environ["OPENAI_BASE_URL"],
    "api_key": os.environ["OPENAI_API_KEY"],
    "prompt": "Once upon a time",
    "max_tokens": 24,
    "temperature": 0,
}

answer = litellm.text_completion(**wanted)
print("whole: ", answer.choices[0].text)
print("usage: ", answer.usage.prompt_tokens, answer.usage.completion_tokens)

streamed = "".join(chunk.choices[0].text or "" for chunk in litellm.text_completion(**wanted, stream=True))
print("stream:", streamed)
assert streamed == answer.choices[0].text

try:
    litellm.text_completion(**(wanted | {"model": "text-completion-openai/no/such-model"}), num_retries=0)
except litellm.NotFoundError as error:
    print("error: ", type(error).__name__, error.status_code)
else:
    raise AssertionError("a model that does not exist has answered")
