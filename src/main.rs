//! The binary `nonstop`.

fn main() -> std::process::ExitCode {
    #[cfg(feature = "defects")]
    if let Ok(name) = std::env::var("NONSTOP_DEFECT") {
        assert!(nonstop::model::defect::plant_named(&name), "no defect `{name}`");
    }
    nonstop::cli::main()
}
