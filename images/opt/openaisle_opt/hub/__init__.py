"""Models from the Hugging Face Hub, or a mirror of it, into a folder that other programs can use too.

settings.py   HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE and the folder
client.py     the two questions that a download asks: what is there, and a file from some byte on
patience.py   how often a question is asked again
download.py   one file, whole and checked
cache.py      where files lie
lock.py       one program fetches a model, the others wait for it
snapshot.py   a model: all of the above
"""
