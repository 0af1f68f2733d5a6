#!/usr/bin/env python3
"""LangChain's OpenAI class: whole, streamed, in a batch, and with a stop."""

import os

from langchain_openai import OpenAI

llm = OpenAI(model=os.environ["MODEL"], max_tokens=24, temperature=0)  # reads the address and the key

text = llm.invoke("Once upon a time")
print("invoke:", text)
streamed = "".join(llm.stream("Once upon a time"))
print("stream:", streamed)
batch = llm.batch(["The fox", "The king"])
print("batch: ", batch)
stopped = llm.invoke("Once upon a time", stop=["."])
print("stop:  ", stopped)

assert text
assert streamed == text
assert len(batch) == 2
assert "." not in stopped
