//! The project's pages of Markdown: their headings, links, tables and blocks of code.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

/// The top folder of the project.
pub fn root() -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).canonicalize().unwrap()
}

/// A page, by its path below the top folder.
pub struct Page {
    pub path: PathBuf,
    pub text: String,
}

/// A block of code.
pub struct Block {
    pub language: String,
    pub text: String,
    /// The slug of the heading that it stands under.
    pub under: String,
}

impl Page {
    pub fn read(path: &str) -> Page {
        Page { path: PathBuf::from(path), text: std::fs::read_to_string(root().join(path)).unwrap() }
    }

    /// All pages, but for those in folders that are made.
    pub fn all() -> Vec<Page> {
        let (mut pages, mut folders) = (Vec::new(), vec![root()]);
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                let made = ["target", ".git", ".aws-sam", ".local", "node_modules"].contains(&name.as_str())
                    || name.starts_with(".venv");
                if made || path.is_symlink() {
                    continue;
                }
                if path.is_dir() {
                    folders.push(path);
                } else if name.ends_with(".md") {
                    pages.push(Page::read(path.strip_prefix(root()).unwrap().to_str().unwrap()));
                }
            }
        }
        pages.sort_by(|a, b| a.path.cmp(&b.path));
        pages
    }

    fn events(&self) -> impl Iterator<Item = Event<'_>> {
        Parser::new_ext(&self.text, Options::ENABLE_TABLES | Options::ENABLE_GFM)
    }

    /// What headings are called in links, by GitHub's rules: lower case, without punctuation, a hyphen for each space,
    /// and a number where one is there already.
    pub fn anchors(&self) -> Vec<String> {
        let (mut anchors, mut times, mut heading) = (Vec::new(), BTreeMap::new(), None);
        for event in self.events() {
            match event {
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::Text(text) | Event::Code(text) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&text);
                    }
                }
                Event::End(TagEnd::Heading(_)) => {
                    let slug = slug(&heading.take().unwrap_or_default());
                    let again: &mut usize = times.entry(slug.clone()).or_default();
                    anchors.push(if *again == 0 { slug } else { format!("{slug}-{again}") });
                    *again += 1;
                }
                _ => {}
            }
        }
        anchors
    }

    /// Where its links and pictures lead.
    pub fn links(&self) -> Vec<String> {
        let of = |event| match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => Some(dest_url.into_string()),
            _ => None,
        };
        self.events().filter_map(of).collect()
    }

    pub fn blocks(&self) -> Vec<Block> {
        let (mut blocks, mut block, mut heading, mut under) = (Vec::new(), None, None, String::new());
        for event in self.events() {
            match event {
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => under = slug(&heading.take().unwrap_or_default()),
                Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(language))) => {
                    block = Some(Block { language: language.into_string(), text: String::new(), under: under.clone() });
                }
                Event::Text(text) => match (&mut block, &mut heading) {
                    (Some(block), _) => block.text.push_str(&text),
                    (None, Some(heading)) => heading.push_str(&text),
                    (None, None) => {}
                },
                Event::Code(text) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&text);
                    }
                }
                Event::End(TagEnd::CodeBlock) => blocks.extend(block.take()),
                _ => {}
            }
        }
        blocks
    }

    /// Its tables: rows of cells, the names of the columns first. Code keeps its backticks.
    pub fn tables(&self) -> Vec<Vec<Vec<String>>> {
        let mut tables: Vec<Vec<Vec<String>>> = Vec::new();
        let mut cell = None;
        for event in self.events() {
            match event {
                Event::Start(Tag::Table(_)) => tables.push(Vec::new()),
                Event::Start(Tag::TableHead | Tag::TableRow) => tables.last_mut().unwrap().push(Vec::new()),
                Event::Start(Tag::TableCell) => cell = Some(String::new()),
                Event::End(TagEnd::TableCell) => {
                    tables.last_mut().unwrap().last_mut().unwrap().extend(cell.take());
                }
                Event::Text(text) => {
                    if let Some(cell) = &mut cell {
                        cell.push_str(&text);
                    }
                }
                Event::Code(text) => {
                    if let Some(cell) = &mut cell {
                        cell.push_str(&format!("`{text}`"));
                    }
                }
                _ => {}
            }
        }
        tables
    }
}

fn slug(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    heading.trim().to_lowercase().chars().filter(kept).map(|c| if c == ' ' { '-' } else { c }).collect()
}
