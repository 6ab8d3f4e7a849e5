//! Each kind of mistake, with its place, its reason and what to do.

use super::support::refused;

#[test]
fn print_all() {
    let step = |rest: &str| format!("id = \"job\"\n[step.first]\nplugin = \"generator\"\n{rest}");
    let crawl = |rest: &str| format!("id = \"job\"\n[step.c]\nplugin = \"crawler\"\n{rest}");
    let ok = "[step.first]\nplugin = \"generator\"\n";
    for text in [
        "".to_owned(), "id = \"job\"".into(), format!("id = 7\n{ok}"), format!("id = \"My Job\"\n{ok}"),
        format!("id = \"job\"\nprioritty = 3\n{ok}"), format!("id = \"job\"\npriority = 12\n{ok}"), format!("id = \"job\"\npriority = -1\n{ok}"),
        format!("id = \"job\"\ntimeout = 5\n{ok}"), format!("id = \"job\"\ntimeout = \"5x\"\n{ok}"), format!("id = \"job\"\ntimeout = \"500d\"\n{ok}"),
        format!("id = \"job\"\ntags = [\"a\", 5, \"a\"]\n{ok}"), format!("id = \"job\"\nschedule = \"* * *\"\n{ok}"),
        format!("id = \"job\"\nschedule = \"0 0 30 2 *\"\n{ok}"), format!("id = \"job\"\nschedule = \"61 * * * *\"\n{ok}"),
        format!("id = \"job\"\nschedule = \"x * * * *\"\n{ok}"),
        "id = \"job\"\n[steps.first]\nplugin = \"generator\"".into(), "id = \"job\"\nstep = 5".into(), "id = \"job\"\n[step]".into(),
        "id = \"job\"\n[step.first]".into(), "id = \"job\"\n[step.First]\nplugin = \"genrator\"".into(),
        "id = \"job\"\n[step.first]\nplugn = \"generator\"".into(),
        step("type = \"generator\""), step("depends = \"first\""), step("depends = [\"secnd\"]\n[step.second]\nplugin=\"free\"\ndepends = [\"first\",\"first\"]"),
        step("depends = [\"b\"]\n[step.b]\nplugin=\"free\"\ndepends = \"c\"\n[step.c]\nplugin=\"free\"\ndepends=\"first\"\n[step.d]\nplugin=\"free\"\ndepends=\"c\""),
        step("worker_cont = 5"), step("worker_count = \"5\""), step("worker_count = 5000000"), step("worker_count = 1.5"), step("failure_rate = -0.1"), step("failure_rate = nan"),
        step("timeot = \"5s\""), step("on_error = \"contine\""), step("retry = 3"), step("retry = { attempts = 101, jitter = 2, backof = \"1s\" }"),
        step("limits = { memory = \"64MB\", stack = \"1KiB\", log_overflow = \"drop\", output_bytes = \"1TB\", memry = 1 }"),
        step("allow = { env = [\"A B\"], http = [\"https://x.org/a\", \"*.y.org:0\"] }"),
        crawl(""), crawl("start = []\ndepht = 5"), crawl("start = [\"http://a\", \"ftp://b\"]\ndepth = 17"), crawl("start = [\"http://a\", \"http://a\"]\ndepth = 1\norder = \"depth\"\nformat = \"htm\"\nagent = \"x\"\nstep_size = 7\nproxy = { prt = 5 }"),
        crawl("start = [\"http://a\"]\ndepth = 1\nproxy = 5\nwhen = 2024-01-01\nmatch = { kind = \"prefix\", txt = \"a\" }"),
        crawl("start = [\"http://a\"]\ndepth = 1\nproxy = {host = \"h\", port = 0}\nmatch = { kind = \"prefx\", text = \"a\" }"),
        crawl("start = [\"http://a\"]\ndepth = 1\nmatch = { kind = \"prefx\" }\nagent = 5\nstep_size=5"),
        "id = \"job\"\n[step.a]\nplugin = \"garbled\"\n[step.b]\nplugin = \"remote\"\n[step.c]\nplugin=\"endless\"".into(),
        format!("id = \"job\nname = \"x\"\n{ok}"), format!("id = \"job\"\nid = \"b\"\nprio = 5\n{ok}\n[step.first]\nplugin=\"free\""), "id = \"job\"\n[step.first\nplugin = \"generator\"\n[step.b]\nplugin = \"x\"\ndepends = \"first\"".into(),
        step("worker_count = \ntimeout = 5"), "id = 5 m\n\nname = [1,\n".into(),
    ] {
        println!("--- {text}\n>>> {}", refused(&text).replace('\n', "\n>>> "));
    }
}
