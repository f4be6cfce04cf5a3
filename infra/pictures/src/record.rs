//! A Certified Service Record: a map of where the photos were taken, and how many of each task are certified.

use crate::canvas::{Canvas, Dice, cut, hash, ink, shade, sheer, text_width};

/// What is in the record.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// The work order's number.
    pub number: &'a str,
    /// The property's address in one line; the streets of the drawn map follow from it.
    pub address: &'a str,
    /// When it was published, as it is shown.
    pub taken: &'a str,
    /// The tasks whose photos it certifies: one line of the table each, of which the first twelve are shown.
    pub tasks: &'a [Task<'a>],
    /// What tells two records of an order apart.
    pub seed: u64,
}

/// One task, and how many of its photos are certified.
#[derive(Debug, Clone, Copy)]
pub struct Task<'a> {
    /// Name of the service that the crew did, such as `Grass cut`.
    pub name: &'a str,
    /// How many photos of the task the record covers.
    pub photos: u32,
    /// Whose content is what the device took.
    pub authenticated: u32,
    /// Whose time is certified.
    pub time: u32,
    /// Whose place is certified.
    pub location: u32,
}

/// Where the map ends.
const MAP_END: f32 = 434.0;

/// A record as JPEG.
pub fn record(record: &Record<'_>) -> Vec<u8> {
    let shown = record.tasks.len().min(12);
    let height = 596.0 + shown as f32 * 40.0;
    let Some(mut canvas) = Canvas::new((800, height as u32), height) else { return Vec::new() };
    canvas.rect(0.0, 0.0, 800.0, height, ink(0xffffff));
    let photos = record.tasks.iter().map(|task| task.photos).sum();
    map(&mut canvas, record, photos);
    canvas.rect(0.0, MAP_END, 800.0, height - MAP_END, ink(0xffffff));
    canvas.rect(0.0, 0.0, 800.0, 84.0, ink(0x111827));
    canvas.text(20.0, 4.0, 40.0, true, "CERTIFIED SERVICE RECORD", ink(0xffffff));
    canvas.text(20.0, 44.0, 32.0, true, &cut(record.number, 26), ink(0xfbbf24));
    let taken = cut(record.taken, 24);
    canvas.text(780.0 - text_width(27.0, &taken), 46.0, 27.0, false, &taken, ink(0xcbd5e1));
    canvas.text(20.0, 446.0, 30.0, false, &cut(record.address, 54), ink(0x111827));
    let columns = [430.0, 520.0, 610.0, 700.0];
    canvas.rect(20.0, 490.0, 760.0, 40.0, ink(0xe5e7eb));
    canvas.text(32.0, 497.0, 26.0, true, "Task", ink(0x111827));
    for (x, name) in columns.into_iter().zip(["Photos", "Item", "Time", "Place"]) {
        canvas.text(x, 497.0, 26.0, true, name, ink(0x111827));
    }
    for (index, task) in record.tasks.iter().take(shown).enumerate() {
        let y = 530.0 + index as f32 * 40.0;
        if index % 2 == 1 {
            canvas.rect(20.0, y, 760.0, 40.0, ink(0xf6f7f9));
        }
        canvas.text(32.0, y + 7.0, 26.0, false, &cut(task.name, 30), ink(0x1f2937));
        canvas.text(columns[0], y + 7.0, 26.0, false, &task.photos.to_string(), ink(0x1f2937));
        for (x, count) in columns.into_iter().skip(1).zip([task.authenticated, task.time, task.location]) {
            let colour = if count >= task.photos { ink(0x15803d) } else { ink(0xb45309) };
            canvas.ellipse(x + 8.0, y + 20.0, 7.0, 7.0, colour);
            canvas.text(x + 24.0, y + 7.0, 26.0, true, &count.to_string(), colour);
        }
    }
    canvas.rect(20.0, height - 58.0, 760.0, 2.0, ink(0xd1d5db));
    let total = format!("{photos} photos, taken with the mobile app");
    canvas.text(32.0, height - 46.0, 26.0, false, &total, ink(0x4b5563));
    canvas.jpeg(85)
}

fn map(canvas: &mut Canvas, record: &Record<'_>, photos: u32) {
    let mut place = Dice::new(hash(record.address));
    let mut dice = Dice::new(record.seed);
    canvas.rect(0.0, 0.0, 800.0, MAP_END, ink(0xf0ece2));
    let tilt = place.between(-0.22, 0.22);
    let bend = |x: f32, y: f32| (x, y + (x - 400.0) * tilt + ((x * 0.011).sin() * 12.0));
    let park = place.between(40.0, 620.0);
    canvas.round(park, place.between(100.0, 160.0), 170.0, 110.0, 30.0, ink(0xc9e3b4));
    let creek: Vec<(f32, f32)> =
        (-1..18).map(|step| (step as f32 * 50.0, 392.0 + (step as f32 * 0.8).sin() * 26.0)).collect();
    canvas.line(&creek, 20.0, ink(0xa8cfea));
    let across: Vec<Vec<(f32, f32)>> =
        (0..7).map(|row| (-1..33).map(|step| bend(step as f32 * 26.0, 20.0 + row as f32 * 74.0)).collect()).collect();
    let down: Vec<Vec<(f32, f32)>> = (0..9)
        .map(|column| (0..9).map(|step| bend(column as f32 * 104.0 - 20.0, step as f32 * 62.0 - 40.0)).collect())
        .collect();
    let blocks: Vec<(f32, f32, f32, f32)> = (0..9)
        .flat_map(|column| (0..6).map(move |row| (column, row)))
        .flat_map(|(column, row)| (0..6).map(move |lot| (column, row, lot)))
        .filter(|_| place.chance(82))
        .map(|(column, row, lot)| {
            let x = column as f32 * 104.0 - 20.0 + 20.0 + (lot % 3) as f32 * 26.0;
            let (x, y) = bend(x, 20.0 + row as f32 * 74.0 + 17.0 + (lot / 3) as f32 * 24.0);
            (x, y, 17.0, 14.0)
        })
        .filter(|(x, y, ..)| !(park - 20.0..park + 170.0).contains(x) || *y > 280.0)
        .collect();
    canvas.rects(blocks, ink(0xddd5c6));
    for (width, colour) in [(15.0, ink(0xcfc7b8)), (11.0, ink(0xffffff))] {
        canvas.lines(across.iter().chain(&down).map(Vec::as_slice), width, colour);
    }
    canvas.lines(across.get(3).map(Vec::as_slice), 19.0, ink(0xe8b64c));
    canvas.lines(across.get(3).map(Vec::as_slice), 14.0, ink(0xfbdc8a));
    let (x, y) = (400.0, 270.0);
    canvas.ellipse(x, y, 92.0, 92.0, sheer(ink(0x2563eb), 46));
    let dots: Vec<(f32, f32, f32, f32)> = (0..photos.min(60))
        .map(|_| {
            let (angle, far) = (dice.between(0.0, std::f32::consts::TAU), dice.between(4.0, 74.0));
            (x + angle.cos() * far, y + angle.sin() * far, 7.0, 7.0)
        })
        .collect();
    canvas.ellipses(dots.iter().map(|(x, y, ..)| (*x, *y, 9.0, 9.0)), ink(0xffffff));
    canvas.ellipses(dots, ink(0x16a34a));
    let pin = ink(0xdc2626);
    canvas.ellipse(x, y + 2.0, 15.0, 5.0, [0, 0, 0, 90]);
    canvas.polygon(&[(x - 19.0, y - 42.0), (x + 19.0, y - 42.0), (x, y)], shade(pin, 0.92));
    canvas.ellipse(x, y - 50.0, 23.0, 23.0, pin);
    canvas.ellipse(x, y - 50.0, 9.0, 9.0, ink(0xffffff));
}
