//! A survey's questions and answers as a PDF, as Pruvan sends one beside the answers.

use pdf_writer::{Content, Finish as _, Name, Pdf, Rect, Ref, Str, TextStr};

/// What is in the report.
#[derive(Debug, Clone, Copy)]
pub struct Report<'a> {
    /// The survey's name, which heads the first page and is the title of the PDF.
    pub title: &'a str,
    /// The work order's number.
    pub number: &'a str,
    /// The property's address, in one line.
    pub address: &'a str,
    /// Who answered and when, as it is shown.
    pub by: &'a str,
    /// In the survey's order.
    pub answers: &'a [Answered],
}

/// One question with its answer.
#[derive(Debug, Clone)]
pub struct Answered {
    /// As the crew read it.
    pub question: String,
    /// What was answered, for people.
    pub answer: String,
    /// Names of the pictures taken for it.
    pub pictures: Vec<String>,
}

const REGULAR: Name<'_> = Name(b"F1");
const BOLD: Name<'_> = Name(b"F2");
const LETTER: Rect = Rect { x1: 0.0, y1: 0.0, x2: 612.0, y2: 792.0 };
const LEFT: f32 = 54.0;
/// Letters of a line at ten points, as Helvetica's are on average.
const LINE: usize = 92;

/// The report as PDF, of as many pages as it needs.
pub fn report(report: &Report<'_>) -> Vec<u8> {
    let mut pages = vec![head(report)];
    let mut y = 640.0;
    for (index, answered) in report.answers.iter().enumerate() {
        let question = wrapped(&format!("{}. {}", index + 1, answered.question), LINE);
        let mut answer = wrapped(if answered.answer.is_empty() { "-" } else { &answered.answer }, LINE);
        let named = answered.pictures.join(", ");
        let pictures = if named.is_empty() { Vec::new() } else { wrapped(&format!("Pictures: {named}"), LINE) };
        let needed = 14.0 * (question.len() + answer.len() + pictures.len()) as f32 + 16.0;
        if y - needed < 60.0 {
            pages.push(Content::new());
            y = 738.0;
        }
        let Some(page) = pages.last_mut() else { continue };
        page.set_fill_rgb(0.89, 0.91, 0.94).rect(LEFT, y - needed + 18.0, 504.0, 0.8).fill_nonzero();
        answer.extend(pictures);
        for (bold, line) in question.iter().map(|line| (true, line)).chain(answer.iter().map(|line| (false, line))) {
            text(page, if bold { BOLD } else { REGULAR }, 10.0, LEFT + if bold { 0.0 } else { 14.0 }, y, line);
            y -= 14.0;
        }
        y -= 16.0;
    }
    written(report, pages)
}

fn head(report: &Report<'_>) -> Content {
    let mut page = Content::new();
    page.set_fill_rgb(0.07, 0.09, 0.15).rect(0.0, 712.0, 612.0, 80.0).fill_nonzero();
    page.set_fill_rgb(0.98, 0.75, 0.14).rect(0.0, 708.0, 612.0, 4.0).fill_nonzero();
    for (font, size, y, line, grey) in [
        (BOLD, 20.0, 752.0, report.title, 1.0),
        (REGULAR, 11.0, 728.0, report.number, 0.86),
        (BOLD, 11.0, 684.0, report.address, 0.1),
        (REGULAR, 10.0, 668.0, report.by, 0.35),
    ] {
        let lines = wrapped(line, if size > 15.0 { 44 } else { LINE });
        page.begin_text().set_fill_gray(grey).set_font(font, size).next_line(LEFT, y);
        page.show(Str(lines.first().map(String::as_bytes).unwrap_or_default())).end_text();
    }
    page
}

fn text(page: &mut Content, font: Name<'_>, size: f32, x: f32, y: f32, line: &str) {
    page.begin_text().set_fill_gray(if font == BOLD { 0.1 } else { 0.25 }).set_font(font, size).next_line(x, y);
    page.show(Str(line.as_bytes())).end_text();
}

fn written(report: &Report<'_>, pages: Vec<Content>) -> Vec<u8> {
    let (catalog, tree, info, regular, bold) = (Ref::new(1), Ref::new(2), Ref::new(3), Ref::new(4), Ref::new(5));
    let page_ref = |index: usize| Ref::new(6 + 2 * i32::try_from(index).unwrap_or(0));
    let content_ref = |index: usize| Ref::new(7 + 2 * i32::try_from(index).unwrap_or(0));
    let mut pdf = Pdf::new();
    pdf.catalog(catalog).pages(tree);
    pdf.document_info(info).title(TextStr(report.title)).subject(TextStr(report.number));
    pdf.pages(tree).kids((0..pages.len()).map(page_ref)).count(i32::try_from(pages.len()).unwrap_or(0));
    pdf.type1_font(regular).base_font(Name(b"Helvetica"));
    pdf.type1_font(bold).base_font(Name(b"Helvetica-Bold"));
    let of = pages.len();
    for (index, mut content) in pages.into_iter().enumerate() {
        text(&mut content, REGULAR, 9.0, LEFT, 34.0, &format!("Page {} of {of}", index + 1));
        let mut page = pdf.page(page_ref(index));
        page.media_box(LETTER).parent(tree).contents(content_ref(index));
        page.resources().fonts().pair(REGULAR, regular).pair(BOLD, bold);
        page.finish();
        pdf.stream(content_ref(index), &content.finish());
    }
    pdf.finish()
}

/// In lines of at most so many letters, ASCII only: the font knows no others by these bytes.
fn wrapped(text: &str, letters: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let printable: String =
        text.chars().map(|letter| if (' '..='~').contains(&letter) { letter } else { '?' }).collect();
    for word in printable.split_whitespace() {
        let Some(line) = lines.last_mut() else { continue };
        if line.is_empty() {
            line.push_str(word);
        } else if line.len() + 1 + word.len() <= letters {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_surveys_have_several_pages() {
        let answered = |n: usize| Answered {
            question: format!("Is window {n} whole? {}", "Look at all panes. ".repeat(4)),
            answer: "Yes".to_owned(),
            pictures: vec!["1415913831993.jpg".to_owned()],
        };
        let answers: Vec<Answered> = (0..30).map(answered).collect();
        let of = Report { title: "Inspection", number: "1", address: "a", by: "crew1", answers: &answers };
        let pdf = super::report(&of);
        assert!(pdf.starts_with(b"%PDF-"));
        let pages = String::from_utf8_lossy(&pdf).matches("/Type /Page\n").count();
        assert_eq!(pages, 4);
    }
}
