//! Counts the words of a file that the run was started with, a piece a task.

const std = @import("std");
const bulkhead = @import("bulkhead.zig");
const words = @import("words.zig");
const drills = @import("drill.zig");

/// What is read at once, in bytes; a longer word is cut there.
const block_len = 256 << 10;

comptime {
    bulkhead.plugin(Words);
}
pub const panic = bulkhead.panic_handler;

const Words = struct {
    pub const description: bulkhead.Description = .{
        .name = "zig",
        .version = "0.1.0",
        .summary = "Counts the words of a file, a piece a task; written in Zig.",
        .schema =
        \\{
        \\  "type": "object",
        \\  "additionalProperties": false,
        \\  "properties": {
        \\    "file": {"type": "string", "default": "text", "description": "The run's file whose words are counted."},
        \\    "pieces": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 4, "description": "The tasks that share it."},
        \\    "top": {"type": "integer", "minimum": 0, "maximum": 100, "default": 10, "description": "The words that are listed."},
        \\    "drill": {
        \\      "enum": ["none", "panic", "error", "memory", "loop", "recursion", "sleep", "cancel", "retry"], "default": "none",
        \\      "description": "What each task does wrong, to see what comes of it."
        \\    }
        \\  }
        \\}
        ,
    };

    pub const Config = struct { file: []const u8 = "text", pieces: u64 = 4, top: usize = 10, drill: drills.Mode = .none };
    pub const Input = words.Piece;
    const Step = bulkhead.Step(Config);
    const Checkpoint = struct { at: u64, counts: []const words.Entry };
    const Output = struct { bytes: u64, words: u64, distinct: u64, top: []const words.Entry };

    pub fn plan(step: Step) !void {
        const file = try open(step.config.file);
        const count: usize = @intCast(@min(step.config.pieces, file.size));
        const keys = try bulkhead.allocator.alloc([]const u8, count);
        const pieces = try bulkhead.allocator.alloc(words.Piece, count);
        for (keys, pieces, 0..) |*key, *piece, number| {
            key.* = try bulkhead.allocator.print("piece-{d}", .{number + 1});
            piece.* = words.piece(file.size, count, number);
        }
        try bulkhead.spawn(words.Piece, keys, pieces);
        try bulkhead.log(.info, "planned", .{ .pieces = count, .bytes = file.size });
    }

    pub fn run(step: Step, task: bulkhead.Task(Input)) !Output {
        const from, const to = .{ task.input.from, task.input.to };
        bulkhead.progress(0, to - from);
        try drills.drill(step.config.drill);
        const file = try open(step.config.file);
        var counts: words.Counts = .{};
        var at = from;
        if (try bulkhead.loadCheckpoint(Checkpoint)) |kept| {
            at = kept.at;
            for (kept.counts) |entry| try counts.add(entry.word, entry.times);
            try bulkhead.log(.info, "going on from a checkpoint", .{ .at = at });
        } else if (from > 0) {
            at = from - 1 + words.firstWord(try file.read(from - 1, block_len));
        }
        while (at < to) {
            if (bulkhead.cancelled()) return bulkhead.fail("cancelled at byte {d}", .{at});
            const block = try file.read(at, block_len);
            var whole = words.wholeWords(block, to - at, at + block.len == file.size);
            if (whole == 0) {
                try bulkhead.log(.warn, "a word is longer than a block", .{ .at = at, .block = block_len });
                whole = block.len;
            }
            try counts.addBlock(block[0..whole]);
            at += whole;
            bulkhead.progress(@min(at, to) - from, to - from);
            try bulkhead.saveCheckpoint(Checkpoint{ .at = at, .counts = try counts.sorted() });
            try bulkhead.log(.debug, "block counted", .{ .at = at, .words = counts.total });
            if (step.config.drill == .retry and step.attempt == 1) {
                return bulkhead.failForNow("the drill: the first attempt fails", .{});
            }
        }
        const replaced = counts.replaced();
        if (replaced > 0) try bulkhead.log(.warn, "not all of it is UTF-8", .{ .replaced = replaced });
        const all = try counts.sorted();
        try bulkhead.log(.info, "counted", .{ .words = counts.total, .distinct = all.len });
        return .{ .bytes = to - from, .words = counts.total, .distinct = all.len, .top = all[0..@min(step.config.top, all.len)] };
    }

    fn open(name: []const u8) !bulkhead.File {
        return bulkhead.File.open(name) catch |cause| switch (cause) {
            error.NotFound => bulkhead.fail("the run has no file `{s}`: start it with --file {s}=PATH", .{ name, name }),
            else => cause,
        };
    }
};
