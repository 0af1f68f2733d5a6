#!/usr/bin/env python3
"""The openai package for Python: models, whole and streamed answers, scores, and its errors."""

import os

import openai

MODEL = os.environ["MODEL"]
client = openai.OpenAI()  # reads OPENAI_BASE_URL and OPENAI_API_KEY

print("models:", [model.id for model in client.models.list()], client.models.retrieve(MODEL).id)

answer = client.completions.create(model=MODEL, prompt="Once upon a time", max_tokens=24, temperature=0)
print("whole: ", answer.choices[0].text)

chunks = client.completions.create(
    model=MODEL, prompt="Once upon a time", max_tokens=24, temperature=0, stream=True
)
streamed = "".join(chunk.choices[0].text for chunk in chunks)
print("stream:", streamed)
assert streamed == answer.choices[0].text

scored = client.completions.create(
    model=MODEL, prompt="Once upon a time", max_tokens=0, echo=True, logprobs=1
)
logprobs = scored.choices[0].logprobs
print("scores:", list(zip(logprobs.tokens, logprobs.token_logprobs, strict=True)))
assert scored.choices[0].text == "Once upon a time"
assert logprobs.token_logprobs[0] is None

refusal = None
try:
    client.completions.create(model="no/such-model", prompt="Once")
except openai.NotFoundError as error:
    print("error: ", error.code, error.param, error.request_id)
    refusal = error.code
assert refusal == "model_not_found"
