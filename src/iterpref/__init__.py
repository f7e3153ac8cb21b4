"""IterPref: teach code LLMs from their own debugging (arXiv:2503.02783).

Start with `pipeline.py`; `records.py` holds the nouns.
"""

__version__ = "0.1.0.dev0"
