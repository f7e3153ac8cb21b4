"""Build the second domain's coder from nothing: `python -m benchmarks.lab.objects.pretrain --output DIR --seed 0`.

The same code as the playground's coder, with another domain and other defaults: programs are three times as long.
"""

from benchmarks.lab.objects.domain import OBJECTS

from iterpref.playground.pretrain import Settings, main

DEFAULTS = Settings(conversations=28_000, puzzles=8_000, vocabulary=768)

if __name__ == "__main__":
    main(domain=OBJECTS, defaults=DEFAULTS)
