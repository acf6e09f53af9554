//! Deploys a jar to plain servers over SSH without losing a request.
