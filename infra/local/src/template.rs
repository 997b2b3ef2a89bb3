//! The template, packaged: what `sam package` does, without the SAM CLI.

use std::fs;

use crate::problem::Problem;
use crate::toolbox::Toolbox;

/// What stands in the template where a function's zip is named: this, the function's folder, and [`ZIP`].
const CODE: &str = "CodeUri: ../target/lambda/";

/// The zip in the folder.
const ZIP: &str = "/bootstrap.zip";

/// What emulators get in place of a parameter that they misread, with the value that they are given for it.
const REPLACED: [(&str, &str); 3] = [
    // Ministack takes a number that is a parameter for text, and no longer reads the queue.
    (
        "MaximumConcurrency: !If [KeepsToReserved, !Ref ReservedConcurrency, !Ref MaximumConcurrency]",
        "MaximumConcurrency: 10",
    ),
    // LocalStack takes a list that is a parameter for text when a stack is updated, and cannot join it.
    (
        "HasExtraJobQueues: !Not [!Equals [!Join [\"\", !Ref ExtraJobQueueArns], \"\"]]",
        "HasExtraJobQueues: !Equals [1, 1]",
    ),
    ("!Join [\",\", !Ref ExtraJobQueueArns]", ANY_QUEUE),
];

/// Every queue on this machine can be written to.
pub const ANY_QUEUE: &str = "arn:aws:sqs:*:*:*";

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

/// Replaces each function's path by the object that it was uploaded to, and what emulators misread by values.
///
/// # Errors
/// When a function was not uploaded, or the template does not name it or what is to be replaced.
pub fn package(template: &str, code: &[Uploaded]) -> Result<String, Problem> {
    let mut packaged = template.to_owned();
    for (parameter, value) in REPLACED {
        if !packaged.contains(parameter) {
            return Err(Problem::new(format!("infra/template.yaml has no `{parameter}`")));
        }
        packaged = packaged.replace(parameter, value);
    }
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
        let packaged = package(&read().unwrap(), &["fetch", "api", "send", "audit"].map(uploaded)).unwrap();
        assert!(packaged.contains("      CodeUri: { Bucket: code, Key: fetch/1.zip }\n"));
        assert!(packaged.contains("        MaximumConcurrency: 10\n"));
        assert!(!packaged.contains("../target"));
    }

    #[test]
    fn code_that_is_missing_on_either_side_is_named() {
        let replaced = REPLACED.map(|(parameter, _)| parameter).join("\n");
        let lone = format!("  {replaced}\n  CodeUri: ../target/lambda/send/bootstrap.zip\n");
        let error = package(&lone, &[]).unwrap_err().to_string();
        assert!(error.ends_with("CodeUri: ../target/lambda/send/bootstrap.zip"), "{error}");
        let error = package(&replaced, &[uploaded("fetch")]).unwrap_err().to_string();
        assert!(error.contains("fetch/bootstrap.zip"), "{error}");
        let error = package("Resources: {}", &[]).unwrap_err().to_string();
        assert!(error.contains("MaximumConcurrency"), "{error}");
    }
}
