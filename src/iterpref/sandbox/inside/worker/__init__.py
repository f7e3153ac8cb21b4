"""The zygote's own business: the wire to the host, the watch over one run, the cheap fork."""
