//! Bulkhead plugins in Zig: the contract by hand, as wit/0.1.0/abi.md lays it out.
//!
//!     const Greet = struct {
//!         pub const description: bulkhead.Description = .{ .name = "greet", … };
//!         pub const Config = struct { names: []const []const u8 };
//!         pub const Input = struct { name: []const u8 };
//!         pub fn plan(step: bulkhead.Step(Config)) !void { … try bulkhead.spawn(Input, keys, inputs); }
//!         pub fn run(step: bulkhead.Step(Config), task: bulkhead.Task(Input)) !Output { … }
//!     };
//!     comptime { bulkhead.plugin(Greet); }
//!     pub const panic = bulkhead.panic_handler;
//!
//! `fail` and `failForNow` make the plugin's own failures. Any other error is a final failure by its name; running out of memory is
//! a panic. Memory is never freed: the host calls one function of an instance and lets the instance go.

const std = @import("std");

/// Tests run without a host, on any machine.
const in_test = @import("builtin").is_test;

/// Memory to give back.
pub const heap = if (in_test) std.heap.page_allocator else std.heap.wasm_allocator;

var arena: std.heap.ArenaAllocator = .init(heap);

/// Memory for as long as the call goes on.
pub const allocator: std.mem.Allocator = .{ .ptr = &arena, .vtable = &.{
    .alloc = alloc,
    .resize = std.mem.Allocator.noResize,
    .remap = std.mem.Allocator.noRemap,
    .free = std.mem.Allocator.noFree,
} };

fn alloc(_: *anyopaque, len: usize, alignment: std.mem.Alignment, address: usize) ?[*]u8 {
    return arena.allocator().rawAlloc(len, alignment, address);
}

/// What a plugin says of itself.
pub const Description = struct { name: []const u8, version: []const u8, summary: []const u8, schema: []const u8 };

/// The step that a call works for, with its configuration.
pub fn Step(comptime Config: type) type {
    return struct { run: []const u8, name: []const u8, attempt: u32, config: Config, parameters: []const u8 };
}

/// One task, with its input.
pub fn Task(comptime Input: type) type {
    return struct { id: []const u8, key: []const u8, input: Input };
}

/// Why a call did not do what it should. `Failed` has a message of its own.
pub const Error = error{ Failed, NotFound, NotADependency, Invalid, TooLarge, Quota, Cancelled, Unavailable, OutOfMemory };

var failure: struct { message: []const u8 = "", retryable: bool = false } = .{};

/// A final failure.
pub fn fail(comptime format: []const u8, arguments: anytype) Error {
    failure = .{ .message = try allocator.print(format, arguments) };
    return error.Failed;
}

/// A failure that another attempt may not have.
pub fn failForNow(comptime format: []const u8, arguments: anytype) Error {
    failure = .{ .message = try allocator.print(format, arguments), .retryable = true };
    return error.Failed;
}

/// Ends the task with the cause `panic`, a place (`@src()`) and a message.
pub fn panic(place: std.builtin.SourceLocation, comptime format: []const u8, arguments: anytype) noreturn {
    var buffer: [1024]u8 = undefined;
    var writer: std.Io.Writer = .fixed(&buffer);
    // What does not fit is cut.
    writer.print("panicked at {s}:{d}: " ++ format ++ "\n", .{ place.file, place.line } ++ arguments) catch {};
    die(writer.buffered());
}

/// What Zig's own panics do; where they are, only the backtrace tells.
pub const panic_handler = std.debug.FullPanic(struct {
    fn call(message: []const u8, _: ?usize) noreturn {
        var buffer: [1024]u8 = undefined;
        var writer: std.Io.Writer = .fixed(&buffer);
        writer.print("thread 1 panic: {s}\n", .{message}) catch {};
        die(writer.buffered());
    }
}.call);

fn die(words: []const u8) noreturn {
    if (in_test) @panic(words);
    var written: usize = 0;
    _ = preview1.fd_write(2, &.{.{ .at = words.ptr, .len = words.len }}, 1, &written);
    @trap();
}

// ---- the host's functions

const log_write = @extern(*const fn (u32, [*]const u8, usize, [*]const u8, usize) callconv(.c) void, .{ .library_name = "bulkhead:plugin/log@0.1.0", .name = "write" });

const status = struct {
    extern "bulkhead:plugin/status@0.1.0" fn progress(done: u64, has_total: u32, total: u64) void;
    extern "bulkhead:plugin/status@0.1.0" fn cancelled() u32;
};
const tasks = struct {
    extern "bulkhead:plugin/tasks@0.1.0" fn spawn(specs: [*]const Spec, count: usize, ret: *Answer) void;
};
const checkpoint = struct {
    extern "bulkhead:plugin/checkpoint@0.1.0" fn save(data: [*]const u8, len: usize, ret: *Answer) void;
    extern "bulkhead:plugin/checkpoint@0.1.0" fn load(ret: *Answer) void;
};
const artifacts = struct {
    extern "bulkhead:plugin/artifacts@0.1.0" fn find(source: u32, step: usize, step_len: usize, task: u32, name: [*]const u8, len: usize, ret: *Answer) void;
    extern "bulkhead:plugin/artifacts@0.1.0" fn read(source: u32, step: usize, step_len: usize, task: u32, name: [*]const u8, len: usize, offset: u64, most: u32, ret: *Answer) void;
};
/// Of the older WASI, what a plugin without a C library needs.
const preview1 = struct {
    const Part = extern struct { at: [*]const u8, len: usize };
    extern "wasi_snapshot_preview1" fn fd_write(fd: u32, parts: [*]const Part, count: usize, written: *usize) u32;
    extern "wasi_snapshot_preview1" fn poll_oneoff(in: *const [48]u8, out: *[32]u8, count: usize, events: *usize) u32;
};

const Text = extern struct {
    at: [*]const u8,
    len: usize,

    fn of(text: []const u8) Text {
        return .{ .at = text.ptr, .len = text.len };
    }

    fn slice(text: Text) []const u8 {
        return text.at[0..text.len];
    }
};

const Spec = extern struct { key: Text, input: Text };

/// What a function of the host returns.
const Answer = extern union {
    byte: [40]u8,
    word: [10]u32,
    wide: [5]u64,

    fn text(answer: *const Answer, at: usize) []const u8 {
        const address = answer.word[at / 4];
        return if (address == 0) "" else @as([*]const u8, @ptrFromInt(address))[0..answer.word[at / 4 + 1]];
    }

    fn check(answer: *const Answer, at: usize, comptime kinds: []const Error) Error!void {
        if (answer.byte[0] == 0) return;
        return switch (answer.byte[at]) {
            inline 0...kinds.len - 1 => |number| kinds[number],
            else => unreachable,
        };
    }
};

pub const Level = enum(u32) { debug, info, warn, err };

/// Writes a line; the members of `fields` are its fields.
pub fn log(level: Level, message: []const u8, fields: anytype) Error!void {
    const text = try utf8(message);
    const json = try fieldsOf(fields);
    log_write(@backingInt(level), text.ptr, text.len, json.ptr, json.len);
}

/// Fields as a JSON object; nothing where there are none.
fn fieldsOf(fields: anytype) Error![]const u8 {
    const json = try std.json.Stringify.valueAlloc(allocator, fields, .{});
    return if (json.len <= 2) "" else json;
}

/// The text with U+FFFD for what is no UTF-8 in it: what the host takes as a text must be.
pub fn utf8(text: []const u8) Error![]const u8 {
    if (std.unicode.utf8ValidateSlice(text)) return text;
    return allocator.print("{f}", .{std.unicode.fmtUtf8(text)});
}

/// Says how far the task is.
pub fn progress(done: u64, total: u64) void {
    status.progress(done, 1, total);
}

/// Whether the task is to end.
pub fn cancelled() bool {
    return status.cancelled() != 0;
}

/// Waits for so many milliseconds.
pub fn sleep(milliseconds: u64) void {
    // A subscription to the monotonic clock.
    var subscription: [48]u8 = @splat(0);
    std.mem.writeInt(u32, subscription[16..20], 1, .little);
    std.mem.writeInt(u64, subscription[24..32], milliseconds * 1_000_000, .little);
    var event: [32]u8 = undefined;
    var count: usize = 0;
    _ = preview1.poll_oneoff(&subscription, &event, 1, &count);
}

/// Creates tasks in this step, each with a key that is unique in it and an input that becomes JSON. They are durable then.
pub fn spawn(comptime Input: type, keys: []const []const u8, inputs: []const Input) Error!void {
    const specs = try allocator.alloc(Spec, keys.len);
    for (specs, keys, inputs) |*spec, key, input| {
        spec.* = .{ .key = .of(key), .input = .of(try std.json.Stringify.valueAlloc(allocator, input, .{})) };
    }
    var answer: Answer = undefined;
    tasks.spawn(specs.ptr, specs.len, &answer);
    try answer.check(4, &.{ error.Quota, error.Invalid, error.Cancelled, error.Unavailable });
}

/// Keeps a value as JSON for the task's next attempt. It is durable then.
pub fn saveCheckpoint(value: anytype) Error!void {
    const json = try std.json.Stringify.valueAlloc(heap, value, .{});
    defer heap.free(json);
    var answer: Answer = undefined;
    checkpoint.save(json.ptr, json.len, &answer);
    try answer.check(8, &.{ error.TooLarge, error.Cancelled, error.Unavailable });
}

/// What was kept last, by this attempt or an earlier one.
pub fn loadCheckpoint(comptime T: type) !?T {
    var answer: Answer = undefined;
    checkpoint.load(&answer);
    try answer.check(8, &.{ error.TooLarge, error.Cancelled, error.Unavailable });
    if (answer.byte[8] == 0) return null;
    return try std.json.parseFromSliceLeaky(T, allocator, answer.text(12), .{});
}

const artifact_errors = [_]Error{ error.NotFound, error.NotADependency, error.Invalid, error.TooLarge, error.Cancelled, error.Unavailable };

/// A file that the run was started with.
pub const File = struct {
    name: []const u8,
    size: u64,

    pub fn open(name: []const u8) Error!File {
        var answer: Answer = undefined;
        artifacts.find(0, 0, 0, 0, name.ptr, name.len, &answer);
        try answer.check(8, &artifact_errors);
        return .{ .name = name, .size = answer.wide[3] };
    }

    /// At most `most` bytes from an offset on, up to 1 MiB; fewer only at the end. The next read overwrites them.
    pub fn read(file: File, offset: u64, most: u32) Error![]u8 {
        var answer: Answer = undefined;
        artifacts.read(0, 0, 0, 0, file.name.ptr, file.name.len, offset, most, &answer);
        try answer.check(8, &artifact_errors);
        return @constCast(answer.text(8));
    }
};

// ---- what the host calls

var piece: []u8 = &.{};

/// What the host hands over. Large pieces go to one place again and again: a plugin that reads a file needs one.
fn reallocate(old: usize, old_len: usize, alignment: usize, len: usize) callconv(.c) usize {
    if (old == 0 and len >= 4096) {
        if (piece.len < len) piece = allocator.alignedAlloc(u8, .@"16", len) catch panic(@src(), "out of memory", .{});
        return @intFromPtr(piece.ptr);
    }
    const memory = allocator.rawAlloc(@max(len, 1), .fromByteUnits(alignment), 0) orelse panic(@src(), "out of memory", .{});
    if (old_len > 0) @memcpy(memory[0..@min(old_len, len)], @as([*]u8, @ptrFromInt(old))[0..@min(old_len, len)]);
    return @intFromPtr(memory);
}

var returned: extern union { texts: [4]Text, words: [8]usize } = undefined;

fn failed(cause: anyerror) *anyopaque {
    if (cause == error.OutOfMemory) panic(@src(), "out of memory", .{});
    const told = if (cause == error.Failed) utf8(failure.message) catch "out of memory" else @errorName(cause);
    const retryable = cause == error.Unavailable or cause == error.Failed and failure.retryable;
    returned = .{ .words = .{ 1, @intFromPtr(told.ptr), told.len, @intFromBool(retryable), 0, 0, 0, 0 } };
    return &returned;
}

fn succeeded(output: []const u8) *anyopaque {
    returned = .{ .words = .{ 0, @intFromPtr(output.ptr), output.len, 0, 0, 0, 0, 0 } };
    return &returned;
}

/// Reads what the host has checked for JSON, but not for this type.
fn parse(comptime T: type, what: []const u8, json: []const u8) !T {
    return std.json.parseFromSliceLeaky(T, allocator, json, .{}) catch |cause| switch (cause) {
        error.OutOfMemory => error.OutOfMemory,
        else => fail("{s} is not of the type that the plugin reads: {s}", .{ what, @errorName(cause) }),
    };
}

/// The functions that the host calls of a plugin.
fn Exports(comptime Plugin: type) type {
    const S = [*]const u8;
    return struct {
        fn describe() callconv(.c) *anyopaque {
            const it = Plugin.description;
            returned = .{ .texts = .{ .of(it.name), .of(it.version), .of(it.summary), .of(it.schema) } };
            return &returned;
        }

        fn plan(r: S, rl: usize, n: S, nl: usize, attempt: u32, c: S, cl: usize, p: S, pl: usize) callconv(.c) *anyopaque {
            const step = stepOf(r[0..rl], n[0..nl], attempt, c[0..cl], p[0..pl]) catch |cause| return failed(cause);
            Plugin.plan(step) catch |cause| return failed(cause);
            return succeeded("");
        }

        fn run(r: S, rl: usize, n: S, nl: usize, attempt: u32, c: S, cl: usize, p: S, pl: usize, i: S, il: usize, k: S, kl: usize, t: S, tl: usize) callconv(.c) *anyopaque {
            const step = stepOf(r[0..rl], n[0..nl], attempt, c[0..cl], p[0..pl]) catch |cause| return failed(cause);
            const input = parse(Plugin.Input, "the input", t[0..tl]) catch |cause| return failed(cause);
            const output = Plugin.run(step, .{ .id = i[0..il], .key = k[0..kl], .input = input }) catch |cause| return failed(cause);
            return succeeded(std.json.Stringify.valueAlloc(allocator, output, .{}) catch |cause| return failed(cause));
        }

        fn stepOf(id: []const u8, name: []const u8, attempt: u32, config: []const u8, parameters: []const u8) !Step(Plugin.Config) {
            const read = try parse(Plugin.Config, "the configuration", config);
            return .{ .run = id, .name = name, .attempt = attempt, .config = read, .parameters = parameters };
        }
    };
}

/// Exports a plugin.
pub fn plugin(comptime Plugin: type) void {
    const exports = Exports(Plugin);
    @export(&exports.describe, .{ .name = "describe" });
    @export(&exports.plan, .{ .name = "plan" });
    @export(&exports.run, .{ .name = "run" });
    @export(&reallocate, .{ .name = "cabi_realloc" });
}

// ---- tests, without a host: `zig test bulkhead.zig`

const testing = std.testing;

const Echo = struct {
    pub const description: Description = .{ .name = "echo", .version = "1.2.3", .summary = "Says what it is told.", .schema = "{}" };
    pub const Config = struct { mode: enum { say, refuse, wait, hide } = .say };
    pub const Input = struct { number: u64 = 0, text: []const u8 = "" };

    pub fn plan(_: Step(Config)) !void {}

    pub fn run(step: Step(Config), task: Task(Input)) !Input {
        return switch (step.config.mode) {
            .say => task.input,
            .refuse => fail("no pump for {s}", .{task.input.text}),
            .wait => failForNow("later", .{}),
            .hide => error.Hidden,
        };
    }

    /// What a task is answered: whether it failed, the text, and whether to try again.
    fn answers(config: []const u8, input: []const u8) struct { bool, []const u8, bool } {
        _ = Exports(Echo).run("r", 1, "n", 1, 1, config.ptr, config.len, "{}", 2, "i", 1, "k", 1, input.ptr, input.len);
        const words = returned.words;
        return .{ words[0] == 1, @as([*]const u8, @ptrFromInt(words[1]))[0..words[2]], words[3] & 0xff == 1 };
    }
};

fn expectAnswer(failing: bool, text: []const u8, retryable: bool, config: []const u8, input: []const u8) !void {
    const was_failing, const told, const was_retryable = Echo.answers(config, input);
    try testing.expectEqualStrings(text, told);
    try testing.expectEqual(.{ failing, retryable }, .{ was_failing, was_retryable });
}

test "a plugin describes itself" {
    _ = Exports(Echo).describe();
    const expected = [_][]const u8{ "echo", "1.2.3", "Says what it is told.", "{}" };
    for (expected, returned.texts) |text, found| try testing.expectEqualStrings(text, found.slice());
}

test "values survive the way through JSON" {
    const text =
        \\u0000\"\\⚓🚢
    ;
    try expectAnswer(false, "{\"number\":18446744073709551615,\"text\":\"" ++ text ++ "\"}", false, "{}", "{\"text\":\"" ++ text ++ "\",\"number\":18446744073709551615}");
    try expectAnswer(false, "{\"number\":9007199254740993,\"text\":\"\"}", false, "{}", "{\"number\":9007199254740993}");
}

test "a failure says whether to try again, in UTF-8" {
    try expectAnswer(true, "no pump for bow", false, "{\"mode\":\"refuse\"}", "{\"text\":\"bow\"}");
    try expectAnswer(true, "later", true, "{\"mode\":\"wait\"}", "{}");
    try expectAnswer(true, "Hidden", false, "{\"mode\":\"hide\"}", "{}");
    _ = failed(fail("{s}", .{"a\xffb"}));
    try testing.expectEqualStrings("a\u{fffd}b", @as([*]const u8, @ptrFromInt(returned.words[1]))[0..returned.words[2]]);
}

test "what is of another type is told apart" {
    try expectAnswer(true, "the input is not of the type that the plugin reads: Overflow", false, "{}", "{\"number\":18446744073709551616}");
    try expectAnswer(true, "the input is not of the type that the plugin reads: UnknownField", false, "{}", "{\"depth\":1}");
    try expectAnswer(true, "the input is not of the type that the plugin reads: UnexpectedEndOfInput", false, "{}", "");
    try expectAnswer(true, "the configuration is not of the type that the plugin reads: InvalidEnumTag", false, "{\"mode\":\"none\"}", "{}");
    const deep: [100_000]u8 = @splat('[');
    try expectAnswer(true, "the input is not of the type that the plugin reads: UnexpectedToken", false, "{}", &deep);
}

test "fields are a JSON object" {
    try testing.expectEqualStrings("", try fieldsOf(.{}));
    try testing.expectEqualStrings("{\"at\":9007199254740993,\"who\":\"⚓\\\"\\u0000\"}", try fieldsOf(.{ .at = 9007199254740993, .who = "⚓\"\x00" }));
    const long = try allocator.alloc(u8, 10_000_000);
    @memset(long, 'y');
    try testing.expectEqual(long.len + 8, (try fieldsOf(.{ .x = long })).len);
}

test "texts become UTF-8" {
    const sound = "⚓🚢 \u{7ff}\u{800}\u{ffff}\x00";
    try testing.expectEqual(@as([*]const u8, sound), (try utf8(sound)).ptr);
    try testing.expectEqualStrings("\u{fffd}a\u{fffd}\u{fffd}b\u{fffd}", try utf8("\xffa\xc0\x80b\xe2\x9a"));
    try testing.expectEqualStrings("", try utf8(""));
}

test "what the host refuses is an error by its name" {
    var answer: Answer = .{ .byte = @splat(0) };
    try answer.check(8, &artifact_errors);
    answer.byte[0] = 1;
    for (artifact_errors, 0..) |expected, kind| {
        answer.byte[8] = @intCast(kind);
        try testing.expectError(expected, answer.check(8, &artifact_errors));
    }
    _ = failed(error.Unavailable);
    try testing.expectEqual(1, returned.words[3]);
    _ = failed(error.NotFound);
    try testing.expectEqual(0, returned.words[3]);
}

test "large pieces go to one place, small ones to their own" {
    const first = reallocate(0, 0, 1, 100_000);
    try testing.expectEqual(first, reallocate(0, 0, 8, 50_000));
    const small = reallocate(0, 0, 8, 3);
    try testing.expect(small != reallocate(0, 0, 8, 3) and small % 8 == 0);
    const bytes: [*]u8 = @ptrFromInt(small);
    @memcpy(bytes, "abc");
    const larger: [*]const u8 = @ptrFromInt(reallocate(small, 3, 8, 64));
    try testing.expectEqualStrings("abc", larger[0..3]);
}
