"""What the exit codes mean, for `--help`; errors in `mmsearch.errors` carry the same numbers."""

DIFFERENT = 10
MEANINGS = {
    0: "done",
    1: "unexpected error",
    2: "bad usage, setting or input",
    3: "store or item not found",
    4: "embeddings of another model, or a damaged or locked store",
    5: "missing dependency or model",
    6: "done, but items failed (with --strict)",
    DIFFERENT: "the images differ",
    130: "interrupted with Ctrl-C",
}
_COMMON = (0, 1, 2, 130)


def exit_codes(*codes: int, failed: str = "") -> str:
    """Returns the last sentence of a command's help. codes: beside those that all commands have.

    failed: what exit code 1 means, if not an unexpected error.
    """
    meanings = {**MEANINGS, 1: failed or MEANINGS[1]}
    texts = [f"{code} {meanings[code]}" for code in sorted({*_COMMON, *codes})]
    return f"Exit codes: {'; '.join(texts)}."
