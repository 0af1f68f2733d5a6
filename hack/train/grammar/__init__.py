"""A story grammar: it tells an endless number of short, simple texts from one small world.

The texts beside this file hold the words, the phrases and one narrative structure each; see `story.py`.
"""
