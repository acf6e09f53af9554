//! The keys of a run: each file is read once, and each passphrase is asked for once.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use russh::keys::PrivateKey;

use super::key_file::{self, KeyError, KeyFile};
use super::{Passphrase, Prompt};

/// How often a person may mistype.
const TRIES: usize = 3;

/// The keys of a run.
#[derive(Debug)]
pub(in super::super) struct KeyRing {
    passphrase: Option<Passphrase>,
    prompt: Prompt,
    files: Mutex<HashMap<PathBuf, Result<KeyFile, KeyError>>>,
    /// One question at a time on the terminal, and one derivation for each file.
    unlocking: tokio::sync::Mutex<()>,
}

impl KeyRing {
    pub(in super::super) fn new(passphrase: Option<Passphrase>, prompt: Prompt) -> Self {
        let unlocking = tokio::sync::Mutex::new(());
        Self {
            passphrase,
            prompt,
            files: Mutex::default(),
            unlocking,
        }
    }

    /// The key file as far as it is known; reads it the first time.
    pub(in super::super) fn check(&self, file: &Path) -> Result<(), KeyError> {
        self.look(file).map(|_| ())
    }

    pub(super) fn look(&self, file: &Path) -> Result<KeyFile, KeyError> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files
            .entry(file.to_path_buf())
            .or_insert_with(|| key_file::read(file))
            .clone()
    }

    fn keep(&self, file: &Path, state: Result<KeyFile, KeyError>) {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.insert(file.to_path_buf(), state);
    }

    /// Whether there is a way to open locked keys at all.
    pub(super) fn can_unlock(&self) -> bool {
        self.passphrase.is_some() || self.prompt == Prompt::Terminal
    }

    /// Opens a locked key with the passphrase that is there, or else asks for one. Returns an error
    /// if neither opens it; the error is kept, so that nobody is asked twice.
    pub(in super::super) async fn unlock(&self, file: &Path) -> Result<(), KeyError> {
        let _one_at_a_time = self.unlocking.lock().await;
        let KeyFile::Locked { text, .. } = self.look(file)? else {
            return Ok(());
        };
        let opened = self.open(file, &text).await;
        self.keep(file, opened.clone().map(KeyFile::Open));
        opened.map(|_| ())
    }

    async fn open(&self, file: &Path, text: &Arc<str>) -> Result<Arc<PrivateKey>, KeyError> {
        let mut result = Err(KeyError::Locked(file.to_path_buf()));
        if let Some(passphrase) = &self.passphrase {
            result = derive(file, text, passphrase.0.clone()).await;
        }
        for _ in 0..TRIES {
            if result.is_ok() || self.prompt == Prompt::Never {
                break;
            }
            let Some(passphrase) = ask(file).await else { break };
            result = derive(file, text, passphrase).await;
        }
        result
    }
}

async fn derive(file: &Path, text: &Arc<str>, passphrase: String) -> Result<Arc<PrivateKey>, KeyError> {
    let (file, text) = (file.to_path_buf(), Arc::clone(text));
    let unlocked = tokio::task::spawn_blocking(move || key_file::unlock(&file, &text, &passphrase));
    unlocked.await.expect("unlocking does not panic")
}

/// Asks on the terminal; `None` where there is none, or no answer.
async fn ask(file: &Path) -> Option<String> {
    let question = format!("Passphrase for {}: ", file.display());
    let answer = tokio::task::spawn_blocking(move || rpassword::prompt_password(question));
    answer
        .await
        .expect("asking does not panic")
        .ok()
        .filter(|answer| !answer.is_empty())
}
