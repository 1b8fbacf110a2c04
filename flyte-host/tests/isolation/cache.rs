//! A result is in the cache before the next node starts.

use serde_json::json;

use crate::input::Input;

#[test]
fn an_equal_call_right_after_the_first_is_a_hit() {
    Input::each("cached_calls", |input| {
        let folder = input.path("");
        let later = input.path("double.runs").exists();
        let folder = folder.to_str().unwrap();
        let ran = input.run(&["calls.py", "calls", "--folder", folder, "--n", "5"]);
        assert_eq!(ran.outputs(), json!({ "o0": 10, "o1": 15, "o2": 0 }));
        for (first, second) in [("n0", "n1"), ("n2/n0", "n3/n0"), ("n4", "n5")] {
            let status = |node| ran.node(node)["cache"].clone();
            let wanted = match later {
                true => "CACHE_HIT",
                false => "CACHE_POPULATED",
            };
            assert_eq!(status(first), wanted, "{first}");
            assert_eq!(status(second), "CACHE_HIT", "{second}");
        }
        for task in ["double", "triple", "halve"] {
            let runs = std::fs::read_to_string(input.path(&format!("{task}.runs"))).unwrap();
            assert_eq!(runs, "run\n", "{task}");
        }
    });
}
