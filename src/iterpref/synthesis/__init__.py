"""Seeds → Task: features and drafts of a teacher model; and how far the tests of any task can be trusted."""
