//! Files of one crate import each other in one direction: no file imports, directly or through others, a file that
//! imports it.
//!
//! What counts as an import:
//! - A `use`, and a path in code, in the tokens of a macro call, or in an attribute (`#[serde(with = "crate::a::b")]`).
//!   `crate::`, `self::`, `super::`, child modules and imported names are resolved.
//! - A path is followed through re-exports and imports to the file that defines the item. Where that file cannot be
//!   told, such as for an item that a macro makes, it is the last module that the path names.
//! - `mod child;` is a declaration, not an import. Neither is a re-export of a descendant (`pub use child::Item`): it
//!   only lends a name. It becomes one as soon as the file uses that name itself. So a child may use its parent's items
//!   while the parent re-exports the child's, and may not while the parent works with them.
//!
//! What only tests compile (`#[cfg(test)]`) is left out. What no path names (methods, macros by the order of the text)
//! is not seen.

mod source;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use source::{Module, ModulePath, Modules, read_crate};

use crate::workspace::{Workspace, root};

/// Who imports whom, and a path that does it.
type Imports<'a> = BTreeMap<(&'a Path, &'a Path), String>;

/// Re-exports that lead to each other are followed this far.
const MAX_STEPS: u32 = 16;

#[test]
fn no_file_imports_a_file_that_imports_it() {
    let read = |file: &Path| std::fs::read_to_string(file).ok();
    let mut report = String::new();
    for source in Workspace::read().roots() {
        for circle in circles(&read_crate(&source, &read)) {
            report += "\n";
            for (from, to, path) in circle {
                let shown = |file: &Path| file.strip_prefix(root()).unwrap_or(file).display().to_string();
                report += &format!("  {} → {}   {path}\n", shown(&from), shown(&to));
            }
        }
    }
    assert!(
        report.is_empty(),
        "these files import each other. Move what both need into a file that imports neither, or hand it over as an \
         argument:\n{report}"
    );
}

/// The circles of a crate: of each, every import between its files.
fn circles(modules: &Modules) -> Vec<Vec<(PathBuf, PathBuf, String)>> {
    let imports = imports(modules);
    let mut reached: BTreeMap<&Path, BTreeSet<&Path>> = BTreeMap::new();
    for (from, _) in imports.keys() {
        let (seen, mut next) = (reached.entry(from).or_default(), vec![*from]);
        while let Some(file) = next.pop() {
            next.extend(imports.keys().filter(|(by, to)| *by == file && seen.insert(to)).map(|(_, to)| to));
        }
    }
    let reaches = |from: &Path, to: &Path| reached.get(from).is_some_and(|files| files.contains(to));
    let mut circles: BTreeMap<&Path, Vec<_>> = BTreeMap::new();
    for ((from, to), path) in &imports {
        if reaches(to, from) {
            // A circle is known by the first of its files.
            let first =
                reached.keys().find(|file| reaches(file, from) && reaches(from, file)).unwrap_or(from);
            circles.entry(first).or_default().push((from.to_path_buf(), to.to_path_buf(), path.clone()));
        }
    }
    circles.into_values().collect()
}

fn imports(modules: &Modules) -> Imports<'_> {
    let mut imports = Imports::new();
    for (at, module) in modules {
        let lent = module
            .imports
            .iter()
            .filter(|import| !(import.public && names_descendant(modules, at, &import.path)));
        for path in module.paths.iter().chain(lent.map(|import| &import.path)) {
            match find(modules, at, path, MAX_STEPS) {
                Found::In(file) | Found::Below(file) if file != module.file => {
                    // Of several, the one that says most.
                    let shown = imports.entry((&module.file, file)).or_default();
                    if shown.is_empty() || shown.split("::").count() < path.len() {
                        *shown = path.join("::");
                    }
                }
                Found::In(_) | Found::Below(_) | Found::Outside => {}
            }
        }
    }
    imports
}

/// Whether a path, as it is written, leads to a module below this one.
fn names_descendant(modules: &Modules, at: &[String], path: &[String]) -> bool {
    let full = match start(modules, at, path) {
        Some((from, rest)) => [from, rest].concat(),
        None => return false,
    };
    full.len() > at.len()
        && full.starts_with(at)
        && full.get(..=at.len()).is_some_and(|child| modules.contains_key(child))
}

/// Where a path leads.
enum Found<'a> {
    /// To an item, or a module, of this file.
    In(&'a Path),
    /// To something in this file's module that is not found there.
    Below(&'a Path),
    /// To another crate, or to nothing that is known.
    Outside,
}

/// The module that a path begins at, and what follows.
fn start<'a>(
    modules: &Modules,
    at: &'a [String],
    path: &'a [String],
) -> Option<(&'a [String], &'a [String])> {
    let (first, rest) = path.split_first()?;
    match first.as_str() {
        "crate" => Some((&[], rest)),
        "self" => Some((at, rest)),
        "super" => {
            let ups = path.iter().take_while(|segment| *segment == "super").count();
            Some((at.get(..at.len().checked_sub(ups)?)?, path.get(ups..)?))
        }
        first => modules.get(at).is_some_and(|module| module.knows(first)).then_some((at, path)),
    }
}

/// The file in which the item stands that `path` names in the module `at`.
fn find<'a>(modules: &'a Modules, at: &[String], path: &[String], steps: u32) -> Found<'a> {
    let Some(steps) = steps.checked_sub(1) else { return Found::Outside };
    let Some((from, mut rest)) = start(modules, at, path) else {
        return through_globs(modules, at, path, steps).unwrap_or(Found::Outside);
    };
    let mut place: ModulePath = from.to_vec();
    while let Some(module) = modules.get(&place) {
        let Some((name, tail)) = rest.split_first() else { return Found::In(&module.file) };
        let child = [place.as_slice(), std::slice::from_ref(name)].concat();
        let import = module.imports.iter().find(|import| import.name.as_ref() == Some(name));
        // A name can be a module's and an item's. Where more follows, it is the module's.
        if modules.contains_key(&child) && (import.is_none() || !tail.is_empty()) {
            (place, rest) = (child, tail);
        } else if let Some(import) = import {
            return find(modules, &place, &[&import.path, tail].concat(), steps);
        } else if module.items.contains(name) {
            return Found::In(&module.file);
        } else {
            let found = through_globs(modules, &place, rest, steps);
            return found.unwrap_or(Found::Below(&module.file));
        }
    }
    Found::Outside
}

/// The same, for a name that only `use …::*` can have brought.
fn through_globs<'a>(modules: &'a Modules, at: &[String], path: &[String], steps: u32) -> Option<Found<'a>> {
    let module: &Module = modules.get(at)?;
    let mut found = module.globs.iter().map(|glob| find(modules, at, &[glob, path].concat(), steps));
    found.find(|found| matches!(found, Found::In(_)))
}
