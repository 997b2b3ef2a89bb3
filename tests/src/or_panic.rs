//! An error of the set-up, with its sources, is the report of a test that cannot run.

pub(crate) fn or_panic<T, E: std::error::Error>(result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            text += &format!(": {error}");
            source = error.source();
        }
        panic!("{text}")
    })
}
