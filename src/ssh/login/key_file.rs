//! Reads a private key's file.

use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::unistd::Uid;
use russh::keys::{PrivateKey, PublicKey, decode_secret_key, load_public_key};

/// A key file is larger than this only by mistake.
const LARGEST_BYTES: u64 = 1 << 20;

/// Why a key file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// There is no such file.
    #[error("the key file {} does not exist", .0.display())]
    Missing(PathBuf),
    /// The file cannot be read.
    #[error("the key file {} cannot be read: {reason}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why not.
        reason: String,
    },
    /// Others may read it; `ssh` refuses such a key, too. `chmod 600` mends it.
    #[error("the key file {} has mode {mode:04o}: others may read it", file.display())]
    TooOpen {
        /// The file.
        file: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It is encrypted, and there is neither a passphrase nor a terminal to ask for one.
    #[error("the key file {} is encrypted and there is no passphrase", .0.display())]
    Locked(PathBuf),
    /// The passphrase does not open it.
    #[error("the passphrase does not open the key file {}", .0.display())]
    WrongPassphrase(PathBuf),
    /// It holds no key that we understand.
    #[error("the key file {} cannot be understood: {reason}", file.display())]
    Format {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// A key file as it was read.
#[derive(Debug, Clone)]
pub(super) enum KeyFile {
    Open(Arc<PrivateKey>),
    Locked {
        text: Arc<str>,
        public: Option<PublicKey>,
    },
}

impl KeyFile {
    pub(super) fn public(&self) -> Option<&PublicKey> {
        match self {
            Self::Open(key) => Some(key.public_key()),
            Self::Locked { public, .. } => public.as_ref(),
        }
    }
}

pub(super) fn read(file: &Path) -> Result<KeyFile, KeyError> {
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => KeyError::Missing(file.to_path_buf()),
        _ => KeyError::Unreadable {
            file: file.to_path_buf(),
            reason: error.to_string(),
        },
    };
    let metadata = std::fs::metadata(file).map_err(unreadable)?;
    let mode = metadata.permissions().mode() & 0o7777;
    // OpenSSH's `sshkey_perm_ok` looks at the files of the user who runs it only.
    if metadata.uid() == Uid::current().as_raw() && mode & 0o077 != 0 {
        return Err(KeyError::TooOpen {
            file: file.to_path_buf(),
            mode,
        });
    }
    if !metadata.is_file() || metadata.len() > LARGEST_BYTES {
        let reason = "it is no file of a sensible size".to_owned();
        return Err(KeyError::Format {
            file: file.to_path_buf(),
            reason,
        });
    }
    let text = std::fs::read_to_string(file).map_err(unreadable)?;
    understand(file, &text)
}

fn understand(file: &Path, text: &str) -> Result<KeyFile, KeyError> {
    let encrypted_pem = text.contains("ENCRYPTED");
    if !encrypted_pem {
        match decode_secret_key(text, None) {
            Ok(key) => return Ok(KeyFile::Open(Arc::new(key))),
            Err(russh::keys::Error::KeyIsEncrypted) => {}
            Err(error) => {
                return Err(KeyError::Format {
                    file: file.to_path_buf(),
                    reason: error.to_string(),
                });
            }
        }
    } else if text.contains("DEK-Info:") && !text.contains("DEK-Info: AES-128-CBC") {
        let reason = "its old PEM encryption is not supported; `ssh-keygen -p -f FILE` writes it anew";
        return Err(KeyError::Format {
            file: file.to_path_buf(),
            reason: reason.to_owned(),
        });
    }
    let inside = PrivateKey::from_openssh(text)
        .ok()
        .map(|key| key.public_key().clone());
    let public = inside.or_else(|| {
        let mut beside = file.as_os_str().to_owned();
        beside.push(".pub");
        load_public_key(PathBuf::from(beside)).ok()
    });
    Ok(KeyFile::Locked {
        text: text.into(),
        public,
    })
}

/// Opens an encrypted key; the derivation of its key takes long on purpose.
pub(super) fn unlock(file: &Path, text: &str, passphrase: &str) -> Result<Arc<PrivateKey>, KeyError> {
    let key = decode_secret_key(text, Some(passphrase));
    key.map(Arc::new)
        .map_err(|_| KeyError::WrongPassphrase(file.to_path_buf()))
}
