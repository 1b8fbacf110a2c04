//! Plans and executions as pictures: SVG, DOT and Mermaid, without any other program.
//!
//! [`Picture::of`] gives every box and edge its place: nodes stand in layers from left to right,
//! sub-workflows, branches and arrays are frames around what they hold. The drawing itself is
//! [`Picture::to_svg`]; [`Plan::to_svg`](crate::plan::Plan::to_svg) does both.

mod condition;
mod dot;
mod heights;
mod layers;
mod layout;
mod mermaid;
mod order;
mod outline;
mod settle;
mod svg;
mod text;
mod timeline;

pub use outline::Look;
pub use timeline::{Timeline, TimelineRow};

use crate::plan::Plan;

/// A plan with a place for everything; lengths are in pixels, from the upper left corner.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// For the head line.
    pub title: String,
    /// All of it.
    pub width: f64,
    /// All of it.
    pub height: f64,
    /// Boxes and frames; a frame stands before what it holds.
    pub boxes: Vec<PictureBox>,
    /// The edges.
    pub edges: Vec<PictureEdge>,
}

/// A rectangle of the picture.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Area {
    /// The left edge.
    pub x: f64,
    /// The upper edge.
    pub y: f64,
    /// To the right.
    pub width: f64,
    /// Downwards.
    pub height: f64,
}

/// A box, or a frame with boxes in it.
#[derive(Clone, Debug, PartialEq)]
pub struct PictureBox {
    /// The ids on the way to the node, such as `n0/n1`; empty for what is no node.
    pub path: String,
    /// What stands in it, cut to its room.
    pub title: String,
    /// The smaller text, cut likewise.
    pub detail: String,
    /// What the texts were before they were cut.
    pub hint: String,
    /// What it stands for.
    pub look: Look,
    /// Whether it holds boxes.
    pub is_frame: bool,
    /// The frame around it, by its place in [`Picture::boxes`].
    pub inside: Option<usize>,
    /// Where it is.
    pub area: Area,
}

/// An edge: straight inside of a layer, bent between two.
#[derive(Clone, Debug, PartialEq)]
pub struct PictureEdge {
    /// Where it begins, by its place in [`Picture::boxes`]; `None` at the border of its frame.
    pub from: Option<usize>,
    /// Where it ends.
    pub to: Option<usize>,
    /// The frame that it is drawn in.
    pub inside: Option<usize>,
    /// The points that it goes through, from left to right.
    pub points: Vec<(f64, f64)>,
    /// The condition of an arm.
    pub label: Option<Label>,
}

/// Text on an edge.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    /// What it says, cut to its room.
    pub text: String,
    /// What it says in full.
    pub hint: String,
    /// Where it is.
    pub area: Area,
}

impl Picture {
    /// The picture of a plan.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        layout::layout(plan.id.name.to_string(), &outline::outline(plan))
    }

    /// The picture as SVG.
    #[must_use]
    pub fn to_svg(&self) -> String {
        svg::svg(self)
    }
}

impl Plan {
    /// A picture of the workflow as SVG: nodes in layers from left to right, sub-workflows,
    /// branches and arrays as frames, conditions at the arms that they lead to.
    #[must_use]
    pub fn to_svg(&self) -> String {
        Picture::of(self).to_svg()
    }

    /// The workflow as a graph of Graphviz's language DOT.
    #[must_use]
    pub fn to_dot(&self) -> String {
        dot::dot(&self.id.name, &outline::outline(self))
    }

    /// The workflow as a Mermaid flow chart.
    #[must_use]
    pub fn to_mermaid(&self) -> String {
        mermaid::mermaid(&outline::outline(self))
    }
}
