//! The `fingerpost` program. What it can do is in `fingerpost::commands`.

fn main() -> std::process::ExitCode {
    fingerpost::commands::run()
}
