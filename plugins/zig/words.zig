//! Words of a file, counted piece by piece. Nothing here knows of a host but for its memory.

const std = @import("std");
const allocator = @import("bulkhead.zig").allocator;

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
        const valid = if (std.unicode.utf8ValidateSlice(word)) word else try allocator.print("{f}", .{std.unicode.fmtUtf8(word)});
        const found = try counts.words.getOrPut(std.heap.wasm_allocator, valid);
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
