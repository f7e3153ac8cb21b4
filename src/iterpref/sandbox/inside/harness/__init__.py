"""In the run's process: load the program, make the calls or run the tests, report."""
