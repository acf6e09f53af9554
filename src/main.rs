//! The binary `nonstop`.

fn main() {}
