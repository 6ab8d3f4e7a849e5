package main

import (
	"bytes"
	"sort"
	"strings"
)

// Words of a file, counted piece by piece. Nothing here knows of a host.

type span struct {
	From uint64 `json:"from"`
	To   uint64 `json:"to"`
}

// At most count pieces of so many bytes, none of them empty.
func pieces(size, count uint64) []span {
	count = min(count, size)
	spans := make([]span, 0, count)
	for number := range count {
		spans = append(spans, span{size * number / count, size * (number + 1) / count})
	}
	return spans
}

func isSpace(b byte) bool { return b == ' ' || b >= '\t' && b <= '\r' }

// Where the first word begins that does not begin before the block, whose first byte lies before the piece.
func firstWord(block []byte) int {
	at := bytes.IndexFunc(block, func(r rune) bool { return r < 0x80 && isSpace(byte(r)) })
	if at < 0 {
		return len(block)
	}
	return at
}

// How much of a block holds whole words that begin before limit; nothing where a single word fills it. The last block ends with
// the file.
func wholeWords(block []byte, limit uint64, last bool) int {
	end := len(block)
	if !last {
		for end > 0 && !isSpace(block[end-1]) {
			end--
		}
	}
	if limit < uint64(end) {
		// The word that goes on beyond the limit is the last.
		for end = int(limit); end < len(block) && !isSpace(block[end-1]); end++ {
		}
	}
	return end
}

type counts map[string]int

// Adds how often each word occurs, in lower case as far as ASCII goes. A run of bytes that are no UTF-8 becomes U+FFFD.
func (c counts) add(block []byte) {
	found := map[string]int{}
	start := -1
	for at, b := range block {
		switch {
		case 'A' <= b && b <= 'Z':
			block[at] = b + 'a' - 'A'
			fallthrough
		case !isSpace(b):
			if start < 0 {
				start = at
			}
		case start >= 0:
			found[string(block[start:at])]++
			start = -1
		}
	}
	if start >= 0 {
		found[string(block[start:])]++
	}
	for word, times := range found {
		c[strings.ToValidUTF8(word, "\uFFFD")] += times
	}
}

func (c counts) total() (words int) {
	for _, times := range c {
		words += times
	}
	return words
}

// The words that hold something that was no UTF-8.
func (c counts) replaced() (words int) {
	for word := range c {
		if strings.ContainsRune(word, '\uFFFD') {
			words++
		}
	}
	return words
}

// The words that occur most, those that occur alike in the order of their bytes.
func (c counts) top(most int) [][2]any {
	words := make([]string, 0, len(c))
	for word := range c {
		words = append(words, word)
	}
	sort.Slice(words, func(i, j int) bool {
		if c[words[i]] != c[words[j]] {
			return c[words[i]] > c[words[j]]
		}
		return words[i] < words[j]
	})
	top := [][2]any{}
	for _, word := range words[:min(most, len(words))] {
		top = append(top, [2]any{word, c[word]})
	}
	return top
}
