//! Greets everybody in a list, a task each.

const bulkhead = @import("bulkhead.zig");

comptime {
    bulkhead.plugin(Greet);
}
pub const panic = bulkhead.panic_handler;

const Greet = struct {
    pub const description: bulkhead.Description = .{
        .name = "{{name}}",
        .version = "0.1.0",
        .summary = "Greets everybody in a list",
        .schema =
        \\{
        \\  "type": "object",
        \\  "additionalProperties": false,
        \\  "required": ["names"],
        \\  "properties": {
        \\    "names": {"type": "array", "items": {"type": "string"}, "minItems": 1, "description": "Who is greeted."},
        \\    "greeting": {"type": "string", "default": "Hello", "description": "What stands in front of each name."}
        \\  }
        \\}
        ,
    };

    pub const Config = struct { names: []const []const u8, greeting: []const u8 = "Hello" };
    pub const Input = struct { name: []const u8 };
    const Output = struct { text: []const u8 };

    pub fn plan(step: bulkhead.Step(Config)) !void {
        const inputs = try bulkhead.allocator.alloc(Input, step.config.names.len);
        for (inputs, step.config.names) |*input, name| input.* = .{ .name = name };
        try bulkhead.spawn(Input, step.config.names, inputs);
    }

    pub fn run(step: bulkhead.Step(Config), task: bulkhead.Task(Input)) !Output {
        if (task.input.name.len == 0) return bulkhead.fail("nobody is there to be greeted", .{});
        try bulkhead.log(.info, "greeting", .{ .who = task.input.name });
        return .{ .text = try bulkhead.allocator.print("{s}, {s}!", .{ step.config.greeting, task.input.name }) };
    }
};
