//! The HTTP client of this machine, for webhooks and probes: what it trusts, and what it says of an answer that
//! did not come. Requests to hosts go through SSH and not through here.

use std::sync::Arc;
use std::time::Duration;

use ureq::tls::{RootCerts, TlsConfig};

use crate::report::harmless::harmless;

/// A client whose requests are over after `deadline`, connecting included.
pub(super) fn agent(deadline: Duration) -> ureq::Agent {
    let roots = TlsConfig::builder()
        // What this machine trusts: a company's own servers have an authority of their own.
        .root_certs(RootCerts::PlatformVerifier)
        .unversioned_rustls_crypto_provider(Arc::new(tokio_rustls::rustls::crypto::ring::default_provider()))
        .build();
    ureq::Agent::config_builder()
        .timeout_global(Some(deadline))
        .http_status_as_error(false)
        // An address may be a secret, and is told to nobody whom an answer names.
        .max_redirects(0)
        .max_redirects_will_error(false)
        // A connection for each request: one that is kept alive is closed by every reload of nginx.
        .max_idle_connections(0)
        .user_agent(concat!("nonstop/", env!("CARGO_PKG_VERSION")))
        .tls_config(roots)
        .build()
        .into()
}

/// Why there is no answer, for people. It never holds the address.
pub(super) fn reason(error: &ureq::Error, deadline: Duration) -> String {
    match error {
        ureq::Error::Timeout(_) => too_late(deadline),
        ureq::Error::HostNotFound => "its host is not known".to_owned(),
        ureq::Error::BadUri(_) | ureq::Error::Http(_) => "its address makes no sense".to_owned(),
        error => harmless(&error.to_string()),
    }
}

/// What is said of a deadline that is over.
pub(super) fn too_late(deadline: Duration) -> String {
    format!("no answer within {}", humantime::format_duration(deadline))
}
