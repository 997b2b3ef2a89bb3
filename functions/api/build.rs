//! Writes the OpenAPI document, made from the types of the bodies and the table of routes.
#![expect(
    clippy::disallowed_methods,
    reason = "cargo tells a build script where to write by its environment"
)]

use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::var("OUT_DIR")?;
    std::fs::write(
        Path::new(&folder).join("openapi.json"),
        mailroom_contract::openapi::document().to_string(),
    )?;
    println!("cargo::rerun-if-changed=build.rs");
    Ok(())
}
