//! A command may ask for the template of its task.

use std::fs;
use std::sync::Arc;

use flyte_core::contract::JobPhase;
use flyte_core::literal::Row;
use flyte_core::template::TaskTarget;
use flyte_idl::convert::{decode, task_from_pb};

use crate::job::{Lab, stdout};

#[test]
fn a_command_that_asks_for_the_template_gets_its_file() {
    let lab = Lab::new();
    let mut request = lab.request(0, 0, "cat \"$0\"", Row::default());
    let mut template = (*request.template).clone();
    if let Some(TaskTarget::Container(c)) = &mut template.target {
        c.args = vec!["{{ .TaskTemplatePath }}".into()];
    }
    request.template = Arc::new(template.clone());
    let phase = lab.run(&request);
    assert!(matches!(phase, JobPhase::Succeeded(_)), "{phase:?}");
    let bytes = fs::read(lab.attempt(0, 0).join("stdout.log")).unwrap();
    let read = task_from_pb(&decode(&bytes).unwrap()).unwrap();
    assert_eq!(read, template);
}

#[test]
fn a_command_that_does_not_ask_gets_none() {
    let lab = Lab::new();
    lab.run(&lab.request(0, 0, "echo '{{.taskTemplate}}'", Row::default()));
    assert_eq!(stdout(&lab.attempt(0, 0)), "{{.taskTemplate}}\n");
    assert!(!lab.attempt(0, 0).join("task.pb").exists());
}
