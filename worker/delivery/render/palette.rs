//! The colours of mails and pages, made from the one colour that a publisher configures.
//!
//! Owns the contrast rule: whatever colour is given, text in it meets WCAG 2.2 AA on our paper, by day and by night.
//! `render` fills the templates with it, `web` its style sheet.

/// The ratio of contrast that AA wants for text (WCAG 2.2, 1.4.3), with a little to spare for rounding.
const READABLE: f64 = 4.6;

/// Thin letters shine out on a dark ground: a little more there.
const READABLE_AT_NIGHT: f64 = 6.0;

/// Colours as `#rrggbb`, each with its counterpart for a dark screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Palette {
    /// Links, rules and buttons by day.
    pub accent: String,
    /// The same by night.
    pub dark_accent: String,
}

/// The colours that do not depend on the publisher: name in a template, by day, by night.
pub const FIXED: [(&str, &str, &str); 6] = [
    ("paper", "#f5f2ec", "#141311"),
    ("sheet", "#fffdf9", "#1e1c19"),
    ("ink", "#24211d", "#ece6db"),
    ("quiet", "#625b51", "#b4ab9d"),
    ("rule", "#e2dbcf", "#3b3731"),
    ("edge", "#8a8174", "#8a8174"),
];

/// The publisher's colour is no colour.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("site.colour is `{0}`: expected a colour as #rrggbb, such as #1f5c57")]
pub struct ColourError(String);

impl Palette {
    /// Makes the palette of a colour given as `#rrggbb`.
    pub fn of(colour: &str) -> Result<Self, ColourError> {
        let given = Rgb::parse(colour).ok_or_else(|| ColourError(colour.to_owned()))?;
        Ok(Self {
            accent: given.readable_on(&[fixed("sheet").0, fixed("paper").0], -0.01, READABLE).to_string(),
            dark_accent: given.readable_on(&[fixed("sheet").1, fixed("paper").1], 0.01, READABLE_AT_NIGHT).to_string(),
        })
    }

    /// Every colour by the name that templates use for it.
    pub fn named(&self) -> Vec<(String, String)> {
        let pairs = FIXED.iter().map(|(name, day, night)| (*name, *day, *night));
        pairs
            .chain([("accent", self.accent.as_str(), self.dark_accent.as_str())])
            .flat_map(|(name, day, night)| [(name.to_owned(), day.to_owned()), (format!("dark_{name}"), night.to_owned())])
            .collect()
    }
}

fn fixed(name: &str) -> (Rgb, Rgb) {
    FIXED
        .iter()
        .find(|(known, ..)| *known == name)
        .and_then(|(_, day, night)| Some((Rgb::parse(day)?, Rgb::parse(night)?)))
        .expect("the fixed colours are well formed")
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Rgb([f64; 3]);

impl Rgb {
    fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#').filter(|d| d.len() == 6 && d.bytes().all(|b| b.is_ascii_hexdigit()))?;
        let part = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).ok().map(f64::from);
        Some(Self([part(0)?, part(2)?, part(4)?]))
    }

    // Keeps hue and saturation, and moves the lightness step by step until it can be read on each of the grounds.
    fn readable_on(self, grounds: &[Self], step: f64, wanted: f64) -> Self {
        let (hue, saturation, lightness) = self.hsl();
        (0..=100)
            .map(|steps| lightness + f64::from(steps) * step)
            .map(|lightness| if lightness == self.hsl().2 { self } else { Self::of_hsl(hue, saturation, lightness.clamp(0.0, 1.0)) })
            .find(|colour| grounds.iter().all(|ground| contrast(*colour, *ground) >= wanted))
            .unwrap_or(if step > 0.0 { Self([255.0; 3]) } else { Self([0.0; 3]) })
    }

    fn hsl(self) -> (f64, f64, f64) {
        let [r, g, b] = self.0.map(|part| part / 255.0);
        let (high, low) = (r.max(g).max(b), r.min(g).min(b));
        let (lightness, spread) = ((high + low) / 2.0, high - low);
        if spread == 0.0 {
            return (0.0, 0.0, lightness);
        }
        let hue = match high {
            h if h == r => (g - b) / spread,
            h if h == g => (b - r) / spread + 2.0,
            _ => (r - g) / spread + 4.0,
        };
        (hue.rem_euclid(6.0), spread / (1.0 - (2.0 * lightness - 1.0).abs()), lightness)
    }

    fn of_hsl(hue: f64, saturation: f64, lightness: f64) -> Self {
        let reach = saturation * lightness.min(1.0 - lightness);
        let part = |offset: f64| {
            let turn = (offset + hue * 2.0).rem_euclid(12.0);
            255.0 * (lightness - reach * (turn - 3.0).min(9.0 - turn).clamp(-1.0, 1.0))
        };
        Self([part(0.0), part(8.0), part(4.0)].map(f64::round))
    }

    // Relative luminance as WCAG 2.2 defines it.
    fn luminance(self) -> f64 {
        let linear = self.0.map(|part| {
            let part = part / 255.0;
            if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    }
}

impl std::fmt::Display for Rgb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "#")?;
        self.0.iter().try_for_each(|part| write!(f, "{:02x}", part.round() as u8))
    }
}

fn contrast(one: Rgb, other: Rgb) -> f64 {
    let (one, other) = (one.luminance() + 0.05, other.luminance() + 0.05);
    (one / other).max(other / one)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_colour_of_a_publisher_can_be_read_by_day_and_by_night(colour in "#[0-9a-f]{6}") {
            let palette = Palette::of(&colour).unwrap();
            for ground in ["sheet", "paper"] {
                let (day, night) = fixed(ground);
                prop_assert!(contrast(Rgb::parse(&palette.accent).unwrap(), day) >= 4.5);
                prop_assert!(contrast(Rgb::parse(&palette.dark_accent).unwrap(), night) >= 4.5);
            }
        }
    }

    #[test]
    fn the_fixed_inks_can_be_read_on_both_grounds() {
        for ink in ["ink", "quiet"] {
            for ground in ["sheet", "paper"] {
                assert!(contrast(fixed(ink).0, fixed(ground).0) >= 4.5, "{ink} on {ground} by day");
                assert!(contrast(fixed(ink).1, fixed(ground).1) >= 4.5, "{ink} on {ground} by night");
            }
        }
        // A border that shows where a control is needs 3:1 (WCAG 2.2, 1.4.11).
        assert!(contrast(fixed("edge").0, fixed("sheet").0) >= 3.0 && contrast(fixed("edge").1, fixed("sheet").1) >= 3.0);
    }

    #[test]
    fn a_colour_that_can_be_read_already_stays_as_it_is() {
        assert_eq!(Palette::of("#1f5c57").unwrap().accent, "#1f5c57");
    }

    #[test]
    fn what_is_no_colour_is_refused_by_name() {
        for bad in ["teal", "#fff", "#12345g", "", "#1234567", "#é1234"] {
            assert!(Palette::of(bad).unwrap_err().to_string().contains("site.colour"), "{bad}");
        }
    }
}
