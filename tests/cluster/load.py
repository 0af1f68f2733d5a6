"""Asks for completions until its input ends; each line that it prints is what an answer was: 200, or what was
wrong.

Runs in a pod as `python3 -c ... HOST KEY MODEL CLIENTS`, half of the clients streaming. Each request has a
connection of its own, so that each finds a gateway through the Service.
"""

import http.client
import json
import sys
import threading
import time

host, key, model, clients = sys.argv[1:]
stop = threading.Event()


def ask(streamed: bool) -> str:
    body = {
        "model": model,
        "prompt": "Once upon a time",
        "max_tokens": 16,
        "temperature": 0,
        "stream": streamed,
    }
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    connection = http.client.HTTPConnection(host, timeout=120)
    try:
        connection.request("POST", "/v1/completions", json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read().decode()
    except (OSError, http.client.HTTPException) as error:
        return repr(error)
    finally:
        connection.close()
    whole = not streamed or text.rstrip().endswith("data: [DONE]")
    return "200" if answer.status == 200 and whole else json.dumps(text)


def ask_on(streamed: bool) -> None:
    while not stop.is_set():
        # In one piece with its end, or two lines of two threads may run into each other.
        print(ask(streamed) + "\n", end="", flush=True)
        time.sleep(0.1)


threads = [threading.Thread(target=ask_on, args=(number % 2 == 1,)) for number in range(int(clients))]
for thread in threads:
    thread.start()
sys.stdin.read()
stop.set()
