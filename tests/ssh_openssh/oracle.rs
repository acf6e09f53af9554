//! Our verdicts on host keys beside those of `ssh` itself, over the files of `tests/known_hosts`.
//!
//! `ssh` talks to an `sshd -i` behind a ProxyCommand, so that any name and any port can be asked for.
//! It has no key to log in with: "permission denied" means that it accepted the host.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use nonstop::ssh::known_hosts::{KnownHost, Lookup, Verdict};
use russh::keys::{PublicKeyOrCertificate, load_openssh_certificate, load_public_key};
use tempfile::TempDir;

use super::fixture::{key, public, run};

/// The keys of the test, and a server configuration for each thing that may be presented.
struct World {
    folder: TempDir,
    places: BTreeMap<&'static str, String>,
}

/// One question of a case file.
struct Question {
    host: String,
    port: u16,
    presents: String,
    verdict: String,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path();
        let ed25519 = ["-t", "ed25519"];
        let mut places = BTreeMap::new();
        for place in ["key", "other", "ca", "other-ca"] {
            places.insert(place, key(path, place, &ed25519));
        }
        places.insert("rsa", key(path, "rsa", &["-t", "rsa", "-b", "2048"]));
        let places = places.into_iter().map(|(place, file)| {
            let text = public(&file);
            let without_comment: Vec<_> = text.split(' ').take(2).collect();
            (place, without_comment.join(" "))
        });
        let world = Self {
            places: places.collect(),
            folder,
        };
        world.certify("certificate", &["-h", "-n", "app.example.com"]);
        world.certify(
            "expired",
            &["-h", "-n", "app.example.com", "-V", "20200101:20200102"],
        );
        world.certify("for-users", &["-n", "app.example.com"]);
        world.certify("for-others", &["-h", "-n", "db.example.com"]);
        world.certify("for-any", &["-h"]);
        world.configure("key", "");
        world
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Signs the host's key, and configures a server that presents the certificate.
    fn certify(&self, name: &str, options: &[&str]) {
        let copy = self.at(&format!("{name}.pub"));
        fs::copy(self.at("key.pub"), &copy).expect("copied");
        let (ca, copy) = (self.at("ca"), copy.to_str().expect("text").to_owned());
        let arguments = [
            &["-q", "-s", ca.to_str().expect("text"), "-I", name],
            options,
            &[copy.as_str()],
        ];
        run("ssh-keygen", &arguments.concat());
        let certificate = self.at(&format!("{name}-cert.pub"));
        self.configure(name, &format!("HostCertificate {}", certificate.display()));
    }

    fn configure(&self, name: &str, line: &str) {
        let text = format!(
            "HostKey {}\nUsePAM no\nStrictModes no\n{line}\n",
            self.at("key").display()
        );
        fs::write(self.at(&format!("{name}.conf")), text).expect("written");
    }

    /// What the server of this name presents.
    fn presented(&self, name: &str) -> PublicKeyOrCertificate {
        if name == "key" {
            return load_public_key(self.at("key.pub")).expect("a key").into();
        }
        let certificate = load_openssh_certificate(self.at(&format!("{name}-cert.pub")));
        certificate.expect("a certificate").into()
    }

    /// A case file with its places filled in.
    fn fill(&self, case: &str, hash: bool) -> PathBuf {
        let mut text = case.to_owned();
        for (place, key) in &self.places {
            text = text.replace(&format!("{{{place}}}"), key);
        }
        let file = self.at("known_hosts");
        fs::write(&file, text).expect("written");
        if hash {
            run("ssh-keygen", &["-q", "-H", "-f", file.to_str().expect("text")]);
            assert!(fs::read_to_string(&file).expect("text").contains("|1|"));
        }
        file
    }

    fn ours(&self, file: &Path, question: &Question) -> &'static str {
        let lookup = Lookup::host(&question.host, question.port);
        let known = KnownHost::read(lookup, &[file.to_path_buf()]).expect("readable");
        match known.judge(&self.presented(&question.presents), SystemTime::now()) {
            Verdict::Known => "known",
            Verdict::Unknown => "unknown",
            Verdict::Changed(_) => "changed",
            Verdict::Revoked(_) => "revoked",
            Verdict::BadCertificate(_) => "bad-certificate",
        }
    }

    fn theirs(&self, file: &Path, question: &Question) -> &'static str {
        let _ = fs::create_dir_all("/run/sshd");
        let server = self.at(&format!("{}.conf", question.presents));
        let mut command = Command::new("ssh");
        command.args([
            "-F",
            "none",
            "-o",
            "BatchMode=yes",
            "-o",
            "StrictHostKeyChecking=yes",
        ]);
        command.args([
            "-o",
            "GlobalKnownHostsFile=none",
            "-o",
            "IdentityFile=none",
            "-o",
            "IdentityAgent=none",
        ]);
        command.args(["-o", "KexAlgorithms=curve25519-sha256", "-o", "ConnectTimeout=20"]);
        command
            .arg("-o")
            .arg(format!("UserKnownHostsFile={}", file.display()));
        command
            .arg("-o")
            .arg(format!("ProxyCommand=/usr/sbin/sshd -i -f {}", server.display()));
        command
            .args(["-p", &question.port.to_string(), &question.host, "true"])
            .stdin(Stdio::null());
        let output = command.output().expect("ssh; apt package: openssh-client");
        let words = String::from_utf8_lossy(&output.stderr);
        let has = |text: &str| words.contains(text);
        match () {
            () if has("REVOKED HOST KEY") || has("is marked as revoked") => "revoked",
            () if has("IDENTIFICATION HAS CHANGED") => "changed",
            () if has("key is known for") => "unknown",
            () if has("Permission denied") => "known",
            () => panic!("ssh says: {words}"),
        }
    }
}

fn questions(case: &str) -> Vec<Question> {
    let asked = case.lines().filter_map(|line| line.strip_prefix("# ask: "));
    let questions = asked.map(|line| {
        let words: Vec<_> = line.split(' ').collect();
        let [host, port, presents, "->", verdict] = words[..] else {
            panic!("`{line}`")
        };
        let port = port.parse().expect("a port");
        Question {
            host: host.into(),
            port,
            presents: presents.into(),
            verdict: verdict.into(),
        }
    });
    questions.collect()
}

#[test]
fn our_verdicts_are_those_of_ssh() {
    let world = World::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/known_hosts");
    let mut files: Vec<_> = fs::read_dir(folder)
        .expect("cases")
        .map(|entry| entry.expect("one").path())
        .collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    assert!(files.len() >= 15, "the cases are gone");
    let mut wrong = Vec::new();
    for case in files {
        let text = fs::read_to_string(&case).expect("text");
        let name = case.file_name().expect("a name").to_string_lossy().into_owned();
        let has = |word: &str| text.lines().any(|line| line == word);
        let (hash, stricter) = (has("# hash"), has("# stricter"));
        let file = world.fill(&text, hash);
        let questions = questions(&text);
        assert!(!questions.is_empty(), "{name} asks nothing");
        for question in questions {
            let (ours, theirs) = (world.ours(&file, &question), world.theirs(&file, &question));
            let same = match ours {
                // ssh then treats the certificate as if it were none.
                "bad-certificate" => theirs == "unknown" || theirs == "changed",
                _ => (ours == theirs) != stricter,
            };
            if !same || ours != question.verdict {
                let Question {
                    host,
                    port,
                    presents,
                    verdict,
                } = question;
                wrong.push(format!(
                    "{name}: {host} {port} {presents}: wanted {verdict}, ours {ours}, ssh {theirs}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
