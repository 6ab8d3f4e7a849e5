//! Who may do what, on the real server.

use bulkhead_e2e::{Server, ServerOptions, bulkhead, call};
use reqwest::StatusCode;
use serde_json::json;
use tempfile::tempdir;

fn token(data_dir: &str, name: &str, role: &str) -> String {
    let output = call(&["token", "create", name, "--role", role, "--data-dir", data_dir, "--quiet"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("a token is text").trim().to_owned()
}

#[tokio::test]
async fn each_role_may_do_its_own_and_no_more() {
    let dir = tempdir().expect("a temporary directory");
    let data_dir = dir.path().join("data");
    let path = data_dir.to_str().expect("a path in UTF-8");
    let [viewer, operator, admin] = ["viewer", "operator", "admin"].map(|role| token(path, role, role));
    let mut server = Server::start_with(ServerOptions::default().data_dir(&data_dir));
    server.wait_until_loaded();

    let nobody = server.api().get("/runs").await;
    assert_eq!((nobody.status, nobody.content_type.as_str()), (StatusCode::UNAUTHORIZED, "application/problem+json"));
    assert_eq!(server.api_as("wrong").get("/runs").await.status, StatusCode::UNAUTHORIZED);
    let health = server.api().send(server.api().request(reqwest::Method::GET, "/health")).await;
    assert_eq!(health.status, StatusCode::OK, "health is nobody's secret");

    let [viewer, operator, admin] = [viewer, operator, admin].map(|token| server.api_as(&token));
    let noop = "id = \"noop\"\nname = \"Noop\"\n[step.all]\nplugin = \"noop\"\n";
    let runs = "/definitions/noop/runs";
    assert_eq!(viewer.get("/runs").await.status, StatusCode::OK);
    assert_eq!(viewer.put_definition("noop", noop).await.status, StatusCode::FORBIDDEN);
    assert_eq!(operator.put_definition("noop", noop).await.status, StatusCode::FORBIDDEN);
    admin.put_definition("noop", noop).await.ok();
    assert_eq!(viewer.post(runs, &json!({})).await.status, StatusCode::FORBIDDEN);
    operator.post(runs, &json!({})).await.ok();
    assert_eq!(operator.get("/tokens").await.status, StatusCode::FORBIDDEN);
    let listed = admin.get("/tokens").await.ok();
    assert!(!listed.to_string().contains("secret"), "{listed}");
}

#[test]
fn without_tokens_only_loopback_is_listened_on() {
    let dir = tempdir().expect("a temporary directory");
    let output = bulkhead(&["serve", "--listen", "0.0.0.0:0", "--data-dir"])
        .arg(dir.path().join("data"))
        .output()
        .expect("the binary starts");
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("token create"), "it says what to do: {text}");
}

#[tokio::test]
async fn a_token_file_holds_the_admins_token() {
    let dir = tempdir().expect("a temporary directory");
    let file = dir.path().join("admin-token");
    let path = file.to_str().expect("a path in UTF-8");
    let options = || ServerOptions::default().data_dir(&dir.path().join("data")).args(&["--admin-token-file", path]);
    for start in 1..=2 {
        let server = Server::start_with(options());
        let secret = std::fs::read_to_string(&file).expect("the server makes the file");
        assert_eq!(server.api().get("/tokens").await.status, StatusCode::UNAUTHORIZED);
        let tokens = server.api_as(secret.trim()).get("/tokens").await.ok();
        assert_eq!(tokens["items"].as_array().map(Vec::len), Some(1), "start {start}");
    }
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(&file).expect("the file is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
