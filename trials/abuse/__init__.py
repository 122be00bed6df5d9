"""`make abuse`: thousands of callers that only take up room, and what the others notice of them.

__main__.py     options, descriptors; prints the rounds, fails with what is not as it should be
play.py         the rounds, on one real sidecar
crowd.py        a crowd of one kind, in a process of its own: idle, slow heads, slow readers, slow senders
healthy.py      the callers that deserve an answer, and how long it took
report.py       rows, verdicts; pure
"""
