"""Tests → what to ask of a program and what must hold of its answers. On the host; runs nothing of the program."""
