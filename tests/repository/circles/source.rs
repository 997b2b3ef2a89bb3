//! The modules of a crate, as their source declares them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::ext::IdentExt as _;
use syn::visit::{self, Visit};
use syn::{Attribute, Ident, ImplItemFn, Item, ItemMod, ItemUse, Macro, Meta, UseTree, Visibility};

/// The name of a module: empty for the crate's root.
pub(super) type ModulePath = Vec<String>;

/// Modules by their names.
pub(super) type Modules = BTreeMap<ModulePath, Module>;

/// How a file is read; `None` where it is not there.
type Read<'a> = &'a dyn Fn(&Path) -> Option<String>;

/// A module, of a file or inside one.
#[derive(Default)]
pub(super) struct Module {
    /// The file that it stands in.
    pub(super) file: PathBuf,
    /// The names of the functions, types, constants and macros that it defines.
    pub(super) items: BTreeSet<String>,
    /// What it imports by name.
    pub(super) imports: Vec<Import>,
    /// The modules whose names it imports all.
    pub(super) globs: Vec<Vec<String>>,
    /// The paths in its code.
    pub(super) paths: BTreeSet<Vec<String>>,
    children: Vec<ItemMod>,
}

/// One name that a `use` brings.
pub(super) struct Import {
    pub(super) path: Vec<String>,
    /// What it is called here; nothing after `as _`.
    pub(super) name: Option<String>,
    /// Whether others see it too.
    pub(super) public: bool,
}

/// Reads a crate from its root file on.
///
/// # Panics
/// When a file of it cannot be read.
pub(super) fn read_crate(root: &Path, read: Read<'_>) -> Modules {
    let mut modules = Modules::new();
    add_file(&mut modules, Vec::new(), root, &folder(root), read);
    modules
}

/// Adds the module of a file, whose own modules are in files `below` that folder.
fn add_file(modules: &mut Modules, name: ModulePath, file: &Path, below: &Path, read: Read<'_>) {
    let text = read(file).unwrap_or_else(|| panic!("{} cannot be read", file.display()));
    let source = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    add(modules, name, file, below, &source.items, read);
}

fn add(modules: &mut Modules, name: ModulePath, file: &Path, below: &Path, items: &[Item], read: Read<'_>) {
    let mut module = Module { file: file.to_owned(), ..Module::default() };
    items.iter().for_each(|item| module.visit_item(item));
    for child in std::mem::take(&mut module.children) {
        let ident = child.ident.unraw().to_string();
        let name = [name.as_slice(), std::slice::from_ref(&ident)].concat();
        let inside = below.join(&ident);
        if let Some((_, items)) = &child.content {
            add(modules, name, file, &inside, items, read);
        } else if let Some(path) = child.attrs.iter().find_map(path_attribute) {
            let path = folder(file).join(path);
            add_file(modules, name, &path, &folder(&path), read);
        } else {
            let beside = below.join(format!("{ident}.rs"));
            let path = if read(&beside).is_some() { beside } else { inside.join("mod.rs") };
            add_file(modules, name, &path, &inside, read);
        }
    }
    modules.insert(name, module);
}

impl Module {
    /// Whether a path may begin with this name here.
    pub(super) fn knows(&self, name: &str) -> bool {
        self.items.contains(name) || self.imports.iter().any(|import| import.name.as_deref() == Some(name))
    }

    fn import(&mut self, tree: &UseTree, prefix: &[String], public: bool) {
        let with = |ident: &Ident| match ident.unraw().to_string() {
            own if own == "self" && !prefix.is_empty() => prefix.to_vec(),
            name => [prefix, &[name]].concat(),
        };
        match tree {
            UseTree::Path(tree) => self.import(&tree.tree, &with(&tree.ident), public),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.import(tree, prefix, public)),
            UseTree::Glob(_) => {
                self.paths.insert(prefix.to_vec());
                self.globs.push(prefix.to_vec());
            }
            UseTree::Name(tree) => {
                let path = with(&tree.ident);
                self.imports.push(Import { name: path.last().cloned(), path, public });
            }
            UseTree::Rename(tree) => {
                let name = Some(tree.rename.unraw().to_string()).filter(|name| name != "_");
                self.imports.push(Import { path: with(&tree.ident), name, public });
            }
        }
    }

    /// Adds the paths among the tokens; of texts, those that are paths of more than one name.
    fn scan(&mut self, tokens: TokenStream, texts: bool) {
        let (mut path, mut colons) = (Vec::new(), 0);
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.paths.insert(std::mem::take(&mut path));
                    }
                    path.push(ident.unraw().to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                other => {
                    self.paths.insert(std::mem::take(&mut path));
                    colons = 0;
                    match other {
                        TokenTree::Group(group) => self.scan(group.stream(), texts),
                        TokenTree::Literal(text) if texts && text.to_string().contains("::") => {
                            let text = text.to_string();
                            self.paths
                                .insert(text.trim_matches('"').split("::").map(str::to_owned).collect());
                        }
                        _ => {}
                    }
                }
            }
        }
        self.paths.insert(path);
        self.paths.remove(&Vec::new());
    }
}

impl<'ast> Visit<'ast> for Module {
    fn visit_item(&mut self, item: &'ast Item) {
        let (attributes, ident): (&[Attribute], Option<&Ident>) = match item {
            Item::Const(item) => (&item.attrs, Some(&item.ident)),
            Item::Enum(item) => (&item.attrs, Some(&item.ident)),
            Item::Fn(item) => (&item.attrs, Some(&item.sig.ident)),
            Item::Impl(item) => (&item.attrs, None),
            Item::Macro(item) => (&item.attrs, item.ident.as_ref()),
            Item::Mod(item) => (&item.attrs, Some(&item.ident)),
            Item::Static(item) => (&item.attrs, Some(&item.ident)),
            Item::Struct(item) => (&item.attrs, Some(&item.ident)),
            Item::Trait(item) => (&item.attrs, Some(&item.ident)),
            Item::Type(item) => (&item.attrs, Some(&item.ident)),
            Item::Union(item) => (&item.attrs, Some(&item.ident)),
            Item::Use(item) => (&item.attrs, None),
            _ => (&[], None),
        };
        if !attributes.iter().any(is_for_tests) {
            self.items.extend(ident.map(|ident| ident.unraw().to_string()));
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        self.children.push(item.clone());
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.import(&item.tree, &[], !matches!(item.vis, Visibility::Inherited));
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        if !item.attrs.iter().any(is_for_tests) {
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.paths.insert(path.segments.iter().map(|segment| segment.ident.unraw().to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        self.visit_path(&call.path);
        self.scan(call.tokens.clone(), false);
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if let Meta::List(list) = &attribute.meta {
            self.scan(list.tokens.clone(), true);
        }
    }

    // `pub(super)` and `pub(in crate::a)` name who may import, and import nothing.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}
}

/// Whether it leaves an item to the tests: `#[cfg(test)]`, or `all` of that and more.
fn is_for_tests(attribute: &Attribute) -> bool {
    fn needs_test(condition: TokenStream) -> bool {
        let mut in_all = false;
        condition.into_iter().any(|token| match token {
            TokenTree::Ident(ident) => {
                in_all = ident == "all";
                ident == "test"
            }
            TokenTree::Group(group) => in_all && needs_test(group.stream()),
            TokenTree::Punct(_) | TokenTree::Literal(_) => false,
        })
    }
    attribute.path().is_ident("cfg")
        && attribute.meta.require_list().is_ok_and(|list| needs_test(list.tokens.clone()))
}

/// The file that `#[path = "…"]` names.
fn path_attribute(attribute: &Attribute) -> Option<String> {
    let value = &attribute.meta.require_name_value().ok().filter(|value| value.path.is_ident("path"))?.value;
    match value {
        syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(path), .. }) => Some(path.value()),
        _ => None,
    }
}

fn folder(file: &Path) -> PathBuf {
    file.parent().map(Path::to_path_buf).unwrap_or_default()
}
