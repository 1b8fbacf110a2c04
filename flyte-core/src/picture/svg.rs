use std::fmt::Write;

use super::layout::{DETAIL, LABEL, PAD, TITLE};
use super::text::{FONT, escape};
use super::{Look, Picture, PictureBox, PictureEdge};

const INK: &str = "#1e293b";
const FAINT: &str = "#64748b";
const LINE: &str = "#94a3b8";

/// The colour of a kind of node.
fn colour(look: Look) -> &'static str {
    match look {
        Look::Task => "#3b82f6",
        Look::SubWorkflow => "#8b5cf6",
        Look::LaunchPlan => "#0891b2",
        Look::Branch | Look::Choice => "#d97706",
        Look::Gate => "#db2777",
        Look::Array => "#059669",
        Look::Fail | Look::FailureNode => "#dc2626",
        Look::Start | Look::End | Look::In | Look::Out => "#475569",
    }
}

pub(super) fn svg(p: &Picture) -> String {
    let mut s = String::new();
    head(&mut s, p.width, p.height, &p.title);
    text(&mut s, 28.0, 40.0, 16.0, "600", INK, &p.title);
    let frames = p.boxes.iter().filter(|b| b.is_frame);
    frames.for_each(|b| frame(&mut s, b));
    p.edges.iter().for_each(|e| edge(&mut s, e));
    let leaves = p.boxes.iter().filter(|b| !b.is_frame);
    leaves.for_each(|b| leaf(&mut s, b));
    for label in p.edges.iter().filter_map(|e| e.label.as_ref()) {
        let a = &label.area;
        let _ = write!(s, "<g><title>{}</title>", escape(&label.hint));
        let base = a.y + a.height - 4.0;
        text(
            &mut s,
            a.x,
            base,
            LABEL,
            "500",
            colour(Look::Branch),
            &label.text,
        );
        s.push_str("</g>\n");
    }
    s.push_str("</svg>\n");
    s
}

/// What every picture begins with.
pub(super) fn head(s: &mut String, width: f64, height: f64, title: &str) {
    let _ = writeln!(
        s,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"{FONT}\">\n<title>{}</title>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>",
        escape(title)
    );
}

pub(super) fn text(s: &mut String, x: f64, y: f64, size: f64, weight: &str, fill: &str, t: &str) {
    let _ = write!(
        s,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\" font-weight=\"{weight}\" \
         fill=\"{fill}\">{}</text>",
        escape(t)
    );
}

fn frame(s: &mut String, b: &PictureBox) {
    let (a, c) = (&b.area, colour(b.look));
    let _ = write!(
        s,
        "<g><title>{}</title><rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"10\" \
         fill=\"{c}\" fill-opacity=\"0.05\" stroke=\"{c}\" stroke-opacity=\"0.55\"/>",
        escape(&b.hint),
        a.x,
        a.y,
        a.width,
        a.height
    );
    // The detail follows the title as wide as that really is.
    let _ = write!(
        s,
        "<text x=\"{}\" y=\"{}\" font-size=\"{TITLE}\" font-weight=\"600\" fill=\"{INK}\">{}\
         <tspan dx=\"8\" font-size=\"{DETAIL}\" font-weight=\"400\" fill=\"{FAINT}\">{}</tspan></text>",
        a.x + PAD,
        a.y + 23.0,
        escape(&b.title),
        escape(&b.detail)
    );
    s.push_str("</g>\n");
}

fn edge(s: &mut String, e: &PictureEdge) {
    let mut points = e.points.clone();
    let end = *points.last().expect("invariant: a route has two ends");
    let arrow = e.to.is_some();
    if let (true, Some(last)) = (arrow, points.last_mut()) {
        // The line must not look out of the tip.
        last.0 -= 5.0;
    }
    let _ = write!(s, "<path d=\"M{:.1} {:.1}", points[0].0, points[0].1);
    for pair in points.windows(2) {
        let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
        if (y0 - y1).abs() < 0.01 {
            let _ = write!(s, "H{x1:.1}");
        } else {
            let middle = f64::midpoint(x0, x1);
            let _ = write!(
                s,
                "C{middle:.1} {y0:.1} {middle:.1} {y1:.1} {x1:.1} {y1:.1}"
            );
        }
    }
    let _ = write!(
        s,
        "\" fill=\"none\" stroke=\"{LINE}\" stroke-width=\"1.4\"/>"
    );
    if arrow {
        let _ = write!(
            s,
            "<path d=\"M{:.1} {:.1}l-8 -4v8z\" fill=\"{LINE}\"/>",
            end.0, end.1
        );
    }
    s.push('\n');
}

fn leaf(s: &mut String, b: &PictureBox) {
    let (a, c) = (&b.area, colour(b.look));
    let (middle_x, middle_y) = (a.x + a.width / 2.0, a.y + a.height / 2.0);
    let _ = write!(s, "<g>");
    match b.look {
        Look::Start | Look::End => {
            let _ = write!(
                s,
                "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"14\" fill=\"{c}\"/>\
                 <text x=\"{middle_x}\" y=\"{:.1}\" font-size=\"12\" font-weight=\"600\" \
                 fill=\"#ffffff\" text-anchor=\"middle\">{}</text>",
                a.x,
                a.y,
                a.width,
                a.height,
                middle_y + 4.0,
                escape(&b.title)
            );
        }
        Look::Choice => {
            let (w, h) = (a.width / 2.0, a.height / 2.0);
            let _ = write!(
                s,
                "<path d=\"M{} {middle_y}l{w} -{h}l{w} {h}l-{w} {h}z\" fill=\"#fffbeb\" \
                 stroke=\"{c}\" stroke-width=\"1.5\" stroke-linejoin=\"round\"/>\
                 <text x=\"{middle_x}\" y=\"{:.1}\" font-size=\"13\" font-weight=\"700\" \
                 fill=\"{c}\" text-anchor=\"middle\">?</text>",
                a.x,
                middle_y + 4.5
            );
        }
        _ => {
            let dash = match b.look {
                Look::FailureNode => " stroke-dasharray=\"5 3\"",
                _ => "",
            };
            let _ = write!(
                s,
                "<title>{}</title><rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"8\" \
                 fill=\"#ffffff\" stroke=\"{c}\" stroke-opacity=\"0.7\"{dash}/>\
                 <rect x=\"{}\" y=\"{}\" width=\"4\" height=\"{}\" rx=\"2\" fill=\"{c}\"/>",
                escape(&b.hint),
                a.x,
                a.y,
                a.width,
                a.height,
                a.x + 5.0,
                a.y + 8.0,
                a.height - 16.0
            );
            text(s, a.x + PAD, a.y + 21.0, TITLE, "600", INK, &b.title);
            text(s, a.x + PAD, a.y + 37.0, DETAIL, "400", FAINT, &b.detail);
        }
    }
    s.push_str("</g>\n");
}
