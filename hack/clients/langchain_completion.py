"""LangChain's OpenAI class against the adapter: whole, streamed and in a batch.

python langchain_completion.py http://127.0.0.1:8080/v1 KEY
"""

import sys

from langchain_openai import OpenAI

base_url, key = sys.argv[1:]
llm = OpenAI(base_url=base_url, api_key=key, model="openaisle/tiny-opt", max_tokens=24, temperature=0)

text = llm.invoke("Once upon a time")
print("invoke:", text)
print("stream:", "".join(llm.stream("Once upon a time")))
print("batch: ", llm.batch(["The fox", "The king"]))
