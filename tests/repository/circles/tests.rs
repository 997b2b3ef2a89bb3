use std::collections::BTreeMap;
use std::path::Path;

use super::circles;
use super::source::read_crate;

/// The imports of all circles among these files, of which the first is the crate's root.
fn found(files: &[(&str, &str)]) -> Vec<String> {
    let by_name: BTreeMap<&str, &str> = files.iter().copied().collect();
    let read = |file: &Path| by_name.get(file.to_str()?).map(|text| (*text).to_owned());
    let circles = circles(&read_crate(Path::new(files[0].0), &read));
    let shown = |(from, to, _): (std::path::PathBuf, std::path::PathBuf, String)| {
        format!("{} → {}", from.display(), to.display())
    };
    circles.into_iter().flatten().map(shown).collect()
}

#[test]
fn two_files_that_import_each_other_are_a_circle() {
    let files = [
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "use crate::b::B; pub struct A;"),
        ("b.rs", "use crate::a::A; pub struct B;"),
    ];
    assert_eq!(found(&files), ["a.rs → b.rs", "b.rs → a.rs"]);
}

#[test]
fn three_files_are_a_circle_through_super() {
    let files = [
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a.rs", "use super::b;"),
        ("b.rs", "fn f() { super::c::g() }"),
        ("c.rs", "pub fn g() -> Option<super::a::A> { None }"),
    ];
    assert_eq!(found(&files), ["a.rs → b.rs", "b.rs → c.rs", "c.rs → a.rs"]);
}

#[test]
fn imports_in_one_direction_are_allowed() {
    let files = [
        ("lib.rs", "mod a; mod b; mod c; use a::f;"),
        ("a.rs", "use crate::{b::B, c};"),
        ("b.rs", "use crate::c::C;"),
        ("c.rs", "use std::fmt; pub(super) struct C; impl C { pub(in crate::a) fn f() {} }"),
    ];
    assert!(found(&files).is_empty());
}

#[test]
fn a_path_through_a_re_export_leads_to_the_file_that_defines_the_item() {
    let mut files = [
        ("lib.rs", "mod a; mod b; pub use b::B; pub use a::*;"),
        ("a.rs", "use crate::B; pub struct A;"),
        ("b.rs", "pub struct B;"),
    ];
    assert!(found(&files).is_empty());
    files[2].1 = "pub struct B(crate::A);";
    assert_eq!(found(&files), ["a.rs → b.rs", "b.rs → a.rs"]);
}

#[test]
fn a_parent_may_re_export_what_it_does_not_use() {
    let child = ("a/child.rs", "use super::LIMIT; pub struct Item;");
    let re_export = "mod child; pub use child::Item; pub const LIMIT: u8 = 1;";
    assert!(found(&[("lib.rs", "mod a;"), ("a.rs", re_export), child]).is_empty());
    let circle = ["a/child.rs → a.rs", "a.rs → a/child.rs"];
    let used = format!("{re_export} fn f(_: Item) {{}}");
    assert_eq!(found(&[("lib.rs", "mod a;"), ("a.rs", &used), child]), circle);
    let imported = "mod child; use child::Item; pub const LIMIT: u8 = 1;";
    assert_eq!(found(&[("lib.rs", "mod a;"), ("a.rs", imported), child]), circle);
}

#[test]
fn groups_renames_and_macro_calls_are_read() {
    let circle = ["a.rs → b.rs", "b.rs → a.rs"];
    let imports = [
        "use crate::{c::{self, C}, b::{deep::{B as Other}}};",
        "use crate::b as other; fn f() { other::f() }",
        "use crate::b::B as _;",
        "fn f() { println!(\"{}\", [crate::b::f()]) }",
        "#[derive(Debug)] struct A { #[serde(with = \"crate::b::f\")] x: u8 }",
        "fn f() { use crate::b::*; }",
    ];
    for import in imports {
        let b = "use crate::a::A; pub mod deep { pub struct B; }";
        let files =
            [("lib.rs", "mod a; mod b; mod c;"), ("a.rs", import), ("b.rs", b), ("c.rs", "pub struct C;")];
        assert_eq!(found(&files), circle, "{import}");
    }
}

#[test]
fn what_only_tests_compile_is_left_out() {
    let tests = [
        "#[cfg(test)] use crate::b::B;",
        "#[cfg(test)] mod tests { use crate::b::B; }",
        "#[cfg(all(test, unix))] fn f() { crate::b::f() }",
        "struct A; impl A { #[cfg(test)] fn f() { crate::b::f() } }",
        // Its file is not even looked for.
        "#[cfg(test)] mod missing;",
    ];
    for test in tests {
        let files = [("lib.rs", "mod a; mod b;"), ("a.rs", test), ("b.rs", "use crate::a::A;")];
        assert!(found(&files).is_empty(), "{test}");
    }
    let both = "#[cfg(any(test, unix))] use crate::b::B;";
    assert!(!found(&[("lib.rs", "mod a; mod b;"), ("a.rs", both), ("b.rs", "use crate::a::A;")]).is_empty());
}

#[test]
fn files_are_found_where_the_compiler_finds_them() {
    let files = [
        ("src/lib.rs", "mod a; #[path = \"elsewhere/other.rs\"] mod b; mod inline { mod deep; }"),
        ("src/a/mod.rs", "mod child;"),
        ("src/a/child.rs", "use crate::b::B;"),
        ("src/elsewhere/other.rs", "use crate::inline::deep::D;"),
        ("src/inline/deep.rs", "use crate::a::child::C;"),
    ];
    let circle = [
        "src/a/child.rs → src/elsewhere/other.rs",
        "src/elsewhere/other.rs → src/inline/deep.rs",
        "src/inline/deep.rs → src/a/child.rs",
    ];
    assert_eq!(found(&files), circle);
}
