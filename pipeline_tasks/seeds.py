"""Seeds by hash, so that a pair does not depend on shard, worker or the order of work (METHODS section 0)."""

import hashlib


def derive_seed(run_seed: int, *parts: str | int) -> int:
    """Return a 63-bit seed for the thing named by `parts` in the run named by `run_seed`.

    The hash is BLAKE2b over the parts joined by NUL, so ("a", "bc") and ("ab", "c") differ. 63 bits fit torch's and
    Parquet's signed integers.
    """
    text = "\0".join(map(str, (run_seed, *parts)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1
