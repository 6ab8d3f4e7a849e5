//! Registries with certificates of an authority of somebody's own.

use std::process::Command;

use bulkhead_e2e::authority::{Authority, Certificate};
use bulkhead_e2e::bulkhead;
use bulkhead_e2e::registry::{Access, OciRegistry, tool};

use super::{Place, copy, definition, problem, push_to, refused, run, said, sha256, start, words};

fn registry(certificate: &Certificate) -> Option<OciRegistry> {
    OciRegistry::start_with(Access::Open, Some(certificate))
}

#[tokio::test]
async fn a_registry_is_trusted_whose_authority_is() {
    let (place, authority) = (Place::new(), Authority::new());
    authority.write(&place.at("ca.crt"));
    let Some(registry) = registry(&authority.certify(&["localhost", "127.0.0.1"])) else { return };
    let (file, ca) = (copy(place.path(), "noop"), place.text("ca.crt"));
    let reference = format!("oci://{}/team/noop:1.0", registry.named());
    let pinned = push_to(&file, &reference, &["--egress-ca", &ca]);

    // By its address as by its name; the authority from a variable; and by those that the machine trusts, which another says.
    for (variable, reference) in
        [("BULKHEAD_EGRESS_CA", pinned.replace("localhost", "127.0.0.1")), ("SSL_CERT_FILE", pinned.clone())]
    {
        let mut command = bulkhead(&["plugin", "pull", &reference, "-o", &place.text("pulled.wasm")]);
        let output = command.env(variable, &ca).output().expect("the binary starts");
        assert!(output.status.success(), "{variable}: {}", said(&output));
        assert_eq!(std::fs::read(place.at("pulled.wasm")).unwrap(), std::fs::read(&file).unwrap());
    }

    let (_server, api) = start(&place.at("data"), &["--registry", &registry.named(), "--egress-ca", &ca]);
    api.put_definition("job", &definition(&pinned)).await.ok();
    run(&api).await;

    // Another client takes the same way, and sees the same.
    let Some(skopeo) = tool("skopeo") else { return };
    let mut command = Command::new(skopeo);
    command.args(["inspect", "--raw", "--cert-dir", &place.text("")]).arg(reference.replace("oci://", "docker://"));
    let output = command.output().expect("skopeo starts");
    assert!(output.status.success(), "{}", said(&output));
    assert!(pinned.ends_with(&sha256(&output.stdout)), "{pinned}");
}

#[tokio::test]
async fn a_certificate_that_shows_nothing_is_refused_with_what_to_do() {
    let (place, authority) = (Place::new(), Authority::new());
    let ca = place.text("ca.pem");
    authority.write(&place.at("ca.pem"));
    let pull = |registry: &OciRegistry, args: &[&str]| {
        let reference = format!("oci://{}/team/noop:1.0", registry.named());
        refused(&[&["plugin", "pull", &reference, "-o", &place.text("x.wasm")], args].concat())
    };

    let Some(sound) = registry(&authority.certify(&["localhost"])) else { return };
    let answer = pull(&sound, &[]);
    assert!(answer.contains("is of an authority that is not trusted here") && answer.contains("--egress-ca FILE"), "{answer}");
    let other = place.text("other.pem");
    Authority::new().write(&place.at("other.pem"));
    let answer = pull(&sound, &["--egress-ca", &other]);
    assert!(answer.contains("is of an authority that is not trusted here"), "{answer}");
    let (_server, api) = start(&place.at("data"), &["--registry", &sound.named()]);
    let reference = format!("oci://{}/team/noop@sha256:{}", sound.named(), "0".repeat(64));
    let answer = problem(&api.put_definition("job", &definition(&reference)).await);
    assert!(answer.contains("is of an authority that is not trusted here") && answer.contains("--egress-ca FILE"), "{answer}");

    let expired = registry(&authority.certify_expired(&["localhost"])).expect("as before");
    let answer = pull(&expired, &["--egress-ca", &ca]);
    assert!(answer.contains("its certificate expired 3 days ago: it has to be renewed there"), "{answer}");
    let elsewhere = registry(&authority.certify(&["registry.example", "10.1.2.3"])).expect("as before");
    let answer = pull(&elsewhere, &["--egress-ca", &ca]);
    assert!(
        answer.contains("registry.example") && answer.contains("and not for localhost: use a name that it is for"),
        "{answer}"
    );
    let output = bulkhead(&["plugin", "pull", "oci://localhost:1/x", "--egress-ca", &place.text("x.wasm")]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", words(&said(&output)));
    assert!(!place.at("x.wasm").exists());
}
