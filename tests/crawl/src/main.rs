//! Crawls a large tree of documentation with the real binary and compares what was found with an independent walk of the files.
//! `make crawl` runs it.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use bulkhead_crawl::{Site, docs, records, walk};
use bulkhead_e2e::{Server, ServerOptions, job_definition};

/// Where the definition looks for the site.
const LISTEN: &str = "127.0.0.1:8717";

#[tokio::main]
async fn main() -> ExitCode {
    let Some(docs) = docs() else {
        eprintln!("there is no documentation to crawl: `rustup component add rust-docs`, or `make doc`");
        return ExitCode::from(2);
    };
    println!("crawling {} ({})", docs.name, docs.root.display());
    let site = Site::of_folder(&docs.root, LISTEN).await;
    let text = std::fs::read_to_string(job_definition("crawl_docs")).expect("the definition is there");
    let mut server = Server::start_with(ServerOptions::default());
    server.wait_until_loaded();
    let api = server.api();
    api.put_definition("crawl_docs", &text).await.ok();
    let run = api.trigger("crawl_docs").await;

    let started = Instant::now();
    let mut memory = Vec::new();
    let ended = loop {
        let state = api.run(&run).await;
        let seconds = started.elapsed().as_secs();
        if ["succeeded", "failed", "cancelled"].iter().any(|end| state["state"] == *end) {
            break state;
        }
        if seconds >= memory.len() as u64 * 5 {
            memory.push(resident_memory(server.process()));
            let (done, total) = (&state["tasks"]["succeeded"], &state["tasks"]["total"]);
            println!("{seconds:>4} s  {done:>6} of {total:>6} addresses  server {:>4} MiB", memory.last().unwrap_or(&0) >> 20);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    let seconds = started.elapsed().as_secs_f64();
    let requests = site.requests();
    println!("the run {} after {seconds:.1} s: {}", ended["state"], ended["tasks"]);
    println!("{} requests, {:.0} a second", requests.len(), requests.len() as f64 / seconds);
    if let (Some(most), Some(last)) = (memory.iter().max(), memory.last()) {
        println!("the server's memory: {} MiB at most, {} MiB at the end", most >> 20, last >> 20);
    }

    println!("comparing with an independent walk of the files …");
    let walked = walk(&docs.root, &["/"], &["/"]);
    let found = records(&api, &run).await;
    let mut same = ended["state"] == "succeeded";
    for (kind, expected) in [("page", &walked.pages), ("file", &walked.files), ("redirect", &walked.redirects)] {
        same &= compare(kind, &found.of(kind), expected);
    }
    same &= compare("broken", &found.of("broken"), &walked.broken.keys().cloned().collect());
    same &= compare("failed", &found.of("failed"), &Default::default());
    same &= compare("skipped", &found.of("skipped"), &Default::default());
    let linkers = |broken: &std::collections::BTreeMap<_, std::collections::BTreeSet<String>>| {
        broken.values().map(|pages| pages.len()).sum::<usize>()
    };
    println!(
        "broken links: {} addresses, {} links to them by the crawl, {} by the walk",
        walked.broken.len(),
        linkers(&found.broken),
        linkers(&walked.broken)
    );
    same &= found.broken == walked.broken;
    if same { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Says how two sets of addresses differ, if they do.
fn compare(kind: &str, found: &std::collections::BTreeSet<String>, expected: &std::collections::BTreeSet<String>) -> bool {
    println!("{kind:>9}: {:>6} found, {:>6} exist", found.len(), expected.len());
    for missed in expected.difference(found).take(10) {
        println!("           missed: {missed}");
    }
    for extra in found.difference(expected).take(10) {
        println!("           extra:  {extra}");
    }
    found == expected
}

/// The memory that a process holds, in bytes.
fn resident_memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) * 1024
}
