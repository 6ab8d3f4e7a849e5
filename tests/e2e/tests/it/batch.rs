//! The batch job: records in, good ones out, the others told apart; from the definition, from files, through the API.

use std::fs;
use std::path::Path;

use bulkhead_e2e::{Server, bulkhead, job_definition, plugins, workspace};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::tempdir;

/// What the records of the definition itself come to.
const RESULTS: &str = "\
id,name,email,phone,country,ordered,quantity,price,region,total,domain\n\
1001,Ada Lovelace,ada@example.org,+442079460123,GB,2026-03-31,3,1299.5,Europe,3898.5,example.org\n\
1002,Grace Hopper,grace@navy.example.com,+12025550143,US,2026-04-01,12,18.9,Americas,226.8,navy.example.com\n\
1003,Zoë Kraus,zoe.kraus@example.de,+49301234567,DE,2026-04-02,1,2499,Europe,2499.0,example.de\n\
1005,Kana Sato,kana@example.jp,+81312345678,JP,2026-04-03,5,7.25,Asia,36.25,example.jp\n\
1008,José Álvarez,jose@example.es,+34912345678,ES,2026-04-05,4,49.95,Europe,199.8,example.es\n\
1011,Émile Zola,emile@example.fr,,FR,2026-04-06,2,12.5,Europe,25.0,example.fr\n\
1013,Priya Nair,priya@example.in,+912212345678,IN,2026-04-07,7,3.1,Asia,21.7,example.in\n\
1014,\"O'brien, Séan\",sean@example.ie,,IE,2026-04-07,1,1000,Europe,1000.0,example.ie\n\
1015,\"\"\"Quotes\"\", Inc.\",sales@quotes.example.com,+12025550111,US,2026-04-08,100,0.99,Americas,99.0,quotes.example.com\n\
1016,Łukasz Nowak,lukasz@example.pl,+48221234567,PL,2026-04-09,3,19,Europe,57.0,example.pl\n";

const REJECTS: &str = "\
task,key,line,cause,rule,field,message\n\
4,row-4,,plugin-error,required,email,it is missing\n\
6,row-6,,plugin-error,type,ordered,`2/30/2026` is no date\n\
7,row-7,,plugin-error,range,quantity,`5000` is greater than 1000\n\
9,row-9,,plugin-error,pattern,id,\"`AB-9` does not match [0-9]{4,9}\"\n\
10,row-10,,plugin-error,lookup,country,`XX` is not in the table of `region`\n\
12,row-12,,plugin-error,type,email,`who is this` is no e-mail address\n";

/// Runs the job with `bulkhead run`, and gives the directory with its files.
fn run(args: &[&str], out: &Path) {
    let output = bulkhead(&["run", "--quiet", "--artifacts"])
        .arg(out)
        .arg("--plugins")
        .arg(plugins())
        .arg(job_definition("batch"))
        .args(args)
        .output()
        .expect("the binary starts");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn summary(path: &Path) -> Value {
    serde_json::from_str(&text(path)).expect("the summary is JSON")
}

#[test]
fn the_records_of_the_definition_give_these_files() {
    let out = tempdir().expect("a temporary directory");
    run(&[], out.path());
    let of = |name: &str| out.path().join("collect").join(name);
    assert_eq!(text(&of("results.csv")), RESULTS);
    assert_eq!(text(&of("rejects.csv")), REJECTS);
    let lines = text(&of("results.ndjson"));
    assert_eq!(lines.lines().count(), 10);
    let first: Value = serde_json::from_str(lines.lines().next().expect("a first line")).expect("a line is JSON");
    assert_eq!((&first["id"], &first["quantity"], &first["total"]), (&json!("1001"), &json!(3), &json!(3898.5)));
    let expected = json!({
        "records": 16, "passed": 10, "rejected": 6, "malformed": 0, "failed": 0, "cancelled": 0,
        "rejects_by_rule": {
            "country/lookup": 1, "email/required": 1, "email/type": 1, "id/pattern": 1, "ordered/type": 1, "quantity/range": 1
        },
        "failures_by_cause": {}
    });
    assert_eq!(summary(&of("summary.json")), expected);
}

#[test]
fn a_files_malformed_row_is_an_item_of_its_own() {
    let out = tempdir().expect("a temporary directory");
    let rows = workspace().join("job-definitions/data/orders.csv");
    run(&["--file", &format!("rows={}", rows.display())], out.path());
    let of = |name: &str| out.path().join("collect").join(name);
    let rejects = text(&of("rejects.csv"));
    assert!(rejects.contains("3,row-3,4,plugin-error,malformed,,it has 7 fields; the header has 8\n"), "{rejects}");
    assert!(rejects.contains("5,row-5,6,plugin-error,required,email,it is missing\n"), "{rejects}");
    let found = summary(&of("summary.json"));
    assert_eq!((&found["records"], &found["passed"], &found["malformed"]), (&json!(6), &json!(4), &json!(1)));
    // The same rows in the other two forms come to the same.
    let rows = [
        json!({"id": "2001", "name": "x", "email": "x@example.org", "country": "US", "ordered": "2026-01-01", "quantity": 1, "price": 2}),
        json!(7),
    ];
    for (name, content) in [
        ("rows.json", serde_json::to_string_pretty(&rows).expect("JSON")),
        ("rows.ndjson", rows.iter().map(|row| format!("{row}\n")).collect()),
    ] {
        let (path, out) = (out.path().join(name), out.path().join(format!("of-{name}")));
        fs::write(&path, content).expect("a file can be written");
        run(&["--file", &format!("rows={}", path.display())], &out);
        let found = summary(&out.join("collect/summary.json"));
        assert_eq!((&found["records"], &found["passed"], &found["malformed"]), (&json!(2), &json!(1), &json!(1)), "{name}");
    }
}

#[tokio::test]
async fn an_uploaded_file_is_run_and_its_results_are_downloaded() {
    let server = Server::start();
    let api = server.api();
    api.put_definition("batch", &fs::read_to_string(job_definition("batch")).expect("the definition is there")).await.ok();
    let rows: String = (0..2_500)
        .map(|row| format!("{},Name {row},n{row}@example.org,,US,2026-01-02,{},1.5\n", 100_000 + row, row % 1_200))
        .collect();
    let rows = format!("id,name,email,phone,country,ordered,quantity,price\n{rows}");
    let upload = api.send(api.request(Method::POST, "/api/v1/files").body(rows.clone())).await.ok();
    let digest = upload["digest"].as_str().expect("a digest").to_owned();
    assert_eq!(upload["size"], json!(rows.len()));
    let again = api.send(api.request(Method::POST, "/api/v1/files").body(rows.clone())).await.ok();
    assert_eq!(again["digest"], upload["digest"]);

    let missing = json!({ "files": { "rows": format!("sha256:{}", "0".repeat(64)) } });
    let refused = api.post("/definitions/batch/runs", &missing).await;
    assert_eq!((refused.status.as_u16(), &refused.body["type"]), (422, &json!("/problems/file-missing")));
    let run = api.post("/definitions/batch/runs", &json!({ "files": { "rows": digest } })).await.ok();
    let run = run["id"].as_str().expect("a run has an id");
    assert_eq!(api.wait_for_end(run).await["state"], "succeeded");
    let files = api.get(&format!("/runs/{run}/files")).await.ok();
    assert_eq!(files["items"], json!([{ "name": "rows", "digest": digest, "size": rows.len() }]));

    let page = api.get(&format!("/runs/{run}/artifacts?limit=3")).await.ok();
    let names = |page: &Value| -> Vec<String> {
        page["items"].as_array().expect("items").iter().map(|item| item["name"].as_str().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(names(&page), ["rejects.csv", "results.csv", "results.ndjson"]);
    let cursor = page["next"].as_str().expect("there is more");
    let rest = api.get(&format!("/runs/{run}/artifacts?limit=3&cursor={cursor}")).await.ok();
    assert_eq!(names(&rest), ["summary.json"]);
    // Rows with quantity 0 and those above 1,000 break a rule: 3 and 398 of 2,500.
    let found = api.get(&format!("/runs/{run}/artifacts/collect/summary.json")).await.ok();
    assert_eq!((&found["records"], &found["passed"], &found["rejected"]), (&json!(2_500), &json!(2_099), &json!(401)));

    let path = format!("/api/v1/runs/{run}/artifacts/collect/results.ndjson");
    let whole = api.request(Method::GET, &path).send().await.expect("an answer");
    let tag = whole.headers()["etag"].clone();
    assert_eq!(whole.headers()["content-disposition"], "attachment; filename=\"results.ndjson\"");
    assert_eq!(whole.headers()["x-content-type-options"], "nosniff");
    let whole = whole.bytes().await.expect("all of it");
    let ids: Vec<u64> = whole
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| {
            serde_json::from_slice::<Value>(line).expect("JSON")["id"].as_str().and_then(|id| id.parse().ok()).expect("an id")
        })
        .collect();
    assert_eq!(ids.len(), 2_099);
    assert!(ids.is_sorted(), "in the order of the file");
    let part = api.request(Method::GET, &path).header("range", "bytes=10-29").header("if-range", &tag);
    let part = part.send().await.expect("an answer");
    assert_eq!((part.status().as_u16(), part.content_length()), (206, Some(20)));
    assert_eq!(part.headers()["content-range"], format!("bytes 10-29/{}", whole.len()));
    assert_eq!(part.bytes().await.expect("a part"), whole[10..30]);
    let other = api.request(Method::GET, &path).header("range", "bytes=10-29").header("if-range", "\"another\"");
    assert_eq!(other.send().await.expect("an answer").status().as_u16(), 200);
    let beyond = api.send(api.request(Method::GET, &path).header("range", "bytes=99999999-")).await;
    assert_eq!((beyond.status.as_u16(), &beyond.body["type"]), (416, &json!("/problems/range-not-satisfiable")));
    let known = api.send(api.request(Method::GET, &path).header("if-none-match", &tag)).await;
    assert_eq!(known.status.as_u16(), 304);

    let outputs = api.get(&format!("/runs/{run}/steps/orders/outputs")).await;
    assert_eq!(outputs.content_type, "application/x-ndjson");
    let outputs = outputs.body.as_str().expect("lines").to_owned();
    let numbers: Vec<u64> = outputs
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["task"].as_u64().expect("a number"))
        .collect();
    assert_eq!(numbers, (1..=2_500).collect::<Vec<_>>());
    let table = api.get(&format!("/runs/{run}/steps/orders/outputs?format=csv&after=2499")).await.ok();
    assert!(table.as_str().expect("a table").starts_with("task,key,state,cause,message,output\r\n2500,row-2500,succeeded,,,\"{"));

    api.send(api.request(Method::DELETE, &format!("/api/v1/runs/{run}"))).await;
    assert_eq!(api.get(&format!("/runs/{run}/artifacts")).await.status.as_u16(), 404);
}

#[tokio::test]
async fn the_command_line_uploads_lists_and_downloads() {
    let server = Server::start();
    let api = server.api();
    api.put_definition("batch", &fs::read_to_string(job_definition("batch")).expect("the definition is there")).await.ok();
    let dir = tempdir().expect("a temporary directory");
    let rows = workspace().join("job-definitions/data/orders.csv");
    let call = |args: &[&str]| {
        let output =
            bulkhead(args).args(["--server", &server.url()]).current_dir(dir.path()).output().expect("the binary starts");
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    };
    let run = call(&["trigger", "batch", "--file", &format!("rows={}", rows.display())]).trim().to_owned();
    assert_eq!(api.wait_for_end(&run).await["state"], "succeeded");
    let listed = call(&["artifacts", &run]);
    assert!(
        ["results.csv", "results.ndjson", "rejects.csv", "summary.json"].iter().all(|name| listed.contains(name)),
        "{listed}"
    );
    call(&["artifacts", "get", &run, "collect", "summary.json"]);
    assert_eq!(summary(&dir.path().join("summary.json"))["passed"], 4);
    let printed = call(&["artifacts", "get", &run, "collect", "results.csv", "--output", "-"]);
    assert_eq!(printed.lines().count(), 1 + 4);
    assert_eq!(call(&["outputs", &run, "orders"]).lines().count(), 6);
}
