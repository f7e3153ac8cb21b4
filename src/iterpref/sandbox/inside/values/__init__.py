"""What travels between the host and a run: requests, values exactly, and what stands for those that can't."""
