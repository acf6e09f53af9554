//! What a CI server gets of nonstop: the JUnit report, the webhooks, and the example of a Jenkins pipeline,
//! step by step as Jenkins runs it. Real processes on the embedded fleet, and a real HTTP server.
#![expect(clippy::unwrap_used, reason = "a test that cannot set its scene fails")]

mod hooks;
mod jenkins;
mod jenkinsfile;
mod notify;
mod report;
mod scene;
