//! The binary `nonstop`.

fn main() -> std::process::ExitCode {
    nonstop::cli::main()
}
