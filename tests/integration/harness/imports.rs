//! What the files of a crate import from each other, as it is written in them: by `use`, and by paths anywhere in the
//! code, also within macros.
//!
//! What a module only passes on (`use child::Name`) counts as imported from where it is defined. Tests, and paths into
//! other crates, don't count.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::Visit;

/// All Rust files below a folder.
pub fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files
}

/// The path of a module below the crate's root.
type Module = Vec<String>;

/// The files of a crate, by module.
#[derive(Default)]
pub struct Sources(BTreeMap<Module, Source>);

#[derive(Default)]
struct Source {
    /// For people.
    file: String,
    /// Names that `use` brings in, with the whole paths.
    uses: Vec<(String, Vec<String>)>,
    /// All other paths, and those that end in `*`.
    paths: BTreeSet<Vec<String>>,
    /// Modules with files of their own.
    children: Vec<String>,
}

impl Sources {
    /// Of the crate whose root is this file.
    pub fn of_crate(root: &Path) -> Sources {
        let mut sources = Sources::default();
        let mut left = vec![(Vec::new(), root.to_owned())];
        while let Some((module, path)) = left.pop() {
            let text = std::fs::read_to_string(&path).unwrap();
            let children = sources.add(module.clone(), &path.to_string_lossy(), &text);
            let folder = if module.is_empty() { path.parent().unwrap().to_owned() } else { path.with_extension("") };
            left.extend(children.into_iter().map(|child| {
                let below = [module.clone(), vec![child.clone()]].concat();
                (below, folder.join(format!("{child}.rs")))
            }));
        }
        sources
    }

    /// Of modules of the root, which itself has an empty name.
    pub fn of_text(files: &[(&str, &str)]) -> Sources {
        let mut sources = Sources::default();
        for (name, text) in files {
            let module = if name.is_empty() { Vec::new() } else { vec![(*name).to_owned()] };
            sources.add(module, name, text);
        }
        sources
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    fn add(&mut self, module: Module, file: &str, text: &str) -> Vec<String> {
        let mut source = Source { file: file.to_owned(), ..Source::default() };
        source.visit_file(&syn::parse_file(text).unwrap());
        let children = source.children.clone();
        self.0.insert(module, source);
        children
    }

    /// The module whose file defines what `path` names, as it is written in `from`; `None` if that is in another crate.
    fn resolve(&self, from: &Module, path: &[String], depth: usize) -> Option<Module> {
        let (mut at, mut rest) = match path.first()?.as_str() {
            "crate" => (Vec::new(), &path[1..]),
            "self" => (from.clone(), &path[1..]),
            "super" => {
                let ups = path.iter().take_while(|name| *name == "super").count();
                (from[..from.len().checked_sub(ups)?].to_vec(), &path[ups..])
            }
            child if self.0[from].children.iter().any(|known| known == child) => (from.clone(), path),
            _ => return None,
        };
        while let Some(name) = rest.first() {
            let below = [at.clone(), vec![name.clone()]].concat();
            if self.0.contains_key(&below) {
                (at, rest) = (below, &rest[1..]);
                continue;
            }
            return match self.0[&at].uses.iter().find(|(used, _)| used == name) {
                Some((_, whole)) if depth < 8 => self.resolve(&at, whole, depth + 1),
                _ => Some(at),
            };
        }
        Some(at)
    }

    /// What each file imports from which others, and by which paths.
    fn imports(&self) -> BTreeMap<&Module, BTreeMap<Module, Vec<String>>> {
        let mut imports: BTreeMap<&Module, BTreeMap<Module, Vec<String>>> = BTreeMap::new();
        for (module, source) in &self.0 {
            for path in source.uses.iter().map(|(_, path)| path).chain(&source.paths) {
                if let Some(to) = self.resolve(module, path, 0).filter(|to| to != module) {
                    imports.entry(module).or_default().entry(to).or_default().push(path.join("::"));
                }
            }
        }
        imports
    }
}

/// Files that import each other, directly or through others: a text for each circle, with what ties it.
pub fn circles(sources: &Sources) -> Vec<String> {
    let imports = sources.imports();
    let reached = |from: &Module| {
        let (mut reached, mut left) = (BTreeSet::new(), vec![from.clone()]);
        while let Some(module) = left.pop() {
            for to in imports.get(&module).into_iter().flat_map(BTreeMap::keys) {
                if reached.insert(to.clone()) {
                    left.push(to.clone());
                }
            }
        }
        reached
    };
    let reached: BTreeMap<&Module, BTreeSet<Module>> =
        sources.0.keys().map(|module| (module, reached(module))).collect();
    let (mut told, mut done) = (Vec::new(), BTreeSet::new());
    for module in sources.0.keys() {
        let circle: Vec<&Module> = sources
            .0
            .keys()
            .filter(|other| reached[module].contains(*other) && reached[other].contains(module))
            .collect();
        if circle.is_empty() || !done.insert(circle.clone()) {
            continue;
        }
        let mut lines = vec!["these files import each other in a circle:".to_owned()];
        for from in &circle {
            for (to, paths) in imports.get(from).into_iter().flatten().filter(|(to, _)| circle.contains(to)) {
                lines.push(format!("  {} imports {}: {}", sources.0[*from].file, sources.0[to].file, paths.join(", ")));
            }
        }
        told.push(lines.join("\n"));
    }
    told
}

fn is_test(attributes: &[syn::Attribute]) -> bool {
    let is_cfg_test = |attribute: &syn::Attribute| {
        attribute.path().is_ident("cfg") && attribute.parse_args::<syn::Ident>().is_ok_and(|name| name == "test")
    };
    attributes.iter().any(is_cfg_test)
}

impl Source {
    fn use_tree(&mut self, before: &[String], tree: &syn::UseTree) {
        let with = |name: &syn::Ident| match name.to_string() {
            name if name == "self" => before.to_vec(),
            name => [before.to_vec(), vec![name]].concat(),
        };
        match tree {
            syn::UseTree::Path(path) => self.use_tree(&with(&path.ident), &path.tree),
            syn::UseTree::Name(name) => {
                let whole = with(&name.ident);
                self.uses.push((whole.last().cloned().unwrap_or_default(), whole));
            }
            syn::UseTree::Rename(name) => self.uses.push((name.rename.to_string(), with(&name.ident))),
            syn::UseTree::Glob(_) => {
                self.paths.insert(before.to_vec());
            }
            syn::UseTree::Group(group) => group.items.iter().for_each(|tree| self.use_tree(before, tree)),
        }
    }

    /// Paths within a macro, which is no more than tokens.
    fn tokens(&mut self, tokens: TokenStream) {
        let (mut path, mut colons) = (Vec::new(), 0);
        for token in tokens {
            match token {
                TokenTree::Ident(name) => {
                    if colons != 2 {
                        self.end(&mut path);
                    }
                    path.push(name.to_string());
                    colons = 0;
                }
                TokenTree::Punct(mark) if mark.as_char() == ':' && !path.is_empty() => colons += 1,
                token => {
                    self.end(&mut path);
                    colons = 0;
                    if let TokenTree::Group(group) = token {
                        self.tokens(group.stream());
                    }
                }
            }
        }
        self.end(&mut path);
    }

    fn end(&mut self, path: &mut Vec<String>) {
        let path = std::mem::take(path);
        if path.len() > 1 {
            self.paths.insert(path);
        }
    }
}

impl<'a> Visit<'a> for Source {
    fn visit_item(&mut self, item: &'a syn::Item) {
        match item {
            syn::Item::Mod(module) if is_test(&module.attrs) => {}
            syn::Item::Fn(function) if is_test(&function.attrs) => {}
            syn::Item::Use(import) if is_test(&import.attrs) => {}
            syn::Item::Mod(module) if module.content.is_none() => self.children.push(module.ident.to_string()),
            syn::Item::Use(import) => self.use_tree(&[], &import.tree),
            item => syn::visit::visit_item(self, item),
        }
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        let names: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if names.len() > 1 {
            self.paths.insert(names);
        }
        syn::visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &'a syn::Macro) {
        self.tokens(called.tokens.clone());
    }
}
