//! What an error of hyper, of a connection or of TLS is to whoever asked.

use std::error::Error;
use std::io;

use bulkhead_engine::egress::EgressError;

/// What hyper says of a head with too many bytes or fields; it tells it apart by its text alone.
const TOO_LARGE: &str = "too large";

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
        (Some(tls), _) => {
            let certificate = matches!(tls, rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented);
            EgressError::Tls { host, reason: tls.to_string(), certificate }
        }
        (None, Some(error)) => error,
        (None, None) => EgressError::Connect { host, reason: innermost(error) },
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
