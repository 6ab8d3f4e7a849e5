"""Words of a file, counted piece by piece. Nothing here knows of a host."""

from collections import Counter


def pieces(size: int, count: int) -> list[tuple[int, int]]:
    """Make at most `count` pieces of so many bytes, none of them empty: from and to."""
    count = min(count, size)
    return [(size * number // count, size * (number + 1) // count) for number in range(count)]


def first_word(block: bytes) -> int:
    """Find where the first word begins that does not begin before the block, whose first byte lies before the piece."""
    at = 0
    while at < len(block) and not block[at : at + 1].isspace():
        at += 1
    return at


def whole_words(block: bytes, limit: int, *, last: bool) -> int | None:
    """Say how much of a block holds whole words that begin before `limit`; nothing where a single word fills it.

    The `last` block ends with the file.
    """
    end = len(block)
    if not last:
        while end > 0 and not block[end - 1 : end].isspace():
            end -= 1
    if limit < end:
        # The word that goes on beyond the limit is the last.
        end = limit
        while end < len(block) and not block[end - 1 : end].isspace():
            end += 1
    return end or None


def count(block: bytes) -> Counter[str]:
    """Count how often each word occurs, in lower case as far as ASCII goes. Bytes that are no UTF-8 become U+FFFD."""
    counts: Counter[str] = Counter()
    for word, times in Counter(block.lower().split()).items():
        counts[word.decode(errors="replace")] += times
    return counts


def top(counts: Counter[str], most: int) -> list[tuple[str, int]]:
    """List the words that occur most, those that occur alike in the order of their bytes."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0].encode()))[:most]
