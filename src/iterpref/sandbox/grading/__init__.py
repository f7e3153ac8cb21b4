"""How a run ended and what it claims → an Execution. On the host; believes nothing that it didn't check."""
