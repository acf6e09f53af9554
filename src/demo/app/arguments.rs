//! The words after `demo-app`, as a JVM and Spring Boot would read them.

use std::net::IpAddr;
use std::path::PathBuf;

/// What the command line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppArguments {
    /// The file after `-jar`.
    pub jar: PathBuf,
    /// `--server.port=N`; 8080 without it, as Spring Boot has it.
    pub port: u16,
    /// `--server.address=IP`; all addresses of IPv4 without it.
    pub address: IpAddr,
    /// `--spring.profiles.active=NAME`.
    pub profile: String,
}

/// Says why the command line cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppArgumentsError {
    /// There is no `-jar FILE`.
    #[error("no `-jar FILE` among the arguments")]
    NoJar,
    /// An option has a value that it cannot have.
    #[error("`{option}` cannot be `{value}`")]
    BadValue {
        /// The option.
        option: &'static str,
        /// Its value.
        value: String,
    },
}

impl AppArguments {
    /// Reads the words after `demo-app`. Options of the JVM before `-jar`, and options of an
    /// application that are not known here, are passed over.
    pub fn parse<S: AsRef<str>>(words: &[S]) -> Result<Self, AppArgumentsError> {
        let mut words = words.iter().map(AsRef::as_ref);
        words
            .find(|word| *word == "-jar")
            .ok_or(AppArgumentsError::NoJar)?;
        let mut read = Self {
            jar: words.next().ok_or(AppArgumentsError::NoJar)?.into(),
            port: 8080,
            address: IpAddr::from([0, 0, 0, 0]),
            profile: "default".to_owned(),
        };
        for word in words {
            let Some((name, value)) = word.strip_prefix("--").and_then(|option| option.split_once('='))
            else {
                continue;
            };
            match name {
                "server.port" => read.port = parsed("--server.port", value)?,
                "server.address" => read.address = parsed("--server.address", value)?,
                "spring.profiles.active" => value.clone_into(&mut read.profile),
                _ => {}
            }
        }
        Ok(read)
    }
}

fn parsed<T: std::str::FromStr>(option: &'static str, value: &str) -> Result<T, AppArgumentsError> {
    value.parse().map_err(|_| AppArgumentsError::BadValue {
        option,
        value: value.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_of_a_jvm_is_understood() {
        let words = "-Xmx64m -Dx=y -jar app.jar --server.port=8081 --spring.profiles.active=real2 --debug";
        let words: Vec<&str> = words.split(' ').collect();
        let read = AppArguments::parse(&words).unwrap();
        assert_eq!(
            (read.jar, read.port, read.profile),
            ("app.jar".into(), 8081, "real2".to_owned())
        );
        assert_eq!(
            AppArguments::parse(&["--server.port=1"]),
            Err(AppArgumentsError::NoJar)
        );
        let error = AppArguments::parse(&["-jar", "x", "--server.port=99999"]).unwrap_err();
        assert_eq!(error.to_string(), "`--server.port` cannot be `99999`");
    }
}
