//! How wide text is, and how it is written into SVG.

/// The letters of the pictures; the widths below hold for the widest of them.
pub(super) const FONT: &str =
    "Inter, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif";

/// At most how wide `text` is at `size`, in the same unit.
pub(super) fn width(text: &str, size: f64, bold: bool) -> f64 {
    let em: f64 = text.chars().map(em).sum();
    em * size * if bold { 1.1 } else { 1.0 }
}

fn em(c: char) -> f64 {
    match c {
        'i' | 'j' | 'l' | '\'' | '|' | 'I' => 0.30,
        '.' | ',' | ':' | ';' | '!' | ' ' | '·' => 0.34,
        'f' | 't' | 'r' | '(' | ')' | '[' | ']' | '-' | '/' | '"' => 0.46,
        'm' | 'M' | 'w' | 'W' | '@' | '%' | '…' => 1.0,
        '<' | '>' | '=' | '+' => 0.84,
        'A'..='Z' => 0.79,
        c if c.is_ascii() => 0.64,
        // Letters with marks are as wide as those without; most others fill a square.
        c if (c as u32) < 0x500 => 0.82,
        _ => 1.1,
    }
}

/// `text` cut to `room`, with a mark where it was cut.
pub(super) fn fit(text: &str, size: f64, bold: bool, room: f64) -> String {
    // What breaks lines or hides would break the picture.
    let text: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if width(&text, size, bold) <= room {
        return text;
    }
    let mut out = String::new();
    for c in text.chars() {
        let longer = format!("{out}{c}…");
        if width(&longer, size, bold) > room {
            break;
        }
        out.push(c);
    }
    format!("{}…", out.trim_end())
}

/// `text` as XML holds it; characters that XML does not know become spaces.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\u{fffe}' | '\u{ffff}' => out.push(' '),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_fits_and_says_so() {
        let text = "a_very_long_name_of_a_task_that_nobody_wants_to_read_whole";
        let cut = fit(text, 13.0, true, 120.0);
        assert!(
            cut.ends_with('…') && width(&cut, 13.0, true) <= 120.0,
            "{cut}"
        );
        assert_eq!(fit("short", 13.0, true, 120.0), "short");
        assert_eq!(fit("two\nlines", 13.0, true, 120.0), "two lines");
    }

    #[test]
    fn nothing_leaves_its_place_in_the_file() {
        assert_eq!(escape("<a&\"b\u{1}>"), "&lt;a&amp;&quot;b &gt;");
    }
}
