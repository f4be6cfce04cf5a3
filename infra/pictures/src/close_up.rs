//! What a crew takes from near: a door's lock, a water heater, a gutter.

use crate::canvas::{Canvas, Dice, Ink, ink, shade, sheer};
use crate::stage::Stage;

/// A door whose lock is old, out, and new with a lock box.
#[expect(clippy::too_many_lines, reason = "a picture, drawn from back to front")]
pub fn door(canvas: &mut Canvas, mut house: Dice, dice: &mut Dice, stage: Stage) {
    let wall = house.pick(&[ink(0xe2d6c0), ink(0xb9c4ca), ink(0xa3634c), ink(0xc9bda4), ink(0x8f9f94)]);
    let front = house.pick(&[ink(0x8c2b2b), ink(0x1f4a70), ink(0x2d5738), ink(0x5b3b24), ink(0x3a3f47)]);
    canvas.rect(-150.0, -150.0, 1100.0, 900.0, wall);
    let boards = (-10..42).map(|row| (-150.0, row as f32 * 24.0, 1100.0, 3.0));
    canvas.rects(boards, shade(wall, 0.86));
    canvas.rects((-10..42).map(|row| (-150.0, row as f32 * 24.0 + 3.0, 1100.0, 2.0)), shade(wall, 1.07));
    // The frame and the door, which opens to the right.
    canvas.rect(96.0, -150.0, 506.0, 900.0, ink(0xf4f0e7));
    canvas.rect(96.0, -150.0, 10.0, 900.0, [0, 0, 0, 30]);
    canvas.gradient((132.0, -150.0, 434.0, 900.0), true, &[shade(front, 1.08), front, shade(front, 0.9)]);
    for (y, high) in [(-60.0, 190.0), (178.0, 150.0), (376.0, 240.0)] {
        for x in [176.0, 352.0] {
            canvas.rect(x, y, 128.0, high, shade(front, 0.74));
            canvas.rect(x + 7.0, y + 7.0, 121.0, high - 7.0, shade(front, 1.16));
            canvas.gradient((x + 8.0, y + 8.0, 112.0, high - 16.0), false, &[shade(front, 0.92), shade(front, 1.04)]);
        }
    }
    canvas.rect(560.0, -150.0, 7.0, 900.0, [0, 0, 0, 90]);
    let (x, y) = (524.0, 268.0);
    match stage {
        Stage::Before => {
            let brass = ink(0x8e743c);
            for _ in 0..26 {
                let (from, to) =
                    ((x + dice.between(-30.0, 34.0), y + dice.between(-70.0, 50.0)), dice.between(5.0, 26.0));
                canvas.line(
                    &[from, (from.0 + to, from.1 + dice.between(-8.0, 8.0))],
                    1.6,
                    sheer(shade(front, 1.7), 150),
                );
            }
            canvas.polygon(
                &[(556.0, y - 60.0), (602.0, y - 74.0), (576.0, y - 22.0), (602.0, y + 6.0), (560.0, y + 24.0)],
                ink(0x7d6750),
            );
            canvas.ellipse(x, y - 54.0, 24.0, 24.0, shade(brass, 0.8));
            canvas.ellipse(x, y - 54.0, 19.0, 19.0, brass);
            canvas.rect(x - 2.0, y - 63.0, 4.0, 18.0, ink(0x2a2216));
            knob(canvas, x, y + 26.0, brass);
            canvas.ellipses(
                (0..9).map(|_| (x + dice.between(-24.0, 24.0), y + dice.between(-10.0, 60.0), 4.0, 3.0)),
                [96, 60, 30, 130],
            );
        }
        Stage::During => {
            canvas.ellipses([(x, y - 54.0, 25.0, 25.0), (x, y + 26.0, 27.0, 27.0)], ink(0x151210));
            canvas.ellipses([(x + 5.0, y - 50.0, 18.0, 18.0), (x + 5.0, y + 30.0, 20.0, 20.0)], ink(0xd8c7a0));
            canvas.rects([(x - 16.0, y - 58.0, 44.0, 8.0), (x - 16.0, y + 22.0, 44.0, 8.0)], ink(0x9aa3ad));
            drill(canvas, x + 74.0, y - 52.0);
            canvas.ellipses(
                (0..24).map(|_| (x + dice.between(-80.0, 90.0), dice.between(430.0, 494.0), 3.0, 2.0)),
                ink(0xe6d5ab),
            );
        }
        Stage::After => {
            let steel = ink(0xc4cad1);
            canvas.round(x - 30.0, y - 92.0, 60.0, 150.0, 16.0, shade(steel, 0.86));
            canvas.round(x - 26.0, y - 88.0, 52.0, 142.0, 13.0, steel);
            canvas.ellipse(x, y - 54.0, 20.0, 20.0, shade(steel, 1.12));
            canvas.ellipse(x, y - 54.0, 12.0, 12.0, shade(steel, 0.7));
            canvas.rect(x - 1.8, y - 62.0, 3.6, 16.0, ink(0x2a2d31));
            knob(canvas, x, y + 22.0, steel);
            lock_box(canvas, x - 4.0, y + 62.0);
        }
    }
    // Light from above on the left.
    canvas.gradient((-150.0, -150.0, 1100.0, 760.0), true, &[[255, 248, 225, 36], [0, 0, 0, 0], [0, 0, 20, 60]]);
}

fn knob(canvas: &mut Canvas, x: f32, y: f32, metal: Ink) {
    canvas.ellipse(x + 4.0, y + 7.0, 33.0, 33.0, [0, 0, 0, 70]);
    canvas.ellipse(x, y, 31.0, 31.0, shade(metal, 0.78));
    canvas.ellipse(x, y, 25.0, 25.0, metal);
    canvas.ellipse(x - 8.0, y - 9.0, 9.0, 7.0, [255, 255, 255, 120]);
}

fn lock_box(canvas: &mut Canvas, x: f32, y: f32) {
    canvas.line(
        &[
            (x - 20.0, y + 26.0),
            (x - 20.0, y - 26.0),
            (x - 10.0, y - 42.0),
            (x + 10.0, y - 42.0),
            (x + 20.0, y - 26.0),
            (x + 20.0, y + 26.0),
        ],
        9.0,
        ink(0xb7bdc4),
    );
    canvas.round(x - 40.0, y + 14.0, 80.0, 108.0, 10.0, ink(0x22262c));
    canvas.round(x - 34.0, y + 20.0, 68.0, 96.0, 8.0, ink(0x343a43));
    for row in 0..4 {
        canvas.round(x - 24.0, y + 30.0 + row as f32 * 20.0, 48.0, 15.0, 4.0, ink(0xd3d8de));
        canvas.rect(x - 3.0, y + 33.0 + row as f32 * 20.0, 6.0, 9.0, ink(0x343a43));
    }
}

fn drill(canvas: &mut Canvas, x: f32, y: f32) {
    canvas.rect(x - 56.0, y - 4.0, 40.0, 7.0, ink(0x9aa3ad));
    canvas.polygon(
        &[(x - 22.0, y - 13.0), (x + 6.0, y - 22.0), (x + 6.0, y + 22.0), (x - 22.0, y + 13.0)],
        ink(0x2a2e35),
    );
    canvas.round(x + 4.0, y - 26.0, 150.0, 54.0, 14.0, ink(0xf0b429));
    canvas.polygon(
        &[(x + 70.0, y + 20.0), (x + 126.0, y + 20.0), (x + 146.0, y + 150.0), (x + 92.0, y + 150.0)],
        ink(0x2a2e35),
    );
    canvas.round(x + 80.0, y + 140.0, 86.0, 40.0, 8.0, ink(0xf0b429));
}

/// A water heater and its pipes: as found, opened, drained and tagged.
#[expect(clippy::too_many_lines, reason = "a picture, drawn from back to front")]
pub fn heater(canvas: &mut Canvas, mut house: Dice, dice: &mut Dice, stage: Stage) {
    let wall = house.pick(&[ink(0xb8b3a8), ink(0xa9b0b0), ink(0xc4b8a2), ink(0x9fa4aa)]);
    canvas.gradient((-150.0, -150.0, 1100.0, 590.0), true, &[shade(wall, 1.08), wall, shade(wall, 0.78)]);
    let bricks: Vec<(f32, f32, f32, f32)> = (-5..17)
        .flat_map(|row| {
            let shift = if row % 2 == 0 { 0.0 } else { 46.0 };
            (-2..11).map(move |column| (column as f32 * 92.0 + shift, row as f32 * 34.0 - 60.0, 86.0, 28.0))
        })
        .filter(|(_, y, ..)| *y < 420.0)
        .collect();
    canvas.rects(bricks, sheer(shade(wall, 1.12), 120));
    canvas.gradient((-150.0, 424.0, 1100.0, 300.0), false, &[ink(0x6c6964), ink(0x88847d)]);
    let (left, top) = (270.0, 84.0);
    let copper = ink(0xb8734a);
    let pipes: [&[(f32, f32)]; 3] = [
        &[(330.0, 90.0), (330.0, 26.0), (-150.0, 26.0)],
        &[(430.0, 90.0), (430.0, -150.0)],
        &[(492.0, 372.0), (620.0, 372.0), (620.0, 96.0), (960.0, 96.0)],
    ];
    canvas.lines(pipes, 17.0, shade(copper, 0.72));
    canvas.lines(pipes, 11.0, copper);
    canvas.ellipse(left + 112.0, 470.0, 158.0, 20.0, [0, 0, 0, 110]);
    let tank = house.pick(&[ink(0xe6e7e3), ink(0xd3d8da), ink(0x8d9a8f)]);
    canvas.gradient((left, top, 224.0, 380.0), true, &[shade(tank, 0.72), shade(tank, 1.08), tank, shade(tank, 0.66)]);
    canvas.ellipse(left + 112.0, top, 112.0, 22.0, shade(tank, 0.9));
    canvas.ellipse(left + 112.0, top + 380.0, 112.0, 20.0, shade(tank, 0.62));
    canvas.rect(left, top + 46.0, 224.0, 5.0, shade(tank, 0.7));
    canvas.round(left + 34.0, top + 92.0, 104.0, 132.0, 6.0, ink(0xf6e267));
    canvas.rects(
        (0..6).map(|row| (left + 44.0, top + 124.0 + row as f32 * 15.0, if row % 2 == 0 { 84.0 } else { 62.0 }, 5.0)),
        ink(0x6a5f20),
    );
    canvas.rect(left + 44.0, top + 102.0, 84.0, 12.0, ink(0x333322));
    canvas.round(left + 64.0, top + 268.0, 96.0, 74.0, 8.0, ink(0x3b4047));
    canvas.ellipse(left + 112.0, top + 305.0, 22.0, 22.0, ink(0xc9312b));
    canvas.rect(left + 109.0, top + 285.0, 6.0, 20.0, ink(0xffffff));
    for (x, y) in [(120.0, 26.0), (620.0, 220.0)] {
        canvas.ellipse(x, y, 17.0, 17.0, ink(0xc2973b));
        canvas.line(
            &[(x - 26.0, y - 26.0), (x + 26.0, y - 26.0)],
            11.0,
            if stage == Stage::After { ink(0x2b59c3) } else { ink(0xc9312b) },
        );
        canvas.line(&[(x, y - 26.0), (x, y)], 8.0, ink(0x8a8f96));
    }
    match stage {
        Stage::Before => {
            let drips = (0..7).map(|_| {
                (
                    dice.between(500.0, 640.0),
                    dice.between(436.0, 486.0),
                    dice.between(14.0, 46.0),
                    dice.between(3.0, 7.0),
                )
            });
            canvas.ellipses(drips, [90, 110, 128, 120]);
        }
        Stage::During => {
            let hose = [(492.0, 440.0), (560.0, 470.0), (640.0, 452.0), (720.0, 480.0), (960.0, 470.0)];
            canvas.line(&hose, 20.0, ink(0x1f6e3c));
            canvas.line(&hose, 8.0, ink(0x3f9a5f));
            canvas.round(80.0, 392.0, 120.0, 92.0, 10.0, ink(0x2f6db5));
            canvas.ellipse(140.0, 394.0, 60.0, 13.0, ink(0x8fc1e8));
        }
        Stage::After => {
            canvas.line(&[(330.0, 40.0), (352.0, 108.0)], 3.0, ink(0xffffff));
            tag(canvas, 352.0, 104.0, ["WINTERIZED", "WATER OFF"]);
            tag(canvas, 628.0, 236.0, ["DO NOT", "TURN ON"]);
        }
    }
    canvas.gradient((-150.0, -150.0, 1100.0, 760.0), false, &[[0, 0, 0, 70], [0, 0, 0, 0], [0, 0, 0, 50]]);
}

fn tag(canvas: &mut Canvas, x: f32, y: f32, lines: [&str; 2]) {
    canvas.round(x + 3.0, y + 5.0, 142.0, 78.0, 8.0, [0, 0, 0, 80]);
    canvas.round(x, y, 142.0, 78.0, 8.0, ink(0xfff4d6));
    canvas.rect(x, y + 8.0, 142.0, 14.0, ink(0xc9312b));
    for (index, line) in lines.into_iter().enumerate() {
        canvas.text(x + 12.0, y + 23.0 + index as f32 * 24.0, 26.0, true, line, ink(0x3a1a14));
    }
}

/// A roof's edge with its gutter: full, half full, clean.
#[expect(clippy::too_many_lines, reason = "a picture, drawn from back to front")]
pub fn gutter(canvas: &mut Canvas, mut house: Dice, dice: &mut Dice, stage: Stage) {
    canvas.gradient((-150.0, -150.0, 1100.0, 760.0), false, &[ink(0x6fb1e0), ink(0xe3f0f6)]);
    canvas.ellipses(
        (0..14).map(|_| {
            (
                dice.between(-60.0, 860.0),
                dice.between(330.0, 520.0),
                dice.between(50.0, 110.0),
                dice.between(40.0, 90.0),
            )
        }),
        ink(0x6d9752),
    );
    let roof = house.pick(&[ink(0x5b4a42), ink(0x6e5c50), ink(0x4b515c), ink(0x7c483a)]);
    // Slightly aslant, as from a ladder.
    let edge = |x: f32| 300.0 + x * 0.04;
    canvas.polygon(&[(-150.0, -150.0), (950.0, -150.0), (950.0, edge(950.0)), (-150.0, edge(-150.0))], roof);
    for row in 0..9 {
        let depth = row as f32 * 44.0 + 8.0;
        let shingles: Vec<[(f32, f32); 4]> = (-3..18)
            .filter(|_| dice.chance(46))
            .map(|column| {
                let x = column as f32 * 58.0 + if row % 2 == 0 { 0.0 } else { 29.0 };
                let y = edge(x) - depth;
                [(x, y), (x + 54.0, y + 2.2), (x + 54.0, y - 37.8), (x, y - 40.0)]
            })
            .collect();
        canvas.polygons(shingles.iter().map(<[_; 4]>::as_slice), shade(roof, if row % 2 == 0 { 1.1 } else { 0.9 }));
        canvas.line(&[(-150.0, edge(-150.0) - depth), (950.0, edge(950.0) - depth)], 3.0, shade(roof, 0.7));
    }
    let channel = |from: f32, to: f32| {
        [
            (-150.0, edge(-150.0) + from),
            (950.0, edge(950.0) + from),
            (950.0, edge(950.0) + to),
            (-150.0, edge(-150.0) + to),
        ]
    };
    canvas.polygon(&channel(0.0, 44.0), ink(0x3c4147));
    canvas.polygon(&channel(8.0, 30.0), ink(0x555b62));
    let until = match stage {
        Stage::Before => 860.0,
        Stage::During => 430.0,
        Stage::After => -200.0,
    };
    let inks = [ink(0x8a5a24), ink(0xb07a2c), ink(0x6a4522), ink(0xc49336), ink(0x5d6b2c)];
    for tone in inks {
        let leaves: Vec<(f32, f32, f32, f32)> = (0..56)
            .map(|_| {
                let x = dice.between(-60.0, 860.0);
                (x, edge(x) + dice.between(-10.0, 36.0), dice.between(8.0, 20.0), dice.between(5.0, 11.0))
            })
            .filter(|(x, ..)| *x < until)
            .collect();
        canvas.ellipses(leaves, tone);
    }
    if stage == Stage::Before {
        let sprouts: Vec<Vec<(f32, f32)>> = (0..12)
            .map(|_| {
                let x = dice.between(20.0, 780.0);
                vec![
                    (x, edge(x) + 10.0),
                    (x + dice.between(-10.0, 10.0), edge(x) - 26.0),
                    (x + dice.between(-22.0, 22.0), edge(x) - 52.0),
                ]
            })
            .collect();
        canvas.lines(sprouts.iter().map(Vec::as_slice), 5.0, ink(0x558a35));
    }
    // The front of the gutter hides the lower half of what is in it.
    canvas.polygon(&channel(34.0, 46.0), ink(0xffffff));
    canvas.polygon(&channel(46.0, 104.0), ink(0xeceeee));
    canvas.polygon(&channel(92.0, 104.0), ink(0xc4c9cc));
    canvas.polygon(&channel(104.0, 122.0), [0, 0, 0, 70]);
    let seams: Vec<[(f32, f32); 2]> =
        [110.0, 390.0, 670.0].map(|x: f32| [(x, edge(x) + 40.0), (x, edge(x) + 102.0)]).to_vec();
    canvas.lines(seams.iter().map(<[_; 2]>::as_slice), 5.0, ink(0xd2d6d8));
    if stage == Stage::During {
        let glove = ink(0xe07b1f);
        canvas.round(440.0, 352.0, 92.0, 150.0, 30.0, shade(ink(0x2f5f8a), 0.9));
        canvas.round(430.0, 300.0, 112.0, 92.0, 34.0, glove);
        canvas.lines(
            [
                [(446.0, 318.0), (432.0, 276.0)].as_slice(),
                &[(474.0, 310.0), (468.0, 262.0)],
                &[(502.0, 310.0), (506.0, 264.0)],
                &[(528.0, 324.0), (546.0, 288.0)],
            ],
            24.0,
            glove,
        );
    }
}
