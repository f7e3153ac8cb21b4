"""What the rungs are built of: system calls, the call filter, the file tree, resource limits, processes."""
