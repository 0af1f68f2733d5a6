"""OpenAI's completions API over HTTP; knows nothing of torch."""
