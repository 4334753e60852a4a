# What an agent does and asks, and what is said to it: hooks, permissions, messages.
load helper

# hooked PLAN-TAIL on stdin: an agent `claude-like` with claude's hooks
hooked() {
	{
		cat <<-Y
		name: p
		agents:
		  like:
		    command: [python3, "$BATS_TEST_DIRNAME/hooked_agent.py", "{hooks}", "{prompt}"]
		    hooks:
		      args: [--settings, "{hooks_file}"]
		      file:
		        name: settings.json
		        content:
		          hooks:
		            UserPromptSubmit: [{hooks: [{type: command, command: "{hook}"}]}]
		            PreToolUse: [{matcher: "*", hooks: [{type: command, command: "{hook} --decide"}]}]
		            PostToolUse: [{matcher: "*", hooks: [{type: command, command: "{hook}"}]}]
		            Notification: [{hooks: [{type: command, command: "{hook}"}]}]
		            Stop: [{hooks: [{type: command, command: "{hook}"}]}]
		defaults: {agent: like}
		Y
		cat
	} >pleach.yaml
}

@test "an agent's hooks tell its state; a question becomes the task's, and goes when the agent goes on" {
	gate one
	gate two
	hooked <<-'Y'
	tasks:
	  - id: a
	    prompt: |
	      hook UserPromptSubmit {}
	      hook Notification {"message": "Shall I drop v1?", "notification_type": "elicitation_dialog"}
	      gate one
	      hook PostToolUse {"tool_name": "Edit"}
	      gate two
	      hook Stop {}
	      sh echo done >made
	Y
	expect 3 pleach run --headless >/dev/null
	wait_event '.kind == "task.updated" and .data.status == "needs_input"' >/dev/null
	holds "$(pleach --json task show a)" '.input | .reason == "question" and .text == "Shall I drop v1?"'
	holds "$(pleach --json answer)" '[.tasks[].key] == ["a"]'
	holds "$(team '.teammates[0]')" '.state == "needs_input"'
	open_gate one
	wait_event '.kind == "task.updated" and .data.status == "in_progress" and .data.verb == "answer"' >/dev/null
	holds "$(team '.teammates[0]')" '.state == "working"'
	open_gate two
	wait_event '.kind == "teammate.updated" and .data.state == "idle"' >/dev/null
	expect 0 pleach wait a >/dev/null
	# Nothing that tells an agent of its hooks is committed.
	is made "$(git diff --name-only main pleach/p/a)"
}
