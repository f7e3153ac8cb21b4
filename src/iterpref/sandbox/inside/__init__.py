"""What runs beside an untrusted program: the only folder of this package that a run can see.

Standard library only. The worker's interpreter loads this folder as a package of its own (worker/boot.py), without the
rest of iterpref; the host imports from it only what both sides must agree on.
"""
