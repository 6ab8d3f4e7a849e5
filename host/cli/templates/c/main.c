// Greets everybody in a list, a task each.
#include "bulkhead.h"

static const char schema[] =
    "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"names\"],\"properties\":{"
    "\"names\":{\"type\":\"array\",\"items\":{\"type\":\"string\"},\"minItems\":1,\"description\":\"Who is greeted.\"},"
    "\"greeting\":{\"type\":\"string\",\"default\":\"Hello\",\"description\":\"What stands in front of each name.\"}}}";

bh_description bh_describe(void) { return (bh_description){"{{name}}", "0.1.0", "Greets everybody in a list", schema}; }

bh_result bh_plan(const bh_step *step) {
    bh_text names = bh_member(step->config, "names"), rest = names, name;
    size_t count = 0;
    while (bh_next(&rest, &name)) count++;
    bh_spec *specs = bh_alloc(count * sizeof(bh_spec));
    for (size_t number = 0; bh_next(&names, &name); number++) {
        bh_buffer input = {0};
        bh_add(&input, "{\"name\":");
        bh_add_text(&input, name);
        bh_add(&input, "}");
        specs[number] = (bh_spec){.key = bh_string(name, BH("")), .input = bh_text_of(&input)};
    }
    bh_refusal refusal = bh_spawn(specs, count);
    return refusal ? bh_refused("spawn", refusal) : bh_ok(BH(""));
}

bh_result bh_run(const bh_step *step, const bh_task *task) {
    bh_text name = bh_string(bh_member(task->input, "name"), BH(""));
    bh_text greeting = bh_string(bh_member(step->config, "greeting"), BH("Hello"));
    if (!name.len) return bh_fail("nobody is there to be greeted");
    bh_buffer who = {0}, text = {0}, output = {0};
    bh_add_string(&who, name);
    bh_log(BH_INFO, "greeting", "{\"who\":%s}", who.at);
    bh_add_text(&text, greeting);
    bh_add(&text, ", ");
    bh_add_text(&text, name);
    bh_add(&text, "!");
    bh_add(&output, "{\"text\":");
    bh_add_string(&output, bh_text_of(&text));
    bh_add(&output, "}");
    return bh_ok(bh_text_of(&output));
}
