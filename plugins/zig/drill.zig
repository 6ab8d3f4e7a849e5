//! What can go wrong, on purpose: how Bulkhead tells each of them apart is the same in every language.

const bulkhead = @import("bulkhead.zig");

pub const Mode = enum { none, panic, @"error", memory, loop, recursion, sleep, cancel, retry };

/// Goes wrong as a mode says. `none` and `retry` do nothing here.
pub fn drill(mode: Mode) !void {
    switch (mode) {
        .none, .retry => {},
        .panic => bulkhead.panic(@src(), "the drill: the boiler burst", .{}),
        .@"error" => return bulkhead.fail("the drill: there is no pump", .{}),
        .memory => while (true) {
            @memset(try bulkhead.allocator.alloc(u8, 1 << 20), 1);
        },
        .loop => {
            var spin: usize = 0;
            const at: *volatile usize = &spin;
            while (true) at.* +%= 1;
        },
        .recursion => _ = deeper(0),
        .sleep => bulkhead.sleep(300),
        .cancel => {
            while (!bulkhead.cancelled()) bulkhead.sleep(10);
            try bulkhead.log(.warn, "cancelled: ending in order", .{});
            return bulkhead.fail("it was cancelled", .{});
        },
    }
}

/// Calls itself without end.
fn deeper(level: usize) usize {
    var here: [16]usize = @splat(level);
    const at: *volatile [16]usize = &here;
    return @call(.never_inline, deeper, .{at[3] + 1}) + at[5];
}
