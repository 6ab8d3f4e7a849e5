"""Words are counted alike, however the file is cut."""

import random
import unittest
from collections import Counter

from words import count, first_word, pieces, top, whole_words


def count_in_pieces(text: bytes, most: int, block: int) -> Counter[str]:
    """Count as the plugin does, with blocks of so many bytes."""
    counts: Counter[str] = Counter()
    for start, end in pieces(len(text), most):
        at = start and start - 1 + first_word(text[start - 1 : start - 1 + block])
        while at < end:
            part = text[at : at + block]
            whole = whole_words(part, end - at, last=at + len(part) == len(text)) or len(part)
            counts.update(count(part[:whole]))
            at += whole
    return counts


class Words(unittest.TestCase):
    def test_pieces_cover_the_file_and_none_is_empty(self):
        for size in (0, 1, 3, 10, 1 << 40):
            for most in (1, 3, 7):
                parts = pieces(size, most)
                self.assertEqual(len(parts), min(size, most))
                edges = [edge for part in parts for edge in part]
                self.assertEqual(edges[1:-1:2], edges[2::2])
                self.assertTrue(all(start < end for start, end in parts))
                self.assertEqual((edges[:1], edges[-1:]), ([0], [size]) if size else ([], []))

    def test_a_word_belongs_to_the_piece_that_it_begins_in(self):
        dice = random.Random(7)
        for _ in range(300):
            text = bytes(dice.choice(b"abC \n\xc3\xa9") for _ in range(dice.randrange(80)))
            whole = count(text)
            for most in (1, 2, 5):
                self.assertEqual(count_in_pieces(text, most, 100), whole, (text, most))

    def test_a_word_that_fills_a_block_is_told_apart(self):
        self.assertIsNone(whole_words(b"abcdef", 100, last=False))
        self.assertEqual(whole_words(b"abcdef", 100, last=True), 6)
        self.assertEqual(whole_words(b"abc def", 100, last=False), 4)
        self.assertEqual(whole_words(b"abc def gh", 5, last=False), 8)

    def test_only_ascii_is_put_in_lower_case(self):
        self.assertEqual(count(b"Ab AB \xc3\x84 \xff \xff"), {"ab": 2, "\u00c4": 1, "\ufffd": 2})

    def test_the_top_is_by_number_then_by_bytes(self):
        counts = Counter({"\U0001f6a2": 2, "\uffee": 2, "b": 2, "a": 3})
        self.assertEqual(top(counts, 3), [("a", 3), ("b", 2), ("\uffee", 2)])
        self.assertEqual(top(counts, 0), [])


if __name__ == "__main__":
    unittest.main()
