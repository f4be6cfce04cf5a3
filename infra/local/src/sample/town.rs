//! Work orders of a town that look real: Round Rock, Texas, with streets that there aren't. The same for the same seed
//! and day.

use jiff::civil::Date;
use jiff::{Span, Timestamp};
use serde_json::{Map, Value, json};
use simulator::items::ROUND_ROCK;
use simulator::questions::INSPECTION;

/// Draws lots; the same ones for a seed.
#[derive(Debug, Clone)]
pub struct Lots(u64);

impl Lots {
    pub fn new(seed: u64) -> Lots {
        Lots(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5bf0_3635)
    }

    /// The next pseudo-random number, out of all that have 64 bits.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 up to but not including `end`; 0 if `end` is 0.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.draw() >> 33).unwrap_or(0) % end.max(1)
    }

    /// One of these values, of which there must be at least one.
    pub fn of<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// True so many times in a hundred.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// Whose orders they are.
#[derive(Debug, Clone, Copy)]
pub struct Client {
    /// What its numbers begin with.
    pub prefix: &'static str,
    /// The number of its first order, which stands behind the prefix; those of the others follow it.
    pub first: usize,
    /// Whether the host says itself who does what, and how urgent it is.
    pub directs: bool,
    /// User names of the crews that its orders can be assigned to; `~all~` stands for all of them.
    pub crews: &'static [&'static str],
}

impl Client {
    /// The number of its n-th order.
    pub fn number(&self, n: usize) -> String {
        format!("{}{}", self.prefix, self.first + n)
    }
}

/// What can be ordered: name, instructions, and how often of a hundred.
const SERVICES: [(&str, &str, usize); 12] = [
    (
        "Grass cut",
        "Cut <b>front and back</b>, trim along fences and walls, blow the walks clean.<br>Photos: before, during, after, each side.",
        26,
    ),
    ("Property inspection", "Fill in the survey. <b>Every</b> question with a camera needs a photo.", 16),
    (
        "Debris removal",
        "Remove all debris, inside and out. Photograph the truck <b>loaded</b> and the dump receipt.<br>Allowed: 12 cubic yards.",
        11,
    ),
    (
        "Lock change",
        "Change front and back door to key code <b>35453</b>.<ul><li>Hang a lock box.</li><li>Leave the old lock on the counter.</li></ul>",
        9,
    ),
    (
        "Winterization",
        "Dry heat, pressure test at 35 psi for 30 minutes, antifreeze in all traps.<br><b>Tag every fixture.</b>",
        7,
    ),
    ("Gutter cleaning", "Clean all gutters and flush the downspouts.", 6),
    ("Initial secure", "Secure all openings. No boarding without an approved bid.", 6),
    ("Sales clean", "Broom-clean floors, wipe counters, clean both bathrooms, air freshener.", 6),
    ("Tree trimming", "Trim branches within 3 feet of the roof. Haul away what is cut.", 5),
    ("Snow removal", "Clear drive, walk and steps; spread salt.", 3),
    ("Pool securing", "Cover the pool. Photograph every anchor.", 2),
    ("Bid", "Bid what you see, with photos of each item.", 3),
];

const STREETS: [&str; 36] = [
    "Heron Bend Drive",
    "Quarry Oak Lane",
    "Limestone Ford Road",
    "Brushy Hollow Trail",
    "Pecan Orchard Way",
    "Settlers Mill Street",
    "Cottonwood Spur",
    "Bluebonnet Rise",
    "Chisholm Ridge Drive",
    "Wagon Yard Lane",
    "Live Oak Terrace",
    "Sunset Bluff Court",
    "Old Ferry Road",
    "Mesquite Flat Drive",
    "Stagecoach Landing",
    "Prairie Clover Path",
    "Rattan Creek Circle",
    "Cedar Notch Cove",
    "Buttercup Hill Lane",
    "Juniper Gate Drive",
    "Windmill Pass",
    "Copper Kettle Court",
    "Meadow Lark Loop",
    "Hidden Spring Street",
    "Dry Well Road",
    "Red Barn Lane",
    "Tumbleweed Crossing",
    "Saddle Horn Drive",
    "Granite Shoal Way",
    "Lone Pecan Street",
    "Barton Field Drive",
    "Yaupon Bend",
    "Hackberry Row",
    "Cypress Bridge Road",
    "Flint Arrow Trail",
    "Whistling Wind Drive",
];

/// The n-th order of a client, as the host puts it in.
pub fn order(client: &Client, n: usize, seed: u64, now: Timestamp) -> Map<String, Value> {
    let mut lots = Lots::new(seed ^ (client.first as u64) << 20 ^ n as u64);
    let today = jiff::tz::Offset::UTC.to_datetime(now).date();
    let due = moved(today, lots.below(21) as i64 - 6);
    let street = lots.below(STREETS.len());
    let house = 100 + lots.below(240) * 10 + lots.below(9);
    let (latitude, longitude) = place(street, house);
    let services = services(&mut lots);
    let names: Vec<String> = services.iter().filter_map(|one| one["serviceName"].as_str().map(str::to_owned)).collect();
    let client_status =
        lots.of(&["Open", "Open", "Open", "Sent to field", "In review", "Bid requested", "On hold", "Approved"]);
    let mut order = json!({
        "workOrderNumber": client.number(n),
        "address1": format!("{house} {}", STREETS[street]),
        "city": "Round Rock", "state": "TX", "zip": lots.of(&["78664", "78665", "78681"]), "country": "USA",
        "dueDate": due.to_string(),
        "clientDueDate": moved(due, 2).to_string(),
        "clientStatus": client_status,
        "instructions": instructions(&mut lots, &names),
        "clientInstructions": lots.of(&[
            "Call the office before you leave the site if anything can't be done.",
            "Photos must show the house number. Work without photos is not paid.",
            "Do not talk to neighbours about the reason of the visit.",
        ]),
        "workOrderInfo": info(&mut lots),
        "description": names.join(", "),
        "reference": format!("Loan {}", 4_000_000 + lots.below(900_000)),
        "attribute7": json!({ "line": n + 1, "client": lots.of(&CLIENTS), "requestId": 880_000 + n }).to_string(),
        "attribute8": lots.of(&["Region Central", "Region North", "Region South"]),
        "gpsLatitude": latitude, "gpsLongitude": longitude,
        "options": options(&mut lots),
        "services": services,
    });
    let mut put = |name: &str, value: Value| order[name] = value;
    if client.directs {
        let status = lots.of(&["assigned", "assigned", "assigned", "assigned", "rush", "rework", "unassigned"]);
        put("status", status.into());
        if status == "rush" || status == "rework" {
            put("clientStatus", if status == "rush" { "Expedite".into() } else { "Denied by quality control".into() });
        }
        if status != "unassigned" {
            put("assignedTo", lots.of(client.crews).into());
        }
    }
    if lots.chance(12) {
        put("address2", format!("Unit {}", lots.of(&["A", "B", "2", "12"])).into());
    }
    if lots.chance(10) {
        put("startDate", moved(due, -3).to_string().into());
    }
    if lots.chance(30) {
        let provider = lots.of(&CLIENTS);
        put("source_wo_provider", provider.into());
        put("source_wo_number", format!("{}-{}", 70_000 + n, lots.below(90) + 10).into());
        put("source_wo_id", (5_100_000 + n).to_string().into());
    }
    order.as_object().cloned().unwrap_or_default()
}

/// Whom the host works for; there are no such companies.
const CLIENTS: [&str; 4] =
    ["Bluff Creek Mortgage Field Desk", "Lone Pecan Asset Services", "Old Ferry Bank REO", "Granite Shoal Servicing"];

fn services(lots: &mut Lots) -> Vec<Value> {
    let mut services: Vec<Value> = Vec::new();
    for _ in 0..lots.of(&[1, 1, 1, 2, 2, 3]) {
        let mut lot = lots.below(100);
        let drawn = SERVICES.iter().find(|(.., share)| {
            let here = lot < *share;
            lot = lot.saturating_sub(*share);
            here
        });
        let Some((name, instructions, _)) = drawn else { continue };
        if services.iter().any(|service| service["serviceName"] == *name) {
            continue;
        }
        let mut service = json!({
            "serviceName": name,
            "instructions": instructions,
            "attribute1": format!("line {}", services.len() + 1),
            "attribute2": format!("{}.00", 35 + lots.below(40) * 5),
        });
        if *name == "Property inspection" {
            service["survey"] = Value::from(INSPECTION);
            service["options"] = json!({ "required": true });
        } else if lots.chance(40) {
            service["options"] = json!({ "required": true, "evidenceTypes": ["before", "during", "after"] });
        }
        services.push(service);
    }
    services
}

fn options(lots: &mut Lots) -> Value {
    let mut options = json!({ "evidenceTypes": ["before", "during", "after"], "frame_images": true });
    if lots.chance(45) {
        options["check_in_required"] = json!(true);
        options["check_in_provider"] = json!(lots.of(&["pcn", "pcn", "ags", "stdc"]));
        options["check_in_relay"] = json!(true);
    }
    if lots.chance(20) {
        options["camera_orientation"] = json!("landscape");
    }
    if lots.chance(20) {
        options["all_required_tasks_complete"] = json!(true);
    }
    if lots.chance(15) {
        options["mark_complete_label"] = json!("Publish");
    }
    options
}

fn instructions(lots: &mut Lots, services: &[String]) -> String {
    let access = lots.of(&[
        "Vacant. Enter by the front door.",
        "Vacant, utilities off: bring lights.",
        "<b>Occupied:</b> stay outside, knock before you photograph the back.",
        "Gate code <b>#2291</b>.",
        "Corner lot: both street sides belong to it.",
    ]);
    let list: String = services.iter().map(|name| format!("<li>{name}</li>")).collect();
    let end = lots.of(&[
        "",
        "<br><i>Last crew left the side gate open: close it.</i>",
        "<br>Report damages <b>before</b> you begin.",
    ]);
    format!("<h3>To do</h3><ul>{list}</ul><p>{access}{end}</p>")
}

fn info(lots: &mut Lots) -> String {
    let code: Vec<String> = (0..4).map(|_| lots.below(10).to_string()).collect();
    let place = lots.of(&["on the gas meter", "on the front rail", "on the side gate", "on the back door"]);
    format!("Lock box {place}, code {}. Key code {}.", code.join("-"), lots.of(&["35453", "76667", "A389"]))
}

/// Within four kilometres of the middle; houses of a street lie along it.
fn place(street: usize, house: usize) -> (f64, f64) {
    let mut lots = Lots::new(77 + street as u64);
    let mut part = || lots.below(10_000) as f64 / 10_000.0;
    let (far, angle, heading) = (0.4 + part() * 2.6, part() * std::f64::consts::TAU, part() * std::f64::consts::TAU);
    let along = (house as f64 - 1300.0) / 1300.0 * 0.7;
    let north = far * angle.sin() + along * heading.sin();
    let east = far * angle.cos() + along * heading.cos();
    let rounded = |degrees: f64| (degrees * 1e6).round() / 1e6;
    let (latitude, longitude) = ROUND_ROCK;
    (rounded(latitude + north / 111.32), rounded(longitude + east / (111.32 * latitude.to_radians().cos())))
}

fn moved(day: Date, days: i64) -> Date {
    day.checked_add(Span::new().days(days)).unwrap_or(day)
}

#[cfg(test)]
mod tests {
    use pruvan::work_order::WorkOrder;

    use super::*;

    #[test]
    fn orders_are_taken_without_a_word_and_always_the_same() {
        let now = Timestamp::from_second(1_795_435_200).unwrap();
        let crews: &[&str] = &["crew1"];
        let client = Client { prefix: "RR-", first: 24_001, directs: true, crews };
        for n in 0..300 {
            let body = order(&client, n, 1, now);
            assert_eq!(body, order(&client, n, 1, now));
            let (order, warnings) = WorkOrder::parse(&client.number(n), body).unwrap();
            assert!(warnings.is_empty(), "{}: {warnings:?}", order.document());
            let degrees = |name: &str| order.get(name).and_then(pruvan::lenient::number).unwrap();
            let (north, east) =
                ((degrees("gpsLatitude") - 30.5083) * 111.32, (degrees("gpsLongitude") + 97.6789) * 95.9);
            assert!(north.hypot(east) < 4.0);
        }
    }
}
