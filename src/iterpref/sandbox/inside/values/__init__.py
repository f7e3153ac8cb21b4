"""Values as they travel between a run and the host, exactly, and what stands for those that can't."""
