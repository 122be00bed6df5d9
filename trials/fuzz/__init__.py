"""`make fuzz`: coverage-guided fuzzing (atheris) of every piece that reads bytes from outside.

    __main__.py     options; each target in a process of its own, two at a time; a line for each
    engine.py       one target under atheris, in this process: `python -m trials.fuzz.engine TARGET …`
    corpus.py       the inputs in the repository, by target
    targets/        one file a target: what it feeds to which piece, and the oracle in words and in code
    wires.py        connections without sockets, for the targets that need a whole side of the sidecar
    corpus/         inputs that mean something, and every one that ever found a fault; dictionaries/ beside it

A target is a function of bytes that returns when all is well and raises when it is not. It needs no atheris, so
that `make test` runs every input of the corpus through it. What a fuzzer finds is mended in `proxy`, with a test
there, and its input stays in the corpus.
"""
