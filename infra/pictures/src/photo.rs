//! A photo: what the service has the crew take, and Pruvan's frame below it.

use crate::canvas::{Canvas, Dice, Ink, cut, hash, ink, shade, text_width};
use crate::stage::Stage;
use crate::{close_up, house};

/// Pixels of a picture, unless others are asked for.
pub const SIZE: (u32, u32) = (800, 600);

/// What is in a picture and below it.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// The work order's number.
    pub number: &'a str,
    /// Where it is: the house looks the same in all pictures of an address.
    pub address: &'a str,
    /// The service's name, which says what is to be seen.
    pub service: &'a str,
    /// Such as `before`, `during`, `after`.
    pub evidence: &'a str,
    /// When it was taken, as the frame shows it.
    pub taken: &'a str,
    /// What tells two pictures of the same apart: where the crew stood, and what lies where.
    pub seed: u64,
    /// Pixels; [`SIZE`] is what a phone with a small `photo_size` sends.
    pub size: (u32, u32),
}

/// A picture as JPEG; empty if its size has no pixels.
pub fn jpeg(scene: &Scene<'_>) -> Vec<u8> {
    let Some(mut canvas) = Canvas::new(scene.size, 600.0) else { return Vec::new() };
    let stage = Stage::of(scene.evidence);
    let service = scene.service.to_ascii_lowercase();
    let named = |words: &[&str]| words.iter().any(|word| service.contains(word));
    let house = Dice::new(hash(scene.address));
    let mut dice = Dice::new(scene.seed);
    canvas.look(dice.between(-26.0, 26.0), dice.between(-8.0, 8.0), dice.between(1.0, 1.16));
    if named(&["lock", "secur", "board"]) {
        close_up::door(&mut canvas, house, &mut dice, stage)
    } else if named(&["winter", "plumb"]) {
        close_up::heater(&mut canvas, house, &mut dice, stage)
    } else if named(&["gutter", "roof"]) {
        close_up::gutter(&mut canvas, house, &mut dice, stage)
    } else if named(&["snow", "ice"]) && !named(&["service"]) {
        house::snow(&mut canvas, house, &mut dice, stage)
    } else if named(&["debris", "trash", "haul"]) {
        house::debris(&mut canvas, house, &mut dice, stage)
    } else if named(&["grass", "lawn", "mow", "yard"]) {
        house::lawn(&mut canvas, house, &mut dice, stage)
    } else {
        house::plain(&mut canvas, house, &mut dice)
    }
    canvas.look_straight();
    frame(&mut canvas, scene, stage);
    canvas.jpeg(82)
}

/// Pruvan's frame: what the picture is of, burnt into its bottom.
fn frame(canvas: &mut Canvas, scene: &Scene<'_>, stage: Stage) {
    const TOP: f32 = 498.0;
    let accent = match stage {
        Stage::Before => ink(0xd97706),
        Stage::During => ink(0x2563eb),
        Stage::After => ink(0x15803d),
    };
    canvas.rect(0.0, TOP, 800.0, 102.0, ink(0x111827));
    canvas.rect(0.0, TOP, 800.0, 5.0, accent);
    let number = cut(scene.number, 19);
    canvas.text(16.0, TOP + 6.0, 58.0, true, &number, ink(0xffffff));
    canvas.text(17.0, TOP + 63.0, 30.0, false, &cut(scene.address, 34), ink(0xcbd5e1));
    let evidence = cut(&scene.evidence.to_uppercase(), 14);
    let wide = text_width(29.0, &evidence) + 24.0;
    let left = 784.0 - wide;
    canvas.round(left, TOP + 14.0, wide, 32.0, 7.0, accent);
    canvas.text(left + 12.0, TOP + 15.0, 29.0, true, &evidence, ink(0xffffff));
    let right = |canvas: &mut Canvas, y: f32, text: &str, ink: Ink| {
        canvas.text(784.0 - text_width(26.0, text), y, 26.0, false, text, ink);
    };
    right(canvas, TOP + 47.0, &cut(scene.service, 24), ink(0xf1f5f9));
    right(canvas, TOP + 72.0, &cut(scene.taken, 24), shade(ink(0xcbd5e1), 0.85));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scene(seed: u64) -> Scene<'static> {
        let (address, service) = ("1204 Heron Bend Drive, Round Rock", "Grass cut");
        Scene { number: "RR-24017", address, service, evidence: "before", taken: "2026-11-23 09:14", seed, size: SIZE }
    }

    #[test]
    fn a_picture_is_the_same_for_its_seed_and_no_other() {
        let first = jpeg(&scene(1));
        assert!(first.starts_with(&[0xff, 0xd8, 0xff]) && first.ends_with(&[0xff, 0xd9]), "a JPEG");
        assert!((15_000..90_000).contains(&first.len()), "{} bytes", first.len());
        assert_eq!(first, jpeg(&scene(1)));
        assert_ne!(first, jpeg(&scene(2)));
    }

    #[test]
    fn odd_sizes_and_long_texts_do_no_harm() {
        let long = "x".repeat(300);
        for size in [(0, 0), (1, 1), (33, 700)] {
            let bytes = jpeg(&Scene { number: &long, address: "Stra\u{df}e", service: &long, size, ..scene(1) });
            assert_eq!(bytes.is_empty(), size == (0, 0));
        }
    }
}
