//! A house from the street: its lawn, what lies on it, snow.

use crate::canvas::{Canvas, Dice, Ink, ink, shade, sheer};
use crate::stage::Stage;

/// Where the wall meets the ground.
const GROUND: f32 = 338.0;

/// The lawn in three stages: knee-high, half mown, short.
pub fn lawn(canvas: &mut Canvas, house: Dice, dice: &mut Dice, stage: Stage) {
    scenery(canvas, house, dice, Season::Summer);
    match stage {
        Stage::Before => grass(canvas, dice, (-60.0, 860.0), 1.0),
        Stage::During => {
            stripes(canvas);
            grass(canvas, dice, (dice.clone().between(330.0, 430.0), 860.0), 1.0);
            mower(canvas, dice.between(200.0, 300.0), 424.0);
        }
        Stage::After => stripes(canvas),
    }
}

/// Heaps of rubbish that get fewer.
pub fn debris(canvas: &mut Canvas, house: Dice, dice: &mut Dice, stage: Stage) {
    scenery(canvas, house, dice, Season::Summer);
    let heaps = match stage {
        Stage::Before => 9,
        Stage::During => 3,
        Stage::After => 0,
    };
    if stage == Stage::After {
        stripes(canvas);
    }
    let mut places: Vec<(f32, f32)> = (0..heaps)
        .map(|index| {
            let column = index as f32 * if stage == Stage::Before { 84.0 } else { 190.0 };
            (70.0 + column + dice.between(-22.0, 22.0), dice.between(372.0, 468.0))
        })
        .collect();
    places.sort_by(|a, b| a.1.total_cmp(&b.1));
    for (x, y) in places {
        heap(canvas, dice, x, y, 0.55 + (y - 340.0) / 150.0);
    }
    if stage == Stage::During {
        truck(canvas, 560.0, 452.0);
    }
}

/// Snow on all, on half of the drive, beside it.
pub fn snow(canvas: &mut Canvas, house: Dice, dice: &mut Dice, stage: Stage) {
    scenery(canvas, house, dice, Season::Winter);
    let white = ink(0xf3f7fc);
    let paved = ink(0x707680);
    let edge = |y: f32, side: f32| 400.0 + side * (44.0 + (y - GROUND) * 0.72);
    let cleared = match stage {
        Stage::Before => None,
        Stage::During => Some(424.0),
        Stage::After => Some(GROUND + 4.0),
    };
    if let Some(from) = cleared {
        let drive =
            [(edge(from, -1.0), from), (edge(from, 1.0), from), (edge(520.0, 1.0), 520.0), (edge(520.0, -1.0), 520.0)];
        canvas.polygon(&drive, paved);
        let steps = (from as i32..520).step_by(26);
        let wet: Vec<(f32, f32, f32, f32)> =
            steps.map(|y| (dice.between(350.0, 450.0), y as f32 + 8.0, dice.between(16.0, 60.0), 3.0)).collect();
        canvas.ellipses(wet, shade(paved, 0.86));
        let banks: Vec<(f32, f32, f32, f32)> = (from as i32..520)
            .step_by(11)
            .flat_map(|y| {
                [-1.0, 1.0].map(|side| (edge(y as f32, side) + side * 10.0, y as f32, 22.0, dice.between(9.0, 15.0)))
            })
            .collect();
        canvas.ellipses(banks.iter().map(|(x, y, rx, ry)| (*x, y + 5.0, *rx, *ry)), ink(0xc6d3e4));
        canvas.ellipses(banks, white);
    }
    let drifts: Vec<(f32, f32, f32, f32)> = (0..16)
        .map(|_| {
            let side = if dice.chance(50) { -1.0 } else { 1.0 };
            let y = dice.between(356.0, 500.0);
            (edge(y, side) + side * dice.between(60.0, 330.0), y, dice.between(40.0, 130.0), dice.between(3.0, 8.0))
        })
        .collect();
    canvas.ellipses(drifts, ink(0xd8e3f1));
    let flakes = if stage == Stage::Before { 170 } else { 40 };
    let flakes: Vec<(f32, f32, f32, f32)> = (0..flakes)
        .map(|_| {
            let size = dice.between(1.2, 3.6);
            (dice.between(-20.0, 820.0), dice.between(0.0, 500.0), size, size)
        })
        .collect();
    canvas.ellipses(flakes, sheer(white, 225));
}

/// The house as it stands.
pub fn plain(canvas: &mut Canvas, house: Dice, dice: &mut Dice) {
    let mut house = scenery(canvas, house, dice, Season::Summer);
    grass(canvas, dice, (-60.0, 860.0), 0.22);
    path(canvas, &mut house);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Season {
    Summer,
    Winter,
}

/// Sky, trees, the house, the ground before it. Gives what the path to its door is drawn with, to draw it again over
/// what grows there.
fn scenery(canvas: &mut Canvas, mut house: Dice, dice: &mut Dice, season: Season) -> Dice {
    let winter = season == Season::Winter;
    let skies: [[Ink; 2]; 5] = [
        [ink(0x4f9bd9), ink(0xcfe8f7)],
        [ink(0x6fb1e0), ink(0xf4ecd8)],
        [ink(0x3f86c6), ink(0xb5d9ef)],
        [ink(0x8ea9c1), ink(0xdde5ea)],
        [ink(0x5a8fcc), ink(0xf8dfc4)],
    ];
    let sky = skies[(dice.next() % 5) as usize];
    let sky = if winter { [ink(0x9fb2c6), ink(0xe3eaf1)] } else { sky };
    canvas.gradient((-150.0, -150.0, 1100.0, 490.0), false, &sky);
    clouds(canvas, dice, if winter { ink(0xcfd8e2) } else { ink(0xffffff) });
    let far = if winter { ink(0xa9b8c4) } else { house.pick(&[ink(0x7fa36a), ink(0x6d9772), ink(0x8aa35e)]) };
    let hills: Vec<(f32, f32, f32, f32)> = (0..13)
        .map(|index| (index as f32 * 80.0 - 80.0, 338.0, house.between(56.0, 90.0), house.between(40.0, 92.0)))
        .collect();
    canvas.ellipses(hills.iter().copied(), far);
    canvas.ellipses(hills.iter().map(|(x, y, rx, ry)| (x + 34.0, *y, *rx, ry * 0.62)), shade(far, 0.86));
    let ground = if winter { [ink(0xdfe8f3), ink(0xf6f9fd)] } else { [ink(0x7db24c), ink(0x4f8a32)] };
    canvas.gradient((-150.0, GROUND - 12.0, 1100.0, 300.0), false, &ground);
    let tree_left = house.chance(50);
    let (near, other) = if tree_left { (96.0, 722.0) } else { (704.0, 84.0) };
    tree(canvas, &mut house, other, 336.0, 0.72, winter);
    building(canvas, &mut house, winter);
    tree(canvas, &mut house, near, 366.0, 1.12, winter);
    let way = house.clone();
    if !winter {
        path(canvas, &mut house);
    }
    way
}

fn clouds(canvas: &mut Canvas, dice: &mut Dice, white: Ink) {
    for _ in 0..4 {
        let (x, y, size) = (dice.between(-20.0, 820.0), dice.between(24.0, 150.0), dice.between(0.6, 1.5));
        let puffs: Vec<(f32, f32, f32, f32)> = (0..6)
            .map(|puff| {
                let lift = dice.between(0.0, 14.0);
                (
                    x + (puff as f32 - 2.5) * 24.0 * size,
                    y - lift * size,
                    dice.between(22.0, 40.0) * size,
                    dice.between(10.0, 20.0) * size,
                )
            })
            .collect();
        canvas.ellipses(puffs, sheer(white, 170));
    }
}

fn tree(canvas: &mut Canvas, house: &mut Dice, x: f32, y: f32, size: f32, bare: bool) {
    let trunk = ink(0x6b4f38);
    let top = y - 150.0 * size;
    canvas.ellipse(x + 12.0 * size, y, 66.0 * size, 9.0 * size, [20, 40, 20, 60]);
    let bole = [(x - 11.0 * size, y), (x - 6.0 * size, top), (x + 6.0 * size, top), (x + 12.0 * size, y)];
    canvas.polygon(&bole, trunk);
    canvas.polygon(&[bole[2], bole[3], (x + 3.0 * size, y), (x + 2.0 * size, top)], shade(trunk, 0.8));
    if bare {
        let twigs: Vec<Vec<(f32, f32)>> = (0..15)
            .map(|index| {
                let (from, lean) = (y - (70.0 + index as f32 * 6.0) * size, house.between(-1.0, 1.0));
                let (dx, dy) = (lean * 84.0 * size, house.between(44.0, 96.0) * size);
                vec![(x, from), (x + dx * 0.55, from - dy * 0.6), (x + dx, from - dy)]
            })
            .collect();
        canvas.lines(twigs.iter().map(Vec::as_slice), 3.6 * size, trunk);
        return;
    }
    let leaf = house.pick(&[ink(0x4f8f3a), ink(0x3f7d44), ink(0x6c9535), ink(0x5b862f), ink(0xb8822e)]);
    for (tone, drop, count) in [(0.78, 14.0, 9), (1.0, 0.0, 10), (1.18, -22.0, 6)] {
        let crown: Vec<(f32, f32, f32, f32)> = (0..count)
            .map(|_| {
                let (dx, dy) = (house.between(-62.0, 62.0), house.between(-64.0, 44.0));
                let radius = house.between(24.0, 42.0) * size;
                (x + dx * size, top - 8.0 * size + (dy + drop) * size, radius, radius * 0.86)
            })
            .collect();
        canvas.ellipses(crown, shade(leaf, tone));
    }
}

#[expect(clippy::too_many_lines, reason = "a picture, drawn from back to front")]
fn building(canvas: &mut Canvas, house: &mut Dice, snow: bool) {
    let wall = house.pick(&[
        ink(0xe9dcc3),
        ink(0xd8c7b0),
        ink(0xb9c7cf),
        ink(0xf2ede2),
        ink(0xa96a52),
        ink(0xc9b88a),
        ink(0x93a898),
        ink(0xd6a97c),
    ]);
    let roof = house.pick(&[ink(0x5b4a42), ink(0x6e5c50), ink(0x4b515c), ink(0x7c483a), ink(0x3f4544)]);
    let front = house.pick(&[ink(0x9b2c2c), ink(0x1f4e79), ink(0x2f5d3a), ink(0x5a3a22), ink(0xd1a52a)]);
    let trim = ink(0xfaf7f0);
    let tall = house.chance(35);
    let left = house.between(150.0, 200.0);
    let width = house.between(310.0, 360.0);
    let top = if tall { 168.0 } else { 226.0 };
    let garage_left = house.chance(50);
    let (wing_x, wing_width) = if garage_left { (left - 70.0, 150.0) } else { (left + width - 80.0, 150.0) };
    canvas.ellipse(left + width / 2.0, GROUND + 3.0, width * 0.72, 10.0, [20, 30, 20, 70]);
    // The main house.
    let rise = house.between(66.0, 96.0);
    canvas.rect(left, top, width, GROUND - top, wall);
    boards(canvas, left, top, width, GROUND - top, shade(wall, 0.93));
    let hip = house.chance(45);
    let eaves = [(left - 20.0, top + 5.0), (left + width + 20.0, top + 5.0)];
    if hip {
        let ridge = [(left + width * 0.28, top - rise), (left + width * 0.72, top - rise)];
        canvas.polygon(&[eaves[0], ridge[0], ridge[1], eaves[1]], roof);
        canvas.polygon(&[eaves[1], ridge[1], (left + width * 0.6, top + 5.0)], shade(roof, 0.85));
    } else {
        canvas.polygon(&[eaves[0], (left + 6.0, top - rise), (left + width - 6.0, top - rise), eaves[1]], roof);
    }
    let inset = if hip { 0.28 } else { 0.02 };
    let courses: Vec<[(f32, f32); 2]> = (1..7)
        .map(|row| {
            let down = row as f32 / 7.0;
            let edge = width * inset * (1.0 - down) - 20.0 * down;
            let y = top - rise + (rise + 5.0) * down;
            [(left + edge + 2.0, y), (left + width - edge - 2.0, y)]
        })
        .collect();
    canvas.lines(courses.iter().map(<[_; 2]>::as_slice), 1.6, shade(roof, 0.82));
    if house.chance(60) {
        let x = left + width * house.between(0.34, 0.62);
        canvas.rect(x, top - rise - 24.0, 26.0, 46.0, ink(0x8e4e3d));
        canvas.rect(x - 3.0, top - rise - 28.0, 32.0, 7.0, ink(0x6c3a2e));
    }
    canvas.rect(left - 20.0, top + 4.0, width + 40.0, 7.0, trim);
    canvas.rect(left, top + 11.0, width, 9.0, [0, 0, 0, 46]);
    if snow {
        canvas.round(left - 16.0, top - 12.0, width + 32.0, 15.0, 7.0, ink(0xf3f7fc));
    }
    // Its door, and windows that keep clear of the wing.
    let door_x = left + width * if garage_left { 0.56 } else { 0.38 };
    canvas.rect(door_x - 7.0, GROUND - 92.0, 60.0, 92.0, trim);
    canvas.rect(door_x, GROUND - 86.0, 46.0, 86.0, front);
    canvas.rects(
        [
            (door_x + 7.0, GROUND - 78.0, 13.0, 28.0),
            (door_x + 26.0, GROUND - 78.0, 13.0, 28.0),
            (door_x + 7.0, GROUND - 42.0, 32.0, 32.0),
        ],
        shade(front, 0.8),
    );
    canvas.ellipse(door_x + 40.0, GROUND - 43.0, 3.2, 3.2, ink(0xe7c75a));
    canvas.rect(door_x - 14.0, GROUND - 5.0, 76.0, 9.0, ink(0xb6aea4));
    let lit = house.chance(30);
    let rows: &[f32] = if tall { &[196.0, 270.0] } else { &[262.0] };
    for y in rows {
        for part in [0.1, 0.3, 0.62, 0.82] {
            let x = left + width * part;
            let under_wing = x + 50.0 > wing_x && x < wing_x + wing_width;
            let at_door = *y > 240.0 && x + 58.0 > door_x - 8.0 && x < door_x + 56.0;
            if !(at_door || *y > 240.0 && under_wing) {
                window(canvas, x, *y, lit, front);
            }
        }
    }
    // The garage, a little nearer.
    let (wing_top, ground) = (258.0, GROUND + 8.0);
    let wall = shade(wall, 1.05);
    canvas.rect(wing_x, wing_top, wing_width, ground - wing_top, wall);
    boards(canvas, wing_x, wing_top, wing_width, ground - wing_top, shade(wall, 0.93));
    let peak = (wing_x + wing_width / 2.0, wing_top - 58.0);
    canvas.polygon(&[(wing_x, wing_top + 2.0), peak, (wing_x + wing_width, wing_top + 2.0)], shade(wall, 0.97));
    let slopes = [[(wing_x - 14.0, wing_top + 10.0), peak], [peak, (wing_x + wing_width + 14.0, wing_top + 10.0)]];
    canvas.lines(slopes.iter().map(<[_; 2]>::as_slice), 11.0, if snow { ink(0xf3f7fc) } else { shade(roof, 0.9) });
    canvas.rect(wing_x + 18.0, wing_top + 18.0, wing_width - 36.0, ground - wing_top - 18.0, trim);
    let panels = (0..4).flat_map(|row| {
        (0..4)
            .map(move |column| (wing_x + 24.0 + column as f32 * 26.2, wing_top + 24.0 + row as f32 * 16.2, 22.0, 12.0))
    });
    canvas.rects(panels, ink(0xe1dcd0));
    let bushes: Vec<(f32, f32, f32, f32)> = (0..9)
        .map(|_| (left + house.between(0.0, width), GROUND + 2.0, house.between(14.0, 24.0), house.between(10.0, 20.0)))
        .filter(|(x, ..)| (x - door_x - 23.0).abs() > 58.0 && !(wing_x - 16.0..wing_x + wing_width + 16.0).contains(x))
        .collect();
    let green = if snow { ink(0xe8eff7) } else { ink(0x3c6e33) };
    canvas.ellipses(bushes.iter().copied(), green);
    canvas.ellipses(bushes.iter().map(|(x, y, rx, ry)| (x - 3.0, y - 5.0, rx * 0.6, ry * 0.55)), shade(green, 1.22));
}

fn boards(canvas: &mut Canvas, x: f32, y: f32, width: f32, height: f32, tone: Ink) {
    let rows = (height / 9.0) as i32;
    canvas.rects((1..rows).map(|row| (x, y + row as f32 * 9.0, width, 1.5)), tone);
}

fn window(canvas: &mut Canvas, x: f32, y: f32, lit: bool, shutters: Ink) {
    canvas.rects([(x - 12.0, y - 2.0, 10.0, 52.0), (x + 46.0, y - 2.0, 10.0, 52.0)], shutters);
    canvas.rect(x - 3.0, y - 4.0, 50.0, 57.0, ink(0xfaf7f0));
    let glass = if lit { [ink(0xffe39b), ink(0xf2b955)] } else { [ink(0x5c7f9b), ink(0x2d455c)] };
    canvas.gradient((x + 2.0, y, 40.0, 48.0), false, &glass);
    canvas.polygon(&[(x + 4.0, y + 40.0), (x + 28.0, y), (x + 37.0, y), (x + 4.0, y + 47.0)], [255, 255, 255, 46]);
    canvas.rects([(x + 20.5, y, 3.0, 48.0), (x + 2.0, y + 22.5, 40.0, 3.0)], ink(0xfaf7f0));
}

fn path(canvas: &mut Canvas, house: &mut Dice) {
    let x = house.between(250.0, 300.0);
    let paved = house.pick(&[ink(0xc3bdb2), ink(0xb3aba3), ink(0xcbb59b)]);
    let edge = [(x + 100.0, GROUND + 3.0), (x + 134.0, GROUND + 3.0), (x + 240.0, 640.0), (x + 40.0, 640.0)];
    canvas.polygon(&edge, paved);
    let joints: Vec<[(f32, f32); 2]> = [352.0, 370.0, 394.0, 426.0, 470.0]
        .map(|y: f32| {
            let down = (y - GROUND - 3.0) / (637.0 - GROUND);
            [(x + 100.0 - 60.0 * down, y), (x + 134.0 + 106.0 * down, y)]
        })
        .to_vec();
    canvas.lines(joints.iter().map(<[_; 2]>::as_slice), 2.0, shade(paved, 0.85));
}

/// Blades of grass, taller towards the camera, with seed heads if they are long.
fn grass(canvas: &mut Canvas, dice: &mut Dice, (from, to): (f32, f32), length: f32) {
    let count = ((to - from) * if length > 0.5 { 1.05 } else { 0.7 }) as usize;
    let mut rows: Vec<(f32, f32)> =
        (0..count).map(|_| (dice.between(GROUND + 10.0, 520.0), dice.between(from, to))).collect();
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    let tones = [ink(0x5d8f35), ink(0x4c802e), ink(0x74a23f), ink(0x8aa84a), ink(0x3f732b)];
    for band in rows.chunks(count.div_ceil(12).max(1)) {
        let tone = dice.pick(&tones);
        let mut heads = Vec::new();
        let blades: Vec<[(f32, f32); 4]> = band
            .iter()
            .map(|(y, x)| {
                let near = 0.3 + (y - GROUND) / 150.0;
                let (high, lean) =
                    (dice.between(30.0, 62.0) * near * length, dice.between(-16.0, 16.0) * near * length);
                let thick = 2.6 * near + 0.6;
                if length > 0.5 && dice.chance(14) {
                    heads.push((x + lean, y - high, 2.2 * near, 6.5 * near));
                }
                [(x - thick, *y), (x + lean * 0.4 - thick * 0.5, y - high * 0.6), (x + lean, y - high), (x + thick, *y)]
            })
            .collect();
        canvas.polygons(blades.iter().map(<[_; 4]>::as_slice), tone);
        canvas.ellipses(heads, ink(0xc9b46a));
    }
}

/// What a mower leaves.
fn stripes(canvas: &mut Canvas) {
    let stripes: Vec<[(f32, f32); 4]> = (-7..8)
        .map(|index| {
            let (near, far) = (400.0 + index as f32 * 150.0, 400.0 + index as f32 * 74.0);
            [(far, GROUND + 10.0), (far + 37.0, GROUND + 10.0), (near + 75.0, 560.0), (near, 560.0)]
        })
        .collect();
    canvas.polygons(stripes.iter().map(<[_; 4]>::as_slice), [150, 205, 90, 70]);
}

fn mower(canvas: &mut Canvas, x: f32, y: f32) {
    canvas.line(&[(x + 34.0, y - 6.0), (x + 92.0, y - 74.0), (x + 104.0, y - 74.0)], 5.0, ink(0x2b2f36));
    canvas.round(x - 30.0, y - 24.0, 76.0, 26.0, 9.0, ink(0xc82f2a));
    canvas.round(x - 10.0, y - 40.0, 34.0, 20.0, 6.0, ink(0x2b2f36));
    canvas.ellipses([(x - 22.0, y + 4.0, 11.0, 11.0), (x + 38.0, y + 4.0, 13.0, 13.0)], ink(0x1d2025));
    canvas.ellipses([(x - 22.0, y + 4.0, 4.5, 4.5), (x + 38.0, y + 4.0, 5.5, 5.5)], ink(0x9aa0a8));
}

fn heap(canvas: &mut Canvas, dice: &mut Dice, x: f32, y: f32, size: f32) {
    canvas.ellipse(x, y + 3.0 * size, 68.0 * size, 11.0 * size, [20, 30, 20, 90]);
    for _ in 0..3 {
        let (at, wide) = (x + dice.between(-48.0, 12.0) * size, dice.between(30.0, 50.0) * size);
        let high = dice.between(22.0, 44.0) * size;
        let card = dice.pick(&[ink(0xb0834f), ink(0x9c7040), ink(0xc79f6b)]);
        canvas.rect(at, y - high, wide, high, card);
        canvas.polygon(
            &[
                (at, y - high),
                (at + 9.0 * size, y - high - 8.0 * size),
                (at + wide + 9.0 * size, y - high - 8.0 * size),
                (at + wide, y - high),
            ],
            shade(card, 1.2),
        );
        canvas.rect(at + wide * 0.42, y - high, wide * 0.16, high * 0.5, sheer(ink(0xe7d8b4), 200));
    }
    if dice.chance(45) {
        let at = x + dice.between(-40.0, 30.0) * size;
        canvas.ellipse(at, y - 16.0 * size, 23.0 * size, 23.0 * size, ink(0x222428));
        canvas.ellipse(at, y - 16.0 * size, 12.0 * size, 12.0 * size, ink(0x5d6269));
    }
    for _ in 0..dice.next() % 3 + 2 {
        let at = x + dice.between(-50.0, 50.0) * size;
        let bag = dice.pick(&[ink(0x23272e), ink(0x2f353d), ink(0xd9dde2), ink(0x2f5f8a)]);
        canvas.ellipse(at, y - 15.0 * size, 24.0 * size, 19.0 * size, bag);
        canvas.polygon(
            &[
                (at - 7.0 * size, y - 42.0 * size),
                (at + 7.0 * size, y - 42.0 * size),
                (at + 3.0 * size, y - 30.0 * size),
                (at - 3.0 * size, y - 30.0 * size),
            ],
            bag,
        );
        canvas.ellipse(at - 8.0 * size, y - 21.0 * size, 6.0 * size, 4.0 * size, [255, 255, 255, 50]);
    }
}

fn truck(canvas: &mut Canvas, x: f32, y: f32) {
    canvas.ellipse(x + 90.0, y + 18.0, 150.0, 14.0, [20, 30, 20, 90]);
    canvas.round(x + 130.0, y - 84.0, 92.0, 92.0, 12.0, ink(0xeeeeea));
    canvas.round(x + 150.0, y - 72.0, 52.0, 38.0, 6.0, ink(0x3a5368));
    canvas.rect(x - 44.0, y - 52.0, 178.0, 60.0, ink(0x8a9098));
    canvas.rects((0..8).map(|slat| (x - 38.0 + slat as f32 * 22.0, y - 52.0, 4.0, 60.0)), ink(0x6f757d));
    canvas.ellipses(
        [(x - 10.0, y - 56.0, 30.0, 20.0), (x + 40.0, y - 58.0, 34.0, 24.0), (x + 92.0, y - 55.0, 30.0, 18.0)],
        ink(0x2a2e35),
    );
    canvas.rect(x - 44.0, y - 40.0, 178.0, 10.0, ink(0xd97706));
    canvas.ellipses([(x - 8.0, y + 10.0, 20.0, 20.0), (x + 182.0, y + 10.0, 20.0, 20.0)], ink(0x1d2025));
    canvas.ellipses([(x - 8.0, y + 10.0, 9.0, 9.0), (x + 182.0, y + 10.0, 9.0, 9.0)], ink(0x9aa0a8));
}
