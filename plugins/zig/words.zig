//! Words of a file, counted piece by piece. Nothing here knows of a host but for its memory.

const std = @import("std");
const bulkhead = @import("bulkhead.zig");
const allocator = bulkhead.allocator;

/// A part of the file.
pub const Piece = struct { from: u64, to: u64 };

/// One of at most `count` pieces of so many bytes.
pub fn piece(size: u64, count: u64, number: u64) Piece {
    return .{ .from = size * number / count, .to = size * (number + 1) / count };
}

/// Where the first word begins that does not begin before the block, whose first byte lies before the piece.
pub fn firstWord(block: []const u8) usize {
    for (block, 0..) |byte, at| if (std.ascii.isWhitespace(byte)) return at;
    return block.len;
}

/// How much of a block holds whole words that begin before `limit`; 0 where a single word fills it. The `last` block ends with the
/// file.
pub fn wholeWords(block: []const u8, limit: u64, last: bool) usize {
    var end = block.len;
    if (!last) while (end > 0 and !std.ascii.isWhitespace(block[end - 1])) {
        end -= 1;
    };
    if (limit < end) {
        // The word that goes on beyond the limit is the last.
        end = @intCast(limit);
        while (end < block.len and !std.ascii.isWhitespace(block[end - 1])) end += 1;
    }
    return end;
}

/// A word and how often it occurs.
pub const Entry = struct {
    word: []const u8,
    times: u64,

    /// As the output and the checkpoint hold it.
    pub fn jsonStringify(entry: Entry, out: anytype) !void {
        try out.write(.{ entry.word, entry.times });
    }

    pub fn jsonParse(gpa: std.mem.Allocator, source: anytype, options: std.json.ParseOptions) !Entry {
        const word, const times = try std.json.innerParse(struct { []const u8, u64 }, gpa, source, options);
        return .{ .word = word, .times = times };
    }

    /// The words that occur most come first, those that occur alike in the order of their bytes.
    fn before(_: void, one: Entry, other: Entry) bool {
        if (one.times != other.times) return one.times > other.times;
        return std.mem.lessThan(u8, one.word, other.word);
    }
};

/// How often words occur.
pub const Counts = struct {
    words: std.StringHashMapUnmanaged(u64) = .empty,
    total: u64 = 0,

    /// Adds a word so many times. What is no UTF-8 in it becomes U+FFFD.
    pub fn add(counts: *Counts, word: []const u8, times: u64) !void {
        const valid = try bulkhead.utf8(word);
        const found = try counts.words.getOrPut(bulkhead.heap, valid);
        if (!found.found_existing) {
            found.key_ptr.* = try allocator.dupe(u8, valid);
            found.value_ptr.* = 0;
        }
        found.value_ptr.* += times;
        counts.total += times;
    }

    /// Adds the words of a block, in lower case as far as ASCII goes.
    pub fn addBlock(counts: *Counts, block: []u8) !void {
        for (block) |*byte| byte.* = std.ascii.toLower(byte.*);
        var words = std.mem.tokenizeAny(u8, block, &std.ascii.whitespace);
        while (words.next()) |word| try counts.add(word, 1);
    }

    /// All entries in their order. The next call overwrites them.
    pub fn sorted(counts: *const Counts) ![]Entry {
        const count = counts.words.count();
        if (room.len < count) room = try allocator.alloc(Entry, 2 * count);
        var words = counts.words.iterator();
        var at: usize = 0;
        while (words.next()) |entry| : (at += 1) room[at] = .{ .word = entry.key_ptr.*, .times = entry.value_ptr.* };
        std.mem.sortUnstable(Entry, room[0..at], {}, Entry.before);
        return room[0..at];
    }

    var room: []Entry = &.{};

    /// How many words hold something that was no UTF-8.
    pub fn replaced(counts: *const Counts) u64 {
        var found: u64 = 0;
        var words = counts.words.keyIterator();
        while (words.next()) |word| {
            if (std.mem.find(u8, word.*, "\u{fffd}") != null) found += 1;
        }
        return found;
    }
};

const testing = std.testing;

/// Counts as the plugin does, with blocks of so many bytes.
fn countInPieces(text: []const u8, most: u64, block: usize) !Counts {
    var counts: Counts = .{};
    const count = @min(most, text.len);
    for (0..count) |number| {
        const part = piece(text.len, count, number);
        var at: usize = part.from;
        if (at > 0) at = at - 1 + firstWord(text[at - 1 .. @min(at - 1 + block, text.len)]);
        while (at < part.to) {
            const data = try allocator.dupe(u8, text[at..@min(at + block, text.len)]);
            var whole = wholeWords(data, part.to - at, at + data.len == text.len);
            if (whole == 0) whole = data.len;
            try counts.addBlock(data[0..whole]);
            at += whole;
        }
    }
    return counts;
}

fn expectSame(expected: *const Counts, found: *const Counts) !void {
    try testing.expectEqual(expected.words.count(), found.words.count());
    var words = expected.words.iterator();
    while (words.next()) |entry| try testing.expectEqual(entry.value_ptr.*, found.words.get(entry.key_ptr.*));
}

test "a word belongs to the piece that it begins in" {
    var dice: std.Random.DefaultPrng = .init(7);
    var bytes: [80]u8 = undefined;
    for (0..300) |_| {
        const text = bytes[0..dice.random().uintAtMost(usize, bytes.len)];
        for (text) |*byte| byte.* = "abC \n\xc3\xa9"[dice.random().uintLessThan(usize, 7)];
        var whole: Counts = .{};
        try whole.addBlock(try allocator.dupe(u8, text));
        for ([_]u64{ 1, 2, 5 }) |most| try expectSame(&whole, &try countInPieces(text, most, 100));
    }
}

test "a word that fills a block is told apart" {
    try testing.expectEqual(0, wholeWords("abcdef", 100, false));
    try testing.expectEqual(6, wholeWords("abcdef", 100, true));
    try testing.expectEqual(4, wholeWords("abc def", 100, false));
    try testing.expectEqual(8, wholeWords("abc def gh", 5, false));
}

test "only ASCII is put in lower case, and the top is by number, then by bytes" {
    var counts: Counts = .{};
    var text = "Ab AB \u{1f6a2} Ä \xff \xfe".*;
    try counts.addBlock(&text);
    try testing.expectEqual(6, counts.total);
    try testing.expectEqual(1, counts.replaced());
    const entries = try counts.sorted();
    const expected = [_][]const u8{ "ab", "\u{fffd}", "Ä", "\u{1f6a2}" };
    try testing.expectEqual(expected.len, entries.len);
    for (expected, entries) |word, entry| try testing.expectEqualStrings(word, entry.word);
}

test "entries survive the way through JSON" {
    const json = try std.json.Stringify.valueAlloc(allocator, @as([]const Entry, &.{.{ .word = "a\"⚓", .times = 1 << 60 }}), .{});
    try testing.expectEqualStrings("[[\"a\\\"⚓\",1152921504606846976]]", json);
    const read = try std.json.parseFromSliceLeaky([]const Entry, allocator, json, .{});
    try testing.expectEqualStrings("a\"⚓", read[0].word);
}
