//! A small HTTP application inside the binary that stands in for a Spring Boot jar. It is started
//! with java's own command line (`nonstop demo-app -Xmx64m -jar app.jar --server.port=8080`), so the
//! runner `java` starts it unchanged, and the jar is a text file that says how it behaves.

mod arguments;
mod jar;
mod lifecycle;
mod service;

pub use arguments::{AppArguments, AppArgumentsError};
pub use jar::{AtStart, Behaviour, DemoJar, Health, JarError, OnTerm};
#[cfg(test)]
pub(in crate::demo) use lifecycle::serve;
pub use lifecycle::{AppError, main};
#[cfg(test)]
pub(in crate::demo) use service::Service;
