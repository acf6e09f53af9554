//! Whether a host certificate, signed by an authority that is recorded, is valid for a host now.

use std::time::SystemTime;

use russh::keys::ssh_key::certificate::CertType;
use russh::keys::{Algorithm, Certificate, HashAlg};

/// Why a host certificate is refused although its authority is recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateFault {
    /// It is meant for users.
    #[error("the certificate is no host certificate")]
    NotForHosts,
    /// It names other hosts.
    #[error("the certificate is for {}, not for {host}", .principals.join(", "))]
    OtherHost {
        /// The host that was asked for.
        host: String,
        /// The hosts that it is for.
        principals: Vec<String>,
    },
    /// Its time has not come, or is over, or its signature does not hold.
    #[error("the certificate is not valid now, or its signature does not hold")]
    NotValid,
    /// It carries a critical option, and none is defined for hosts.
    #[error("the certificate carries critical options")]
    CriticalOptions,
    /// It is signed with an algorithm that is too weak.
    #[error("the certificate is signed with {0}, which is too weak")]
    WeakSignature(String),
}

pub(super) fn check_certificate(
    certificate: &Certificate,
    host: &str,
    now: SystemTime,
) -> Result<(), CertificateFault> {
    if certificate.cert_type() != CertType::Host {
        return Err(CertificateFault::NotForHosts);
    }
    let signed_with = certificate.signature().algorithm();
    if matches!(signed_with, Algorithm::Rsa { hash: None } | Algorithm::Dsa) {
        return Err(CertificateFault::WeakSignature(signed_with.to_string()));
    }
    let authority = certificate.signature_key().fingerprint(HashAlg::Sha256);
    let now = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    if certificate.validate_at(now, [&authority]).is_err() {
        return Err(CertificateFault::NotValid);
    }
    if !certificate.critical_options().is_empty() {
        return Err(CertificateFault::CriticalOptions);
    }
    // PROTOCOL.certkeys: a certificate without principals is valid for every host.
    let principals = certificate.valid_principals();
    if !principals.is_empty() && !principals.iter().any(|principal| principal == host) {
        return Err(CertificateFault::OtherHost {
            host: host.to_owned(),
            principals: principals.to_vec(),
        });
    }
    Ok(())
}
