//! Pictures of workflows of many shapes: nothing overlaps, everything points one way.

mod check;
mod shapes;
#[allow(dead_code)] // The tests of the compiler need more of it.
#[path = "../compile_codes/support.rs"]
mod support;
mod timeline;

use std::path::Path;
use std::time::Instant;

use check::{check, wrong};
use flyte_core::picture::{Area, Picture, PictureBox};
use flyte_core::plan::Plan;

/// Checks a picture and leaves it where people can look at it.
fn look(name: &str, plan: &Plan) -> Picture {
    let picture = Picture::of(plan);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pictures");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("{name}.svg")), picture.to_svg()).unwrap();
    check(name, &picture);
    assert_eq!(picture, Picture::of(plan), "{name} is the same each time");
    picture
}

/// The check itself finds what is wrong.
#[test]
fn a_wrong_picture_is_found() {
    let good = Picture::of(&shapes::branch());
    assert_eq!(wrong(&good), Vec::<String>::new());
    let finds = |what: &str, spoil: &dyn Fn(&mut Picture)| {
        let mut bad = good.clone();
        spoil(&mut bad);
        let found = wrong(&bad);
        assert!(found.iter().any(|w| w.contains(what)), "{what}: {found:?}");
    };
    finds("overlap", &|p| p.boxes[4].area = p.boxes[3].area);
    finds("leaves its frame", &|p| p.boxes[3].area.x = 0.0);
    finds("does not fit", &|p| p.boxes[3].title = "n".repeat(80));
    finds("goes back", &|p| p.edges[0].points.reverse());
    finds("hangs in the air", &|p| p.edges[0].points[0].0 -= 9.0);
    finds("lies on", &|p| {
        let at = p.boxes[3].area;
        p.edges
            .iter_mut()
            .filter_map(|e| e.label.as_mut())
            .for_each(|l| l.area = at);
    });
    finds("goes through", &|p| {
        let over = p.edges.iter().position(|e| e.label.is_some()).unwrap();
        let outside = p.boxes.len() - 1;
        p.boxes[outside].area = Area {
            x: p.edges[over].points[0].0 + 8.0,
            y: p.edges[over].points[0].1 - 5.0,
            width: 10.0,
            height: 10.0,
        };
    });
}

#[test]
fn twelve_shapes_are_drawn_without_overlap() {
    let shapes = shapes::all();
    assert!(shapes.len() >= 12);
    for (name, plan) in &shapes {
        let picture = look(name, plan);
        println!(
            "{name}: {} boxes, {} edges, {} × {}",
            picture.boxes.len(),
            picture.edges.len(),
            picture.width,
            picture.height
        );
    }
}

#[test]
fn arms_carry_their_conditions() {
    let picture = Picture::of(&shapes::branch());
    let labels: Vec<&str> = picture
        .edges
        .iter()
        .filter_map(|e| e.label.as_ref().map(|l| &*l.hint))
        .collect();
    assert_eq!(labels, ["x > 10", "x > 5 and x < 8", "else"]);
    let svg = picture.to_svg();
    assert!(svg.contains("x &gt; 5 and x &lt; 8"), "{svg}");
}

#[test]
fn frames_stand_in_frames() {
    let picture = Picture::of(&shapes::three_deep());
    let depth =
        |b: &PictureBox| std::iter::successors(b.inside, |o| picture.boxes[*o].inside).count();
    let deepest = picture.boxes.iter().max_by_key(|b| depth(b)).unwrap();
    assert_eq!((depth(deepest), &*deepest.path), (3, "a/b/c/last"));
}

#[test]
fn three_hundred_nodes_take_under_two_seconds() {
    let plan = shapes::large(300);
    let begun = Instant::now();
    let svg = plan.to_svg();
    let took = begun.elapsed();
    println!(
        "{} nodes, {} bytes of SVG: {took:?}",
        plan.node_count(),
        svg.len()
    );
    assert!(took.as_secs_f64() < 2.0, "{took:?}");
    look("large", &plan);
}

#[test]
fn dot_and_mermaid_say_the_same() {
    let plan = shapes::branch();
    assert_eq!(
        plan.to_mermaid(),
        "flowchart LR\n  \
           v0([\"start\"])\n  \
           subgraph v1[\"by size (b · branch)\"]\n    \
             v3{\"?\"}\n    \
             v4[\"keep<br/>big · test\"]\n    \
             v5[\"keep<br/>middle · test\"]\n    \
             v6[\"too #lt;small#gt;<br/>fails\"]\n    \
             v3 -->|\"x #gt; 10\"| v4\n    \
             v3 -->|\"x #gt; 5 and x #lt; 8\"| v5\n    \
             v3 -->|\"else\"| v6\n  \
           end\n  \
           v8[\"take<br/>t · test\"]\n  \
           v9([\"end\"])\n  \
           v0 --> v1\n  \
           v1 --> v8\n  \
           v8 --> v9\n"
    );
    let dot = plan.to_dot();
    for line in [
        "digraph \"w\" {",
        "subgraph cluster_v1 {",
        "label=\"by size (b · branch)\";",
        "v3 -> v5 [label=\"x > 5 and x < 8\"];",
        "v0 -> v2;",
        "v7 -> v8;",
    ] {
        assert!(dot.lines().any(|l| l.trim() == line), "{line} in {dot}");
    }
    assert_eq!(dot.matches('{').count(), dot.matches('}').count());
}
