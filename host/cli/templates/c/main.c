// Greets everybody in a list, a task each.
#include "bulkhead.h"

static const char schema[] =
    "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"names\"],\"properties\":{"
    "\"names\":{\"type\":\"array\",\"items\":{\"type\":\"string\"},\"minItems\":1,\"description\":\"Who is greeted.\"},"
    "\"greeting\":{\"type\":\"string\",\"default\":\"Hello\",\"description\":\"What stands in front of each name.\"}}}";

bh_description bh_describe(void) { return (bh_description){"{{name}}", "0.1.0", "Greets everybody in a list", schema}; }

// The next string of a JSON array, without its quotes; without an address at the end. Escapes stay as they are.
static bh_text next_string(bh_text *list) {
    const char *at = list->at, *end = at + list->len;
    while (at < end && *at != '"') at++;
    const char *start = ++at;
    while (at < end && *at != '"') at += *at == '\\' ? 2 : 1;
    if (at >= end) return (bh_text){0};
    *list = (bh_text){at + 1, end - at - 1};
    return (bh_text){start, at - start};
}

bh_result bh_plan(const bh_step *step) {
    bh_text names = bh_member(step->config, "names"), name;
    size_t count = 0;
    bh_spec *specs = bh_alloc(names.len * sizeof(bh_spec));
    while ((name = next_string(&names)).at) {
        bh_buffer input = {0};
        bh_add(&input, "{\"name\":\"%.*s\"}", (int)name.len, name.at);
        specs[count++] = (bh_spec){name, bh_text_of(&input)};
    }
    bh_refusal refusal = bh_spawn(specs, count);
    return refusal ? bh_refused("spawn", refusal) : bh_ok(BH(""));
}

bh_result bh_run(const bh_step *step, const bh_task *task) {
    bh_text name = bh_string(bh_member(task->input, "name"), BH(""));
    bh_text greeting = bh_string(bh_member(step->config, "greeting"), BH("Hello"));
    if (!name.len) return bh_fail("nobody is there to be greeted");
    bh_log(BH_INFO, "greeting", "{\"length\":%d}", (int)name.len);
    bh_buffer text = {0}, output = {0};
    bh_add(&text, "%.*s, %.*s!", (int)greeting.len, greeting.at, (int)name.len, name.at);
    bh_add(&output, "{\"text\":");
    bh_add_string(&output, bh_text_of(&text));
    bh_add(&output, "}");
    return bh_ok(bh_text_of(&output));
}
