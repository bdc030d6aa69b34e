//! The `fingerpost` program. What it can do is in `fingerpost::commands`.

/// Reading and writing FHIR makes and frees many small values on several threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    fingerpost::commands::run()
}
