//! What crews sent: photos side by side, survey answers with their photos, and what belongs to no order yet.

use std::collections::BTreeMap;

use host_client::{CallError, HostClient, segment};
use maud::{Markup, html};
use serde_json::Value;

use crate::links::{order_path, pages, paging, part, path};
use crate::state::Console;
use crate::view::View;
use crate::widgets::{badge, hidden, listed, plain, size, text, time_of};

/// How many photos are shown on one page.
const PHOTOS: usize = 36;

/// Other items a page.
const PAGE: usize = 20;

/// Answers a page: as a rule all of an order.
const ANSWERS: usize = 500;

/// What stands side by side.
const SIDES: [&str; 3] = ["before", "during", "after"];

/// The photos of a task.
type Photos<'a> = BTreeMap<String, Vec<&'a Value>>;

/// Photos by evidence type, in the order in which they are shown.
type Shown<'a> = Vec<(String, Vec<&'a Value>)>;

pub async fn photos(console: &Console, host: &HostClient, view: &View) -> Result<Markup, CallError> {
    let order = host.get(&order_path(view, "")).await?;
    let services = order["workOrder"]["services"].as_array().cloned().unwrap_or_default();
    let names: Vec<String> = services.iter().map(|service| text(&service["serviceName"])).collect();
    // One task at a time, so that what belongs side by side is on one page.
    let chosen = match (view.task.as_str(), names.as_slice()) {
        ("", [first, _, ..]) => first,
        ("" | "*", _) => "",
        (task, _) => task,
    };
    let mut query = format!("{}&fileType=picture", paging(view, PHOTOS));
    if !chosen.is_empty() {
        query.push_str(&format!("&service={}", segment(chosen)));
    }
    let reply = host.get(&order_path(view, &format!("/uploads{query}"))).await?;
    let uploads = reply["uploads"].as_array().cloned().unwrap_or_default();
    let mut tasks: BTreeMap<String, Photos> = BTreeMap::new();
    for upload in &uploads {
        console.note_links(&view.account, upload);
        let evidence = text(&upload["evidenceType"]).to_lowercase();
        tasks.entry(text(&upload["service"])).or_default().entry(evidence).or_default().push(upload);
    }
    Ok(html! {
        @if names.len() > 1 {
            nav.tabs aria-label="Tasks" {
                @for name in &names {
                    a href=(view.task(name).url()) aria-current=[(name == chosen).then_some("page")] { (name) }
                }
                a href=(view.task("*").url()) aria-current=[chosen.is_empty().then_some("page")] { "All tasks" }
            }
        }
        @if uploads.is_empty() { p.hint { "No photos have come for it." } }
        @for (task, photos) in &mut tasks {
            h3 { (if task.is_empty() { "No task" } else { task }) }
            @let (sides, others) = sorted(photos);
            @if !sides.is_empty() {
                div.sides {
                    @for (name, photos) in &sides {
                        div.side {
                            h4 { (name) " " span.count { (photos.len()) } }
                            @for photo in photos { (figure(photo, view)) }
                        }
                    }
                }
            }
            @for (name, photos) in &others {
                h4 { (if name.is_empty() { "no evidence type" } else { name }) " " span.count { (photos.len()) } }
                div.gallery { @for photo in photos { (figure(photo, view)) } }
            }
        }
        (pages(view, &reply, "photos"))
    })
}

/// What stands side by side, oldest first so that one can compare, and the rest.
fn sorted<'a>(photos: &Photos<'a>) -> (Shown<'a>, Shown<'a>) {
    let of = |name: &str, photos: &[&'a Value]| {
        let mut photos = photos.to_vec();
        photos.sort_by_key(|photo| text(&photo["taken"]));
        (name.to_owned(), photos)
    };
    let any = SIDES.iter().any(|side| photos.contains_key(*side));
    let sides =
        SIDES.iter().filter(|_| any).map(|side| of(side, photos.get(*side).map_or(&[], Vec::as_slice))).collect();
    let others =
        photos.iter().filter(|(name, _)| !SIDES.contains(&name.as_str())).map(|(name, photos)| of(name, photos));
    (sides, others.collect())
}

fn figure(upload: &Value, view: &View) -> Markup {
    let id = text(&upload["uuId"]);
    let picture = part(view, &id, "file");
    let about = format!("{} {} {}", text(&upload["service"]), text(&upload["evidenceType"]), text(&upload["fileName"]));
    let certified = [("authenticated", "authentic"), ("certifiedTime", "time"), ("certifiedLocation", "place")];
    let certified: Vec<&str> =
        certified.iter().filter(|(name, _)| upload[*name] == true).map(|(_, shown)| *shown).collect();
    html! {
        figure id={ "photo-" (id) } {
            a href=(picture) hx-boost="false" { img src=(picture) alt=(about) loading="lazy" width="320" height="240"; }
            figcaption {
                (time_of(&upload["taken"]))
                @if !certified.is_empty() { span.certified title="Certified by Pruvan" { " \u{2713} " (certified.join(", ")) } }
                @if upload["versions"].as_u64().is_some_and(|versions| versions > 1) { " \u{b7} " (upload["versions"]) " versions" }
                @if upload["mismatch"].is_string() || upload["mismatch"] == true { " " (badge("mismatch")) }
                @if upload["question"].is_object() { span.notes { (plain(&upload["question"]["question"])) } }
                @if upload["fields"]["notes"].is_string() { span.notes { (plain(&upload["fields"]["notes"])) } }
                (video(upload, view))
            }
        }
    }
}

fn video(upload: &Value, view: &View) -> Markup {
    let video = &upload["video"];
    html! {
        @if video.is_object() {
            span.notes {
                "Video: " (badge(&text(&video["state"])))
                @if video["state"] == "stored" {
                    " " a href=(part(view, &text(&upload["uuId"]), "video")) hx-boost="false" { "watch" }
                } @else if video["error"].is_string() { " " span.wrong { (plain(&video["error"])) } }
            }
        }
    }
}

pub async fn surveys(console: &Console, host: &HostClient, view: &View) -> Result<Markup, CallError> {
    let reply = host.get(&order_path(view, &format!("/answers{}", paging(view, ANSWERS)))).await?;
    let answers = reply["answers"].as_array().cloned().unwrap_or_default();
    let surveys = answers.chunk_by(|a, b| a["survey"] == b["survey"]);
    for picture in answers.iter().flat_map(|answer| answer["pictures"].as_array().into_iter().flatten()) {
        console.note_links(&view.account, picture);
    }
    Ok(html! {
        @if answers.is_empty() { p.hint { "No survey has come for it." } }
        @for survey in surveys {
            @let first = &survey[0];
            h3 { (plain(&first["service"])) " \u{b7} " (plain(&first["template"])) }
            p.hint {
                "Received " (time_of(&first["received"])) ". "
                a href=(part(view, &text(&first["survey"]), "file")) hx-boost="false" { "The report as PDF" }
            }
            div.scroll tabindex="0" role="region" aria-label={ "Answers of the survey " (plain(&first["template"])) } {
                table {
                    thead { tr { th scope="col" { "Question" } th scope="col" { "Answer" } th scope="col" { "Photos" } } }
                    tbody { @for answer in survey { (row(answer, view)) } }
                }
            }
        }
        (pages(view, &reply, "surveys"))
    })
}

fn row(answer: &Value, view: &View) -> Markup {
    let given: Vec<String> = answer["answer"].as_array().into_iter().flatten().map(text).collect();
    let shown = |value: &String| {
        let options = answer["answerOptions"].as_array().into_iter().flatten();
        let option = options.into_iter().find(|option| option["answer"] == value.as_str());
        option.map(|option| text(&option["display"])).filter(|text| !text.is_empty()).unwrap_or_else(|| value.clone())
    };
    html! {
        tr {
            th scope="row" { (plain(&answer["question"])) span.id { (plain(&answer["questionId"])) } }
            td { (given.iter().map(shown).collect::<Vec<String>>().join(", ")) }
            td { div.thumbs {
                @for picture in answer["pictures"].as_array().into_iter().flatten() {
                    @let id = text(&picture["uuId"]);
                    @if picture["link"].is_string() {
                        a href=(part(view, &id, "file")) hx-boost="false" {
                            img src=(part(view, &id, "file")) alt={ "Photo for: " (plain(&answer["question"])) } loading="lazy" width="88" height="66";
                        }
                    } @else { span.hint { "photo not here yet" } }
                }
            } }
        }
    }
}

pub async fn unmatched(console: &Console, host: &HostClient, view: &View) -> Result<Markup, CallError> {
    let reply = host.get(&path(view, &format!("/unmatched{}", paging(view, PAGE)))).await?;
    let uploads = reply["uploads"].as_array().cloned().unwrap_or_default();
    uploads.iter().for_each(|upload| console.note_links(&view.account, upload));
    Ok(html! {
        @if uploads.is_empty() {
            p.hint { "Every item belongs to an order." }
        } @else {
            p.hint { "These came for orders that we don\u{2019}t know. They are stored; say which order each belongs to." }
            ul.items {
                @for upload in &uploads {
                    @let id = text(&upload["uuId"]);
                    li {
                        a.thumb href=(part(view, &id, "file")) hx-boost="false" aria-label={ "Open " (plain(&upload["fileName"])) } {
                            @if text(&upload["contentType"]).starts_with("image/") {
                                img src=(part(view, &id, "file")) alt="" loading="lazy" width="88" height="66";
                            } @else { span.kind { (plain(&upload["fileType"])) } }
                        }
                        div {
                            b { (plain(&upload["published"])) } " \u{b7} " (listed([text(&upload["service"]), text(&upload["evidenceType"])]))
                            br;
                            "received " (time_of(&upload["received"])) ", " (size(usize::try_from(upload["size"].as_u64().unwrap_or(0)).unwrap_or(0)))
                        }
                        form method="post" action="/console/do/assign" {
                            (hidden(view))
                            input type="hidden" name="uuId" value=(id);
                            label { "Order " input type="text" name="number" required size="10" autocomplete="off"; }
                            button id={ "assign-" (id) } type="submit" aria-label={ "Assign " (plain(&upload["fileName"])) } { "Assign" }
                        }
                    }
                }
            }
        }
        (pages(view, &reply, "unmatched items"))
    })
}
