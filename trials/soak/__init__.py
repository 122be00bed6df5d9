"""`make soak`: an hour of mixed traffic, and what the sidecar uses for it, minute by minute.

__main__.py     options; prints the table as it comes, writes it and a chart, fails on growth
play.py         the processes, what happens to them meanwhile, and a row for each interval
traffic.py      callers of every sort at once
growth.py       whether a series of readings grows; pure
report.py       rows, table, chart; pure
"""
