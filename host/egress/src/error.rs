//! What an error of hyper, of a connection or of TLS is to whoever asked.

use std::error::Error;
use std::io;

use bulkhead_engine::egress::EgressError;
use rustls::pki_types::UnixTime;
use rustls::{CertificateError, OtherError};

/// What hyper says of a head with too many bytes or fields; it tells it apart by its text alone.
const TOO_LARGE: &str = "too large";
/// What webpki calls an authority's certificate where a server's should be, which has no variant of its own in rustls.
const AUTHORITY_AS_SERVER: &str = "CaUsedAsEndEntity";
/// Names of a certificate that are told.
const MAX_NAMES_TOLD: usize = 5;
const SECONDS_PER_DAY: u64 = 86_400;

/// What ended a request before its answer.
pub(crate) fn of_request(error: &hyper_util::client::legacy::Error, host: &str) -> EgressError {
    let mut tls = None;
    let mut hyper = None;
    let mut known = None;
    each(error, &mut |source| {
        known = known.take().or_else(|| source.downcast_ref::<EgressError>().cloned());
        tls = tls.take().or_else(|| source.downcast_ref::<rustls::Error>().cloned());
        hyper = hyper.take().or_else(|| source.downcast_ref::<hyper::Error>().map(of_hyper));
    });
    if let Some(known) = known {
        return known;
    }
    let host = host.to_owned();
    match (tls, hyper) {
        (Some(rustls::Error::InvalidCertificate(error)), _) => {
            EgressError::Tls { host, reason: of_certificate(&error), certificate: true }
        }
        (Some(tls), _) => {
            let certificate = matches!(tls, rustls::Error::NoCertificatesPresented);
            EgressError::Tls { host, reason: tls.to_string(), certificate }
        }
        (None, Some(error)) => error,
        (None, None) => EgressError::Connect { host, reason: innermost(error) },
    }
}

/// What is wrong with a certificate, and what to do.
fn of_certificate(error: &CertificateError) -> String {
    use CertificateError as Error;
    let days = |from: &UnixTime, to: &UnixTime| to.as_secs().saturating_sub(from.as_secs()) / SECONDS_PER_DAY;
    match error {
        // A bad signature is one of another authority of that name: of one that was made anew, mostly.
        Error::UnknownIssuer | Error::BadSignature => {
            "its certificate is of an authority that is not trusted here: if it is yours, name the authority's \
             certificate with --egress-ca FILE, or add it to what this machine trusts"
                .to_owned()
        }
        Error::ExpiredContext { time, not_after } => format!(
            "its certificate expired {} days ago: it has to be renewed there, unless this machine's clock is wrong",
            days(not_after, time)
        ),
        Error::NotValidYetContext { time, not_before } => {
            format!("its certificate begins in {} days: this machine's clock may be wrong", days(time, not_before))
        }
        Error::NotValidForNameContext { expected, presented } => {
            let names: Vec<_> = presented.iter().take(MAX_NAMES_TOLD).map(String::as_str).collect();
            let more = if presented.len() > names.len() { ", …" } else { "" };
            let names = if names.is_empty() { "no name".to_owned() } else { names.join(", ") + more };
            format!(
                "its certificate is for {names} and not for {}: use a name that it is for, or have it made for this one",
                expected.to_str()
            )
        }
        // An authority's own certificate where a server's should be: what `openssl req -x509` makes unless told otherwise.
        Error::Other(OtherError(other)) if other.to_string().contains(AUTHORITY_AS_SERVER) => {
            "its certificate is that of an authority: a server needs one of its own, which an authority signed".to_owned()
        }
        other => format!("its certificate is refused: {other}"),
    }
}

/// What broke an answer in its middle.
pub(crate) fn of_body(error: &hyper::Error) -> EgressError {
    of_hyper(error)
}

fn of_hyper(error: &hyper::Error) -> EgressError {
    let mut known = None;
    let mut broke = false;
    each(error, &mut |source| {
        known = known.take().or_else(|| source.downcast_ref::<EgressError>().cloned());
        broke |= source.downcast_ref::<io::Error>().is_some();
    });
    if let Some(known) = known {
        known
    } else if error.is_parse() && error.to_string().contains(TOO_LARGE) {
        EgressError::HeadTooLarge
    } else if error.is_incomplete_message() || error.is_canceled() || (broke && !error.is_parse()) {
        EgressError::Incomplete(innermost(error))
    } else {
        EgressError::Protocol(innermost(error))
    }
}

/// Visits an error and all below it. What an I/O error wraps is not among its sources.
fn each(error: &(dyn Error + 'static), visit: &mut dyn FnMut(&(dyn Error + 'static))) {
    visit(error);
    if let Some(inner) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        each(inner, visit);
    } else if let Some(source) = error.source() {
        each(source, visit);
    }
}

/// The last of an error's sources, which says what happened.
fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    each(error, &mut |source| text = source.to_string());
    text
}
