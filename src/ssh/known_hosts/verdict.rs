//! The verdict on the key or certificate that a server presents.

use std::path::PathBuf;
use std::time::SystemTime;

use russh::keys::{HashAlg, PublicKey, PublicKeyOrCertificate};

use super::certificate::{CertificateFault, check_certificate};
use super::{Entry, KnownHost, Marker};

/// A key as a line of a known_hosts file records it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The file.
    pub file: PathBuf,
    /// The line, counted from 1.
    pub line: usize,
    /// The type of the key, such as `ssh-ed25519`.
    pub algorithm: String,
    /// The key's fingerprint, `SHA256:…`.
    pub fingerprint: String,
}

impl Recorded {
    fn of(entry: &Entry) -> Self {
        Self {
            file: entry.file.clone(),
            line: entry.line,
            algorithm: entry.key.algorithm().to_string(),
            fingerprint: entry.key.fingerprint(HashAlg::Sha256).to_string(),
        }
    }
}

/// What the known_hosts files say about a key that a server presents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The key is recorded, or an authority that is recorded vouches for it.
    Known,
    /// No key is recorded for the host.
    Unknown,
    /// Other keys are recorded for the host, and not this one.
    Changed(Vec<Recorded>),
    /// The key, or the authority that signed it, is revoked here.
    Revoked(Recorded),
    /// A recorded authority signed the certificate, which is not valid for this host now.
    BadCertificate(CertificateFault),
}

impl KnownHost {
    /// Judges what the server presents, at this time. A certificate that no recorded authority
    /// vouches for counts as the plain key in it.
    pub fn judge(&self, presented: &PublicKeyOrCertificate, now: SystemTime) -> Verdict {
        let mut fault = None;
        if let PublicKeyOrCertificate::Certificate(certificate) = presented {
            let authority = PublicKey::from(certificate.signature_key().clone());
            if let Some(entry) = self.revoked(&authority) {
                return Verdict::Revoked(Recorded::of(entry));
            }
            if self.vouches(&authority) {
                match check_certificate(certificate, self.lookup.principal(), now) {
                    Ok(()) if self.revoked(&presented.public_key()).is_none() => return Verdict::Known,
                    Ok(()) => {}
                    Err(found) => fault = Some(found),
                }
            }
        }
        match (self.judge_key(&presented.public_key()), fault) {
            (Verdict::Unknown | Verdict::Changed(_), Some(fault)) => Verdict::BadCertificate(fault),
            (verdict, _) => verdict,
        }
    }

    fn judge_key(&self, key: &PublicKey) -> Verdict {
        if let Some(entry) = self.revoked(key) {
            return Verdict::Revoked(Recorded::of(entry));
        }
        let plain: Vec<_> = self
            .entries
            .iter()
            .filter(|entry| entry.marker.is_none())
            .collect();
        if plain.iter().any(|entry| same(&entry.key, key)) {
            return Verdict::Known;
        }
        if !plain.is_empty() {
            return Verdict::Changed(plain.into_iter().map(Recorded::of).collect());
        }
        let other = &self.without_port;
        let known = other
            .iter()
            .any(|entry| entry.marker.is_none() && same(&entry.key, key));
        if known { Verdict::Known } else { Verdict::Unknown }
    }

    fn vouches(&self, authority: &PublicKey) -> bool {
        let with_port = self.entries.iter();
        let mut entries = with_port.chain(&self.without_port);
        entries.any(|entry| entry.marker == Some(Marker::CertAuthority) && same(&entry.key, authority))
    }

    /// A key that is revoked under the host's name without its port is revoked, too: stricter than
    /// `ssh`, which only stops looking there.
    fn revoked(&self, key: &PublicKey) -> Option<&Entry> {
        let mut entries = self.entries.iter().chain(&self.without_port);
        entries.find(|entry| entry.marker == Some(Marker::Revoked) && same(&entry.key, key))
    }
}

/// Whether two keys are the same, comments aside.
fn same(one: &PublicKey, other: &PublicKey) -> bool {
    one.key_data() == other.key_data()
}
