//! The template, packaged: what `sam package` does, without the SAM CLI.

use std::fs;

use crate::problem::Problem;
use crate::toolbox::Toolbox;

/// What stands in the template where a function's zip is named: this, the function's folder, and [`ZIP`].
const CODE: &str = "CodeUri: ../target/lambda/";

/// The zip in the folder.
const ZIP: &str = "/bootstrap.zip";

/// How many runs the poll queue starts at once, as the template has it, and as an emulator gets it: ministack takes a
/// parameter's number for text, and no longer reads the queue.
const MAXIMUM_CONCURRENCY: (&str, &str) = (
    "MaximumConcurrency: !If [KeepsToReserved, !Ref ReservedConcurrency, !Ref MaximumConcurrency]",
    "MaximumConcurrency: 10",
);

/// Where a zip has been uploaded to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uploaded {
    /// The function's folder below `target/lambda`.
    pub function: &'static str,
    /// The bucket that holds the zip.
    pub bucket: String,
    /// The key; another one for other code, so that an update sees the change.
    pub key: String,
}

/// The text of `infra/template.yaml`.
///
/// # Errors
/// When it cannot be read.
pub fn read() -> Result<String, Problem> {
    let path = Toolbox::root().join("infra/template.yaml");
    fs::read_to_string(&path).map_err(Problem::while_(format!("cannot read {}", path.display())))
}

/// Replaces each function's path by the object that it was uploaded to, and the maximum concurrency by a number.
///
/// # Errors
/// When a function was not uploaded, or the template does not name it or the maximum concurrency.
pub fn package(template: &str, code: &[Uploaded]) -> Result<String, Problem> {
    let (parameter, number) = MAXIMUM_CONCURRENCY;
    if !template.contains(parameter) {
        return Err(Problem::new(format!("infra/template.yaml has no `{parameter}`")));
    }
    let mut packaged = template.replace(parameter, number);
    for Uploaded { function, bucket, key } in code {
        let path = format!("{CODE}{function}{ZIP}");
        if !packaged.contains(&path) {
            return Err(Problem::new(format!("infra/template.yaml has no `{path}`")));
        }
        packaged = packaged.replace(&path, &format!("CodeUri: {{ Bucket: {bucket}, Key: {key} }}"));
    }
    match packaged.lines().find(|line| line.contains(CODE)) {
        Some(line) => {
            Err(Problem::new(format!("infra/template.yaml names code that is not built: {}", line.trim())))
        }
        None => Ok(packaged),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uploaded(function: &'static str) -> Uploaded {
        Uploaded { function, bucket: "code".to_owned(), key: format!("{function}/1.zip") }
    }

    #[test]
    fn the_template_as_it_is_can_be_packaged() {
        let packaged =
            package(&read().unwrap(), &[uploaded("fetch"), uploaded("api"), uploaded("send")]).unwrap();
        assert!(packaged.contains("      CodeUri: { Bucket: code, Key: fetch/1.zip }\n"));
        assert!(packaged.contains("        MaximumConcurrency: 10\n"));
        assert!(!packaged.contains("../target"));
    }

    #[test]
    fn code_that_is_missing_on_either_side_is_named() {
        let (concurrency, _) = MAXIMUM_CONCURRENCY;
        let lone = format!("  {concurrency}\n  CodeUri: ../target/lambda/send/bootstrap.zip\n");
        let error = package(&lone, &[]).unwrap_err().to_string();
        assert!(error.ends_with("CodeUri: ../target/lambda/send/bootstrap.zip"), "{error}");
        let error = package(concurrency, &[uploaded("fetch")]).unwrap_err().to_string();
        assert!(error.contains("fetch/bootstrap.zip"), "{error}");
        let error = package("Resources: {}", &[]).unwrap_err().to_string();
        assert!(error.contains("MaximumConcurrency"), "{error}");
    }
}
