package main

import (
	"maps"
	"math/rand"
	"reflect"
	"testing"
)

// Counts as the plugin does, with blocks of so many bytes.
func countInPieces(text []byte, most uint64, block int) counts {
	read := func(from uint64) []byte {
		return append([]byte(nil), text[from:min(from+uint64(block), uint64(len(text)))]...)
	}
	counted := counts{}
	for _, piece := range pieces(uint64(len(text)), most) {
		at := piece.From
		if at > 0 {
			at += uint64(firstWord(read(at-1))) - 1
		}
		for at < piece.To {
			data := read(at)
			whole := wholeWords(data, piece.To-at, at+uint64(len(data)) == uint64(len(text)))
			if whole == 0 {
				whole = len(data)
			}
			counted.add(data[:whole])
			at += uint64(whole)
		}
	}
	return counted
}

func TestPiecesCoverTheFileAndNoneIsEmpty(t *testing.T) {
	for _, size := range []uint64{0, 1, 3, 10, 1 << 40} {
		for _, most := range []uint64{1, 3, 7} {
			end := uint64(0)
			spans := pieces(size, most)
			for _, span := range spans {
				if span.From != end || span.To <= span.From {
					t.Errorf("%d in %d: %v", size, most, spans)
				}
				end = span.To
			}
			if end != size || uint64(len(spans)) != min(size, most) {
				t.Errorf("%d in %d: %v", size, most, spans)
			}
		}
	}
}

func TestAWordBelongsToThePieceThatItBeginsIn(t *testing.T) {
	dice := rand.New(rand.NewSource(7))
	for range 300 {
		text := make([]byte, dice.Intn(80))
		for at := range text {
			text[at] = "abC \n\xc3\xa9"[dice.Intn(7)]
		}
		whole := counts{}
		whole.add(append([]byte(nil), text...))
		for _, most := range []uint64{1, 2, 5} {
			if found := countInPieces(text, most, 100); !maps.Equal(found, whole) {
				t.Errorf("%q in %d: %v, not %v", text, most, found, whole)
			}
		}
	}
}

func TestAWordThatFillsABlockIsToldApart(t *testing.T) {
	for _, test := range []struct {
		block string
		limit uint64
		last  bool
		whole int
	}{
		{"abcdef", 100, false, 0}, {"abcdef", 100, true, 6}, {"abc def", 100, false, 4}, {"abc def gh", 5, false, 8}, {"", 1, true, 0},
	} {
		if whole := wholeWords([]byte(test.block), test.limit, test.last); whole != test.whole {
			t.Errorf("%v: %d", test, whole)
		}
	}
}

func TestOnlyASCIIIsPutInLowerCase(t *testing.T) {
	found := counts{}
	found.add([]byte("Ab AB \u00c4 \xff \xfe"))
	if !maps.Equal(found, counts{"ab": 2, "\u00c4": 1, "\uFFFD": 2}) {
		t.Errorf("%v", found)
	}
	if found.total() != 5 || found.replaced() != 1 {
		t.Errorf("%d %d", found.total(), found.replaced())
	}
}

func TestTheTopIsByNumberThenByBytes(t *testing.T) {
	found := counts{"\U0001f6a2": 2, "\uffee": 2, "b": 2, "a": 3}
	if top := found.top(3); !reflect.DeepEqual(top, [][2]any{{"a", 3}, {"b", 2}, {"\uffee", 2}}) {
		t.Errorf("%v", top)
	}
	if top := found.top(0); len(top) != 0 {
		t.Errorf("%v", top)
	}
}
