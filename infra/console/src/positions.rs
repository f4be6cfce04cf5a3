//! Where items were made: a map of the property with what is around it, and the distances.

use host_client::{CallError, HostClient};
use maud::{Markup, html};
use serde_json::Value;

use crate::links::{order_path, pages, paging, part};
use crate::view::View;
use crate::widgets::{plain, text, time_of};

/// How many items are listed on one page.
const PAGE: usize = 100;

/// The mean radius of the earth, in metres, as is the length of a foot.
const EARTH_RADIUS: f64 = 6_371_000.0;
const FOOT: f64 = 0.3048;

/// Half the side of the map.
const HALF: f64 = 150.0;

/// Latitude and longitude, in degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Position {
    latitude: f64,
    longitude: f64,
}

impl Position {
    fn new(latitude: &Value, longitude: &Value) -> Option<Position> {
        let number = |value: &Value| value.as_f64().or_else(|| value.as_str()?.trim().parse().ok());
        Some(Position { latitude: number(latitude)?, longitude: number(longitude)? })
    }

    /// Metres to the east and to the north of `origin`; so near that the earth is flat.
    fn from(self, origin: Position) -> (f64, f64) {
        let north = (self.latitude - origin.latitude).to_radians() * EARTH_RADIUS;
        let parallel = EARTH_RADIUS * origin.latitude.to_radians().cos();
        ((self.longitude - origin.longitude).to_radians() * parallel, north)
    }
}

struct Item<'a> {
    upload: &'a Value,
    offset: Option<(f64, f64)>,
}

impl Item<'_> {
    /// Metres to the property: by our own reckoning, or what Pruvan says.
    fn distance(&self) -> Option<f64> {
        let said = || text(&self.upload["fields"]["locationDifference"]).trim().parse::<f64>().ok();
        self.offset.map(|(east, north)| east.hypot(north)).or_else(|| said().map(|feet| feet * FOOT))
    }
}

pub async fn positions(host: &HostClient, view: &View) -> Result<Markup, CallError> {
    let order = host.get(&order_path(view, "")).await?;
    let given = &order["workOrder"];
    let property = Position::new(&given["gpsLatitude"], &given["gpsLongitude"]);
    let reply = host.get(&order_path(view, &format!("/uploads{}", paging(view, PAGE)))).await?;
    let uploads = reply["uploads"].as_array().cloned().unwrap_or_default();
    let items: Vec<Item> = uploads
        .iter()
        .filter_map(|upload| {
            let at = Position::new(&upload["position"]["latitude"], &upload["position"]["longitude"])?;
            Some(Item { upload, offset: property.map(|property| at.from(property)) })
        })
        .collect();
    Ok(html! {
        @if items.is_empty() {
            p.hint { "No item of it says where it was made." }
        } @else {
            @if property.is_some() { (map(&items)) } @else {
                p.hint { "The order has no gpsLatitude and gpsLongitude: the distances are those that Pruvan gave." }
            }
            div.scroll tabindex="0" role="region" aria-label="Positions" {
                table {
                    thead { tr { th scope="col" { "Item" } th scope="col" { "Task" } th scope="col" { "Taken" } th.number scope="col" { "Distance" } th.number scope="col" { "Accuracy" } } }
                    tbody {
                        @for item in &items {
                            @let upload = item.upload;
                            tr {
                                th scope="row" { a href=(part(view, &text(&upload["uuId"]), "file")) hx-boost="false" { (plain(&upload["fileType"])) " " (plain(&upload["evidenceType"])) } }
                                td { (plain(&upload["service"])) }
                                td { (time_of(&upload["taken"])) }
                                td.number { @if let Some(distance) = item.distance() { (metres(distance)) } }
                                td.number { @if let Some(accuracy) = upload["fields"]["gpsAccuracy"].as_str() { "\u{b1} " (accuracy) " m" } }
                            }
                        }
                    }
                }
            }
        }
        (pages(view, &reply, "positions"))
    })
}

fn metres(distance: f64) -> String {
    if distance < 1000.0 { format!("{distance:.0} m") } else { format!("{:.1} km", distance / 1000.0) }
}

fn map(items: &[Item]) -> Markup {
    let farthest = items.iter().filter_map(Item::distance).fold(1.0, f64::max);
    // The first round radius that takes them all in.
    let radius = [25.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 5000.0].into_iter().find(|radius| farthest <= *radius);
    let radius = radius.unwrap_or(farthest);
    let scale = (HALF - 14.0) / radius;
    let (size, middle) = (format!("0 0 {} {}", HALF * 2.0, HALF * 2.0), HALF);
    let about = format!("{} positions around the property, the farthest {} away", items.len(), metres(farthest));
    html! {
        svg.map viewBox=(size) width="300" height="300" role="img" aria-label=(about) {
            @for part in [0.5, 1.0] {
                circle.ring cx=(middle) cy=(middle) r=(format!("{:.1}", radius * part * scale)) {}
                text x=(middle + 4.0) y=(format!("{:.1}", middle - radius * part * scale + 12.0)) { (metres(radius * part)) }
            }
            @for (east, north) in items.iter().filter_map(|item| item.offset) {
                circle.spot cx=(format!("{:.1}", middle + east * scale)) cy=(format!("{:.1}", middle - north * scale)) r="4.5" {}
            }
            path.house d=(format!("M{0} {1}l-9 8v9h18v-9z", middle, middle - 9.0)) {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn distances_are_metres() {
        let origin = Position::new(&json!("30.5"), &json!(-97.7)).unwrap();
        let (east, north) = Position::new(&json!(30.501), &json!("-97.699")).unwrap().from(origin);
        assert!((north - 111.2).abs() < 0.5 && (east - 95.8).abs() < 0.5, "{east} {north}");
        assert_eq!(Position::new(&json!("north"), &json!(1)), None);
        let upload = json!({ "fields": { "locationDifference": "100" } });
        assert_eq!(Item { upload: &upload, offset: None }.distance(), Some(30.48));
        assert_eq!((metres(12.4), metres(1540.0)), ("12 m".to_owned(), "1.5 km".to_owned()));
    }
}
